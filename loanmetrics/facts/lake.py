"""Versions of a lender's facts: immutable Parquet files in one folder, and a manifest per run that names them.

A file is written once and never changed, so a reader is never blocked and an old version stays readable for as
long as its manifest is kept. A loan whose rows changed stands, whole, under a new key in a newer shard; its old key
is listed in ``gone``. Readers open the manifest of a completed run, never what lies newest in the folder.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import polars as pl

from loanmetrics.engine.book import DUE_ORDER, HELD, LOAN_ORDER, REPAYMENT_ORDER, Book, Facts, Shard
from loanmetrics.errors import DataError
from loanmetrics.facts import days, leaves
from loanmetrics.facts.days import Days
from loanmetrics.facts.disk import replace, sync
from loanmetrics.facts.leaves import LeafFiles, Leaves
from loanmetrics.facts.prepare import Intake
from loanmetrics.facts.quoting import one_file
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT: Final = 2
CURRENT = "manifest.json"
SHARDED = ("loans", "schedule", "repayments")
NAMED = ("cells", "officers", "channels", "methods", "holidays", "par15")
SOURCE_TABLES = {"loans": "loans", "loan_schedule": "schedule", "repayments": "repayments"}
# No figure is made of it, but principal is held to it.
LEDGER = "gl_balances"
PAR15_SCHEMA = (
    "snapshot_day INTEGER, officer_id VARCHAR, region VARCHAR, branch VARCHAR, exposure BIGINT, loans BIGINT"
)
ORDERS = {
    "loans": ", ".join(LOAN_ORDER),
    "schedule": ", ".join(DUE_ORDER),
    "repayments": ", ".join(REPAYMENT_ORDER),
}
SMALL_ORDERS = {
    "cells": "cell",
    "officers": "officer_id",
    "channels": "channel",
    "methods": "method",
    "holidays": "day",
    "par15": "ALL",
    LEDGER: "day, branch",
}
PARQUET = "FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 262144"


class ShardFiles(msgspec.Struct, frozen=True):
    """One shard: files ``loans-<name>.parquet``, ``schedule-...``, ``repayments-...``; keys ``first`` to ``last``."""

    name: str
    loans: int
    first: int
    last: int

    def retired(self, gone: pl.Series) -> pl.Series:
        """The loans of this shard among those whose keys are ``gone``."""
        return gone.filter(gone.is_between(self.first, self.last))


class Day(msgspec.Struct, frozen=True):
    """The sums that a version gave on one day, so that the next run of that day need not start afresh."""

    as_of: date
    measures: str
    findings: dict[str, int]


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the facts: everything a figure of its run depends on, beside the engine itself.

    ``small`` names the file of each small table: the dimensions, ``gone`` (retired loan keys), ``held`` (rows
    held back), ``odd`` (findings by loan), ``sums`` (the day's sums by cell). ``rows`` and ``sums`` are totals of what
    was read, by source table; ``mark`` is where the source's change log stood, or else
    ``leaves`` what its partitions held.
    """

    run_id: str
    engine: str
    policy: dict[str, Any]
    shards: tuple[ShardFiles, ...]
    small: dict[str, str]
    next_loan: int
    rows: dict[str, int]
    sums: dict[str, int]
    mark: dict[str, Any] | None = None
    leaves: Leaves = {}
    day: Day | None = None
    format: Literal[2] = FORMAT

    @property
    def files(self) -> frozenset[str]:
        """Names of all files this version needs."""
        sharded = (f"{kind}-{shard.name}.parquet" for kind in SHARDED for shard in self.shards)
        return frozenset((*sharded, *self.small.values()))


@dataclass(frozen=True)
class Lake:
    """A folder of facts files and manifests."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a file of this lake lies."""
        return self.folder / name

    def manifest(self, run_id: str) -> Path:
        """Where a run's manifest lies."""
        return self.folder / "manifests" / f"{run_id}.json"

    @property
    def days(self) -> Days:
        """What is kept of this lake's loans on single days."""
        return Days(self.folder / days.FOLDER)

    @property
    def leaves(self) -> LeafFiles:
        """What the partitions of the source held in the last run."""
        return LeafFiles(self.folder / leaves.FOLDER)

    def holds(self, run_id: str) -> bool:
        """Whether a run's manifest and all files it names are here."""
        return self.manifest(run_id).is_file() and all(
            self.path(name).is_file() for name in self.version(run_id).files
        )

    def version(self, run_id: str) -> Version:
        """The facts as a run knew them."""
        path = self.manifest(run_id)
        if not path.is_file():
            raise DataError(f"the facts of run {run_id} are not kept here", "loanmetrics runs")
        return _read(path)

    @cached_property
    def current(self) -> Version:
        """The version of the last run that completed."""
        path = self.path(CURRENT)
        if not path.is_file():
            raise DataError(f"{self.folder} holds no facts", "it has no manifest.json; extract or load first")
        return _read(path)

    def keep(self, version: Version) -> None:
        """Have a run's files on disk and write its manifest, before the run completes."""
        for name in version.files:
            if version.run_id in name:
                sync(self.path(name))
        replace(self.manifest(version.run_id), msgspec.json.encode(version))

    def point_to(self, version: Version) -> None:
        """Name the version that readers without a database open, after its run has completed."""
        replace(self.path(CURRENT), msgspec.json.encode(version))

    def small(self, version: Version, name: str) -> pl.DataFrame:
        """One of a version's small tables."""
        return pl.read_parquet(self.path(version.small[name]))

    def facts(self, version: Version) -> Facts:
        """A version's facts, as lazy scans of its shards."""
        named = {name: self.small(version, name) for name in NAMED}
        held = self.small(version, "held").select(*HELD)
        return Facts(
            tuple(self.shards(version)),
            **(named | {"cells": inhabited(named["cells"]), "held": held}),
        )

    def shards(self, version: Version) -> Iterator[Shard]:
        """A version's shards, without the loans that stand elsewhere by now."""
        gone = self.small(version, "gone")["loan"]
        return (self.shard(files, gone) for files in version.shards)

    def shard(self, files: ShardFiles, gone: pl.Series) -> Shard:
        """One shard, without the loans whose keys are ``gone``."""
        retired = files.retired(gone)
        kept = ~pl.col("loan").is_in(retired.implode()) if len(retired) else None
        scans = [pl.scan_parquet(self.path(f"{kind}-{files.name}.parquet"), glob=False) for kind in SHARDED]
        loans, schedule, repayments = scans if kept is None else (scan.filter(kept) for scan in scans)
        return Shard(loans, schedule, repayments, ordered=True)

    def prune(self, keep: Collection[str]) -> int:
        """Delete the files that no manifest of the runs to ``keep`` names, and the other manifests."""
        needed: set[str] = set()
        shards: set[str] = set()
        newest: Leaves = {}
        manifests = self.folder / "manifests"
        for path in sorted(manifests.glob("*.json")) if manifests.is_dir() else ():
            if path.stem in keep:
                version = _read(path)
                needed |= version.files
                shards |= {shard.name for shard in version.shards}
                newest = version.leaves
            else:
                path.unlink()
        spare = [path for path in self.folder.glob("*.parquet") if path.name not in needed]
        for path in spare:
            path.unlink()
        self.days.prune(shards)
        self.leaves.prune(newest)
        return len(spare)


def inhabited(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells that hold a loan; ids of the others stay taken."""
    return cells.filter(cells["loans"] > 0).drop("loans")


def intake(lake: Lake, version: Version) -> Intake:
    """What a version's source held: rows and sums, rows held back, findings."""
    held = lake.small(version, "held").group_by("table_name", "rule").len().sort("table_name", "rule")
    odd = lake.small(version, "odd").group_by("finding").agg(pl.col("times").sum()).sort("finding")
    return Intake(
        version.rows,
        version.sums,
        {(table, rule): count for table, rule, count in held.iter_rows()},
        dict(odd.iter_rows()),
    )


def ledger(lake: Lake, version: Version) -> pl.DataFrame:
    """What the general ledger said by day and branch, as far as a version knows it."""
    schema = {"day": pl.Int32(), "branch": pl.String(), "principal": pl.Int64()}
    return lake.small(version, LEDGER) if LEDGER in version.small else pl.DataFrame(schema=schema)


def rows(facts: Facts) -> dict[str, int]:
    """Rows of the sharded files by source table."""
    return {
        table: sum(
            count.item()
            for count in pl.collect_all([getattr(shard, name).select(pl.len()) for shard in facts.shards])
        )
        for table, name in SOURCE_TABLES.items()
    }


def open_facts(folder: Path) -> Facts:
    """The facts of a folder's current version."""
    lake = Lake(folder)
    return lake.facts(lake.current)


def open_book(folder: Path, as_of: date, policy: Policy | None = None) -> Book:
    """The book of a facts folder at one day."""
    return Book(open_facts(folder), as_of, policy or Policy())


def relate(connection: "DuckDBPyConnection", folder: Path, version: Version | None = None) -> None:
    """The tables of a version, by default the current one, as DuckDB views."""
    lake = Lake(folder)
    version = version or lake.current
    for name in (*NAMED, "gone"):
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM {_scan(lake, [version.small[name]])}")
    connection.execute(
        "CREATE OR REPLACE VIEW cells AS SELECT * EXCLUDE (loans) "
        f"FROM {_scan(lake, [version.small['cells']])} WHERE loans > 0"
    )
    for kind in SHARDED:
        files = [f"{kind}-{shard.name}.parquet" for shard in version.shards]
        connection.execute(
            f"CREATE OR REPLACE VIEW {kind} AS FROM {_scan(lake, files)} ANTI JOIN gone USING (loan)"
        )


def _scan(lake: Lake, files: list[str]) -> str:
    return f"read_parquet([{', '.join(one_file(lake.path(name)) for name in files)}])"


def _read(path: Path) -> Version:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Version)
    except msgspec.ValidationError as error:
        raise DataError(f"{path} is no manifest of facts format {FORMAT}: {error}", "compute again") from None


def in_memory(connection: "DuckDBPyConnection") -> Facts:
    """Prepared facts as frames, for notebooks: one shard."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS facts_par15 ({PAR15_SCHEMA})")
    frames = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {order}").pl().lazy()
        for name, order in ORDERS.items()
    }
    small = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {order}").pl()
        for name, order in SMALL_ORDERS.items()
        if name in NAMED
    }
    held = connection.sql(f"SELECT {', '.join(HELD)} FROM held").pl()
    return Facts((Shard(**frames, ordered=True),), **small, held=held)
