"""The loans of a day: made by shard, all of them or those of some officers, and kept beside the facts."""

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache, partial
from pathlib import Path

import polars as pl

import loanmetrics
from loanmetrics.engine import drilldown
from loanmetrics.engine.book import Book, Shard
from loanmetrics.facts.days import opened
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import ShardFiles, Version
from loanmetrics.jobs.elsewhere import elsewhere
from loanmetrics.policy import Policy

# Of more loans than this share of all, the whole day is made.
MOST_CHOSEN = 0.2
# Of how many loans the states are made within the process that asks; each takes about 2 KB while they are.
MOST_HERE = 100_000
# Held open in each process: a score per loan, beside what all processes share.
MOST_DAYS = 4
NONE_GONE = pl.Series("loan", [], dtype=pl.Int32)


@dataclass(frozen=True)
class Where:
    """Which loans are asked for: of these officers, regions and branches; empty means any."""

    officer_id: Collection[str] = ()
    region: Collection[str] = ()
    branch: Collection[str] = ()

    @property
    def chosen(self) -> pl.Expr:
        """The condition on rows that name officer, region and branch."""
        given = {"officer_id": self.officer_id, "region": self.region, "branch": self.branch}
        tests = [pl.col(name).is_in(list(values)) for name, values in given.items() if values]
        return pl.all_horizontal(pl.lit(True), *tests)

    def __bool__(self) -> bool:
        return any((self.officer_id, self.region, self.branch))


ALL = Where()


def book_of(lake: Lake, version: Version, day: date) -> Book:
    """A day's book by what a version knew, under its policy."""
    return Book(lake.facts(version), day, Policy.from_dict(version.policy))


def of_cells(shard: Shard, cells: pl.Series) -> Shard:
    """The loans of some cells."""
    loans = shard.loans.filter(pl.col("cell").is_in(cells.implode())).collect()
    mine = pl.col("loan").is_in(loans["loan"].implode())
    return Shard(loans.lazy(), shard.schedule.filter(mine), shard.repayments.filter(mine), ordered=True)


@dataclass(frozen=True)
class Made:
    """Loans of a day by shard, and the files that they are in."""

    paths: tuple[Path, ...]
    parts: tuple[pl.DataFrame, ...]


@lru_cache(MOST_DAYS)
def whole(lake: Lake, run_id: str, day: date, workers: int) -> Made:
    """All loans of a day; what a run knew of it never changes."""
    return Kept(lake, lake.version(run_id), day, ALL).all(workers)


@dataclass(frozen=True)
class Kept:
    """The files of one day that hold the loans asked for."""

    lake: Lake
    version: Version
    day: date
    where: Where

    @property
    def few_will_do(self) -> bool:
        """Whether the day is not kept yet, and making the loans of the officers asked for is so much less."""
        if not self.where or all(path.exists() for path in self._all.values()):
            return False
        return int(self._cells["loans"].sum()) <= MOST_CHOSEN * int(self._every_cell["loans"].sum())

    def all(self, workers: int) -> Made:
        """Every loan."""
        paths = self._all
        if not all(path.exists() for path in paths.values()):
            with self.lake.days.alone():
                missing = [files.loans for files, path in paths.items() if not path.exists()]
                self._make(paths, workers, sum(missing))
        return self._read(paths)

    def few(self, workers: int) -> Made:
        """All loans of the officers asked for; more of shards that are kept whole."""
        whole = self._all
        paths = {files: path if path.exists() else self._some(files) for files, path in whole.items()}
        self._make(paths, workers, int(self._cells["loans"].sum()))
        return self._read(paths)

    def _read(self, paths: dict[ShardFiles, Path]) -> Made:
        gone = self.lake.small(self.version, "gone")["loan"]
        parts = []
        for files, path in paths.items():
            stands = ~pl.col("loan").is_in(files.retired(gone).implode())
            parts.append(opened(path).with_columns(stands.alias(drilldown.STANDS)))
        return Made(tuple(paths.values()), tuple(drilldown.scored(parts)))

    def _make(self, wanted: dict[ShardFiles, Path], workers: int, loans: int) -> None:
        """Files of so many loans. Many are made by another process, that this one need not hold so much."""
        if loans <= MOST_HERE or all(path.exists() for path in wanted.values()):
            self.make(wanted, workers)
        else:
            lake = Lake(self.lake.folder, self.lake.remote)
            elsewhere(partial(Kept(lake, self.version, self.day, self.where).make, wanted, workers))

    def make(self, wanted: dict[ShardFiles, Path], workers: int) -> None:
        """Files that are not there yet."""
        with ThreadPoolExecutor(workers) as pool:
            made = list(pool.map(self._made, wanted.keys(), wanted.values()))
        if any(made):
            self.lake.days.trim()

    def _made(self, files: ShardFiles, path: Path) -> bool:
        """Make one file, unless it is there. Retired loans are in it too: earlier versions have them."""
        if path.exists():
            return False
        shard = self.lake.shard(self.version, files, NONE_GONE)
        if path != self._whole(files):
            shard = of_cells(shard, self._cells["cell"])
        states, places = drilldown.stand(shard, self._book), self._every_cell.drop("loans")
        self.lake.days.keep(path, drilldown.named(states, shard.loans, places, self._book))
        return True

    @cached_property
    def _all(self) -> dict[ShardFiles, Path]:
        """Where all loans are, or will be."""
        return {files: self._whole(files) for files in self.version.shards}

    @cached_property
    def _book(self) -> Book:
        return book_of(self.lake, self.version, self.day)

    @cached_property
    def _every_cell(self) -> pl.DataFrame:
        return self.lake.small(self.version, "cells")

    @cached_property
    def _cells(self) -> pl.DataFrame:
        """All cells of the officers who have a cell that is asked for: scores weigh an officer's loans together."""
        officers = self._every_cell.filter(self.where.chosen)["officer_id"]
        return self._every_cell.filter(pl.col("officer_id").is_in(officers.implode()))

    def _whole(self, files: ShardFiles) -> Path:
        return self.lake.days.path(self.day, self._key, files.name)

    def _some(self, files: ShardFiles) -> Path:
        return self.lake.days.path(self.day, self._key, files.name, _hash(self._cells["cell"].to_list()))

    @cached_property
    def _key(self) -> str:
        """Changes whenever the same facts would make other rows."""
        holidays = self.lake.small(self.version, "holidays")["day"].to_list()
        return _hash([loanmetrics.__version__, drilldown.SCHEMA, self.version.policy, holidays])


def _hash(what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]
