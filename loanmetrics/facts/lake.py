"""Versions of a lender's facts: immutable Parquet files in one folder, and a manifest per run that names them.

A file is written once and never changed, so a reader is never blocked and an old version stays readable for as
long as its manifest is kept. A loan whose rows changed stands, whole, under a new key in a newer shard; its old key
is listed in ``gone``. Readers open the manifest of a completed run, never what lies newest in the folder.
Where an object store is set, it has all of that too; what is not in the folder is brought here when it is asked for.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from loanmetrics.engine.book import DUE_ORDER, HELD, LOAN_ORDER, REPAYMENT_ORDER, Book, Facts, Shard
from loanmetrics.errors import DataError
from loanmetrics.facts import days, leaves, records
from loanmetrics.facts.days import Days
from loanmetrics.facts.disk import remove, replace, sync
from loanmetrics.facts.leaves import LeafFiles, Leaves
from loanmetrics.facts.mirror import Mirror
from loanmetrics.facts.prepare import Intake
from loanmetrics.facts.quoting import one_file
from loanmetrics.facts.records import RECORDS
from loanmetrics.facts.remote import Remote
from loanmetrics.facts.version import (
    CURRENT,
    MANIFESTS,
    SHARDED,
    ShardFiles,
    Version,
    decoded,
    encoded,
    manifest,
)
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What runs leave that are killed. A run id ends in a dash and six letters: other files under way are not of runs.
UNFINISHED = ("work-*", ".split-*", "manifest.new", "manifests/*-??????.new")
NAMED = ("cells", "officers", "channels", "methods", "holidays", "par15")
SOURCE_TABLES = {"loans": "loans", "loan_schedule": "schedule", "repayments": "repayments"}
# No figure is made of it, but principal is held to it.
LEDGER = "gl_balances"
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
    RECORDS: "record",
}
PARQUET = "FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 262144"


@dataclass(frozen=True)
class Lake:
    """A folder of facts files and manifests, and the store that has them too, if there is one."""

    folder: Path
    remote: Remote | None = None

    def path(self, name: str) -> Path:
        """Where a file of this lake lies."""
        return self.folder / name

    @cached_property
    def mirror(self) -> Mirror | None:
        """The way to the store."""
        return Mirror(self.folder, self.remote) if self.remote else None

    @property
    def days(self) -> Days:
        """What is kept of this lake's loans on single days."""
        return Days(self.folder / days.FOLDER)

    @property
    def leaves(self) -> LeafFiles:
        """What the partitions of the source held in the last run."""
        return LeafFiles(self.folder / leaves.FOLDER)

    def holds(self, run_id: str) -> bool:
        """Whether all that a run knew can be read."""
        if not self._knows(run_id):
            return False
        version = self.version(run_id)
        if self.mirror:
            return self.mirror.gives(version, version.files)
        return all(self.path(name).is_file() for name in version.files)

    def version(self, run_id: str) -> Version:
        """The facts as a run knew them."""
        if not self._knows(run_id):
            raise DataError(f"the facts of run {run_id} are not kept here", "loanmetrics runs")
        path = self.path(manifest(run_id))
        return decoded(path.read_bytes(), path)

    def to_go_on_from(self, run_id: str) -> Version:
        """The facts as a run knew them, to be shared by the next: a store that lost them is to get them again."""
        version = self.version(run_id)
        if self.remote and version.lies_at(str(self.remote)) and self.remote.has(manifest(run_id)):
            return version
        return msgspec.structs.replace(version, stored=msgspec.UNSET)

    def _knows(self, run_id: str) -> bool:
        return self.mirror.knows(run_id) if self.mirror else self.path(manifest(run_id)).is_file()

    @cached_property
    def current(self) -> Version:
        """The version of the last run that completed."""
        path = self.path(CURRENT)
        here = path.read_bytes() if path.is_file() else None
        content = self.remote.read(CURRENT) if self.remote else here
        if content is None:
            where = self.remote or self.folder
            raise DataError(f"{where} holds no facts", "it has no manifest.json; extract or load first")
        return decoded(content, path)

    def keep(self, version: Version) -> Version:
        """Have a run's files on disk, in the store if there is one, and their manifest, before the run completes."""
        for name in version.files:
            if version.run_id in name:
                sync(self.path(name))
        if self.mirror:
            return self.mirror.push(version, version.in_store, version.files | version.leaf_files)
        alone = msgspec.structs.replace(version, stored=msgspec.UNSET)
        replace(self.path(manifest(version.run_id)), encoded(alone))
        return alone

    def point_to(self, version: Version) -> None:
        """Name the version that readers without a database open, after its run has completed."""
        replace(self.path(CURRENT), encoded(version))
        if self.remote:
            self.remote.write(CURRENT, encoded(version))

    def bring(self, version: Version, names: Iterable[str]) -> None:
        """Have some of a version's files in the folder."""
        if self.mirror:
            self.mirror.pull(version, names)

    def small(self, version: Version, name: str) -> pl.DataFrame:
        """One of a version's small tables."""
        self.bring(version, [version.small[name]])
        return pl.read_parquet(self.path(version.small[name]))

    def facts(self, version: Version) -> Facts:
        """A version's facts, as lazy scans of its shards."""
        self.bring(version, version.files)
        named = {name: self.small(version, name) for name in NAMED}
        held = self.small(version, "held").select(*HELD)
        told = self.small(version, RECORDS) if RECORDS in version.small else None
        return Facts(
            tuple(self.shards(version)),
            **(named | {"cells": inhabited(named["cells"]), "held": held}),
            reassigned=records.known(told),
        )

    def shards(self, version: Version) -> Iterator[Shard]:
        """A version's shards, without the loans that stand elsewhere by now."""
        self.bring(version, [name for shard in version.shards for name in shard.files])
        gone = self.small(version, "gone")["loan"]
        return (self.shard(version, shard, gone) for shard in version.shards)

    def shard(self, version: Version, shard: ShardFiles, gone: pl.Series) -> Shard:
        """One shard of a version, without the loans whose keys are ``gone``."""
        self.bring(version, shard.files)
        retired = shard.retired(gone)
        kept = ~pl.col("loan").is_in(retired.implode()) if len(retired) else None
        scans = [pl.scan_parquet(self.path(name), glob=False) for name in shard.files]
        loans, schedule, repayments = scans if kept is None else (scan.filter(kept) for scan in scans)
        return Shard(loans, schedule, repayments, ordered=True)

    def prune(self, keep: Collection[str]) -> int:
        """Delete the files that no manifest of the runs to ``keep`` names, and the other manifests.

        Also what runs left that were killed: no run may be writing here.
        """
        remove(self.folder, *UNFINISHED)
        needed: set[str] = set()
        shards: set[str] = set()
        newest: Leaves = {}
        manifests = self.folder / MANIFESTS
        for path in sorted(manifests.glob("*.json")) if manifests.is_dir() else ():
            if path.stem in keep:
                version = decoded(path.read_bytes(), path)
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


def in_memory(connection: "DuckDBPyConnection") -> Facts:
    """Prepared facts as frames, for notebooks: one shard."""
    records.expect(connection)
    frames = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {order}").pl().lazy()
        for name, order in ORDERS.items()
    }
    small = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {order}").pl()
        for name, order in SMALL_ORDERS.items()
        if name in (*NAMED, RECORDS)
    }
    held = connection.sql(f"SELECT {', '.join(HELD)} FROM held").pl()
    told = records.known(small.pop(RECORDS))
    return Facts((Shard(**frames, ordered=True),), **small, held=held, reassigned=told)
