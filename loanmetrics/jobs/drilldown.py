"""The loans behind the figures of a day: which facts explain them, a row per loan, what each adds, and whose it is."""

import hashlib
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import polars as pl
import psycopg

import loanmetrics
from loanmetrics.engine import drilldown
from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import contributions
from loanmetrics.engine.run import PLACE
from loanmetrics.engine.state import channels
from loanmetrics.facts.lake import Lake, ShardFiles, Version
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import people, runs

# Of more loans than this share of all, the whole day is made.
MOST_CHOSEN = 0.2
# Digits of a phone number that everybody may see.
SHOWN = 4
NONE_GONE = pl.Series("loan", [], dtype=pl.Int32)
STORED_BY = """
    SELECT max(run_id COLLATE "C") FROM (
        SELECT run_id FROM officer_metrics_daily WHERE calculation_date = %(day)s
        UNION ALL SELECT run_id FROM branch_metrics_daily WHERE calculation_date = %(day)s
        UNION ALL SELECT run_id FROM metric_calculation_log
            WHERE calculation_date = %(day)s AND calculation_type = 'day' AND status = 'Completed'
    ) stored
"""


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


def stored_by(connection: psycopg.Connection, day: date) -> str | None:
    """The run whose facts gave the figures stored for ``day``; None where nothing is stored.

    A row that a later run found unchanged keeps its run, so the newest of all that had a say is the one.
    """
    row = connection.execute(STORED_BY, {"day": day}).fetchone()
    found: str | None = row[0] if row else None
    return found


def knowledge(connection: psycopg.Connection, lake: Lake, day: date) -> Version:
    """The facts that explain the figures stored for ``day``.

    The newest facts, where nothing is stored or its facts are no longer kept: compare ``run_id`` with ``stored_by``.
    """
    stored = stored_by(connection, day)
    if stored is not None and lake.holds(stored):
        return lake.version(stored)
    newest = runs.last_completed(connection)
    return lake.current if newest is None else lake.version(newest)


def loan_rows(
    settings: Settings, lake: Lake, version: Version, day: date, where: Where = ALL
) -> pl.LazyFrame:
    """Every loan disbursed by ``day``, as ``drilldown.SCHEMA`` has it and with its risk score.

    Made once per shard of the facts, in parallel, and kept beside them. With ``where`` only these loans, and if the
    day is not kept yet, only these officers' loans are made.
    """
    rows = pl.concat(list(Kept(lake, version, day, where).scans(settings.readers)))
    scored = drilldown.scored(rows, drilldown.largest(rows))
    return scored.filter(where.chosen).drop(drilldown.KEYS)


def explains(
    settings: Settings, lake: Lake, version: Version, day: date, metric: str, where: Where = ALL
) -> pl.DataFrame:
    """The loans behind a metric or measure, and what each adds to every measure beneath it: they sum exactly to it.

    Frozen PAR15 stands on rows without a loan. Distinct counts are flags: officers with a row of 1 are counted once.
    """
    book = book_of(lake, version, day)
    some = book.facts
    if where:
        cells = some.cells.filter(where.chosen)["cell"]
        some = replace(some, shards=tuple(of_cells(shard, cells) for shard in some.shards))
    with ThreadPoolExecutor(settings.readers) as pool:
        rows = contributions(replace(book, facts=some), metric, load(), pool, channels(book))
    return _dated(rows.filter(where.chosen), some)


def _dated(rows: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """With each loan's disbursement date, by which its names are found."""
    mine = pl.col("loan_id").is_in(rows["loan_id"].implode())
    dates = pl.col("disbursed").cast(pl.Date).alias("disbursement_date")
    found = pl.concat([shard.loans.filter(mine).select("loan_id", dates) for shard in facts.shards]).collect()
    front = ("loan_id", *PLACE, "disbursement_date")
    dated = rows.join(found, on="loan_id", how="left", maintain_order="left")
    return dated.select(*front, pl.exclude(front))


def with_names(connection: psycopg.Connection, loans: pl.DataFrame) -> pl.DataFrame:
    """Add ``customer_name``, ``customer_phone`` and ``officer_name`` to loans, as the lender has them now.

    Loans are known by ``loan_id``, ``disbursement_date`` and ``officer_id``; those that the lender no longer has stay,
    without names. Give a page or an export's chunk at a time.
    """
    return pl.concat([loans, people.names(connection, loans)], how="horizontal")


def masked(phone: pl.Expr) -> pl.Expr:
    """A phone number's last four digits."""
    shown = pl.when(phone.str.len_chars() > SHOWN).then(phone.str.tail(SHOWN)).otherwise(pl.lit(""))
    return pl.when(phone.is_not_null()).then(pl.lit("****") + shown)


def book_of(lake: Lake, version: Version, day: date) -> Book:
    """A day's book by what a version knew, under its policy."""
    return Book(lake.facts(version), day, Policy.from_dict(version.policy))


def of_cells(shard: Shard, cells: pl.Series) -> Shard:
    """The loans of some cells."""
    loans = shard.loans.filter(pl.col("cell").is_in(cells.implode())).collect()
    mine = pl.col("loan").is_in(loans["loan"].implode())
    return Shard(loans.lazy(), shard.schedule.filter(mine), shard.repayments.filter(mine), ordered=True)


@dataclass(frozen=True)
class Kept:
    """The files of one day that hold the loans asked for."""

    lake: Lake
    version: Version
    day: date
    where: Where

    def scans(self, workers: int) -> Iterator[pl.LazyFrame]:
        """The loans of each shard that stand in this version."""
        paths = {files: self._whole(files) for files in self.version.shards}
        missing = [files for files, path in paths.items() if not path.exists()]
        if missing and self._few:
            paths |= {files: self._some(files) for files in missing}
            self._make({files: paths[files] for files in missing}, workers)
        elif missing:
            with self.lake.days.alone():
                self._make(paths, workers)
        self.lake.days.used(paths.values())
        gone = self.lake.small(self.version, "gone")["loan"]
        for files, path in paths.items():
            rows, retired = pl.scan_ipc(path, glob=False), files.retired(gone)
            yield rows.filter(~pl.col("loan").is_in(retired.implode())) if len(retired) else rows

    def _make(self, wanted: dict[ShardFiles, Path], workers: int) -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(self._made, wanted.keys(), wanted.values()))
        self.lake.days.trim()

    def _made(self, files: ShardFiles, path: Path) -> None:
        """Make one file, unless it is there. Retired loans are in it too: earlier versions have them."""
        if path.exists():
            return
        shard = self.lake.shard(files, NONE_GONE)
        if path != self._whole(files):
            shard = of_cells(shard, self._cells["cell"])
        states, places = drilldown.stand(shard, self._book), self._every_cell.drop("loans")
        self.lake.days.keep(path, drilldown.named(states, shard.loans, places, self._book))

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

    @property
    def _few(self) -> bool:
        """Whether making these officers' loans alone is worth it."""
        return int(self._cells["loans"].sum()) <= MOST_CHOSEN * int(self._every_cell["loans"].sum())

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
