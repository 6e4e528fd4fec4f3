"""The source's newest state as a version of the facts: only what changed since the last run, if that can be known."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg

import loanmetrics
from loanmetrics.facts import hashes, raw
from loanmetrics.facts.advance import Advanced, Rows, advance, coupled, held_of, known, rows_of
from loanmetrics.facts.extract import Snapshot, Source, extract, snapshot
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.prepare import prepare
from loanmetrics.facts.version import Version
from loanmetrics.facts.writing import write
from loanmetrics.jobs.running import Workplace
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.steps import step
from loanmetrics.store import changes
from loanmetrics.store.session import may_be_lost

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Above this share of all loans, unless they are few, reading everything is faster than picking.
MOST_TOUCHED = 0.2
FEW = 1_000


@dataclass(frozen=True)
class Synced:
    """A new version of the facts; ``advanced`` if it follows from the last one, else ``reason`` why all was read."""

    version: Version
    source: Source
    mark: changes.Mark | None = None
    advanced: Advanced | None = None
    reason: str | None = None

    @property
    def how(self) -> str:
        """How the source was read, for people."""
        if self.advanced is None:
            return f"read everything ({self.reason})"
        return "read what changed" if self.mark else "read what changed, by content hash"


@dataclass(frozen=True)
class Task:
    """One reading of the source: for which run, in which snapshot, and what is known of changes since the last."""

    settings: Settings
    place: Workplace
    held: Snapshot
    work: Path
    run_id: str
    policy: Policy
    mark: changes.Mark | None
    hashed: hashes.Found | None

    @property
    def own(self) -> psycopg.Connection | None:
        """Where our own tables are, if not in the source."""
        return self.place.connection if self.settings.source_url else None

    @property
    def about(self) -> dict[str, Any]:
        """What the version is to say of how the source was read."""
        told = {"mark": asdict(self.mark)} if self.mark else {}
        seen = {"leaves": self.hashed.leaves} if self.hashed else {}
        return {"engine": loanmetrics.__version__, **told, **seen}

    def counted(self, source: Source) -> Source:
        """What the source says it holds: by hashing, whole tables were counted."""
        if self.hashed is None:
            return source
        return Source(source.rows | self.hashed.rows, source.sums | self.hashed.sums)


def sync(
    settings: Settings,
    place: Workplace,
    last: Version | None,
    run_id: str,
    policy: Policy,
    why: str,
    *,
    goes_on: bool = True,
) -> Synced:
    """Read what changed since ``last``; without one, everything, and ``why`` says for what reason.

    ``goes_on``: the next run may go on from here.
    """
    step("look for changes")
    work = place.lake.folder / f"work-{run_id}"
    reason = _unlike(last, policy, why)
    with may_be_lost(), snapshot(settings.source_url or place.url) as held:
        task = Task(settings, place, held, work, run_id, policy, None, None)
        try:
            if not goes_on:
                return _everything(task, why)
            task, touched = _look(task, last, reason)
            if last is None or touched.reason:
                return _everything(task, touched.reason)
            return _changes(task, last, touched.loans)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _look(task: Task, last: Version | None, reason: str | None) -> tuple[Task, changes.Touched]:
    """Find out what changed, as the settings say."""
    if task.settings.change_detection == "hashes":
        found = hashes.find(task.held, task.place.lake, last, task.run_id, task.settings.readers, reason)
        return replace(task, hashed=found), _worthwhile(found.touched, last)
    marked = replace(task, mark=changes.mark(task.held.leader))
    if reason or last is None or last.mark is None:
        return marked, changes.Touched(frozenset(), frozenset(), reason or "no mark")
    return marked, _worthwhile(changes.touched(task.held.leader, changes.Mark(**last.mark)), last)


def _worthwhile(found: changes.Touched, last: Version | None) -> changes.Touched:
    """Whether to pick what was touched: not where much was."""
    if found.reason or last is None:
        return found
    whole = found.tables.intersection(changes.LOAN_TABLES)
    if whole:
        return replace(found, reason=f"much of {', '.join(sorted(whole))} changed")
    if len(found.loans) > max(FEW, MOST_TOUCHED * last.rows["loans"]):
        return replace(found, reason=f"{len(found.loans):,} loans changed")
    return found


def _unlike(last: Version | None, policy: Policy, why: str) -> str | None:
    if last is None:
        return why
    if last.engine != loanmetrics.__version__:
        return "another version of loanmetrics"
    return None if last.policy == policy.as_dict() else "another policy"


def _everything(task: Task, reason: str | None) -> Synced:
    settings, lake = task.settings, task.place.lake
    with _workshop(task.work) as connection:
        step("extract")
        source = extract(task.held, connection, task.work, settings.readers, own=task.own)
        step("prepare")
        intake = prepare(connection, task.policy)
        step("write facts")
        version = write(
            connection, lake, task.run_id, task.policy, intake, settings.shard_loans, **task.about
        )
    return Synced(version, task.counted(source), task.mark, reason=reason)


def _changes(task: Task, last: Version, loans: frozenset[str]) -> Synced:
    """Read the touched loans, and with them the loans that share a repayment id with one of them."""
    settings, lake = task.settings, task.place.lake
    while True:
        with _workshop(task.work) as connection:
            step("extract")
            source = extract(task.held, connection, task.work, settings.readers, loans, task.own)
            step("prepare")
            before = rows_of(lake, last, pl.Series("loan_id", sorted(loans), dtype=pl.String))
            more = _coupled(connection, lake, last, before, loans) - loans
            if not more:
                intake = prepare(connection, task.policy, known(lake, last))
                step("write facts")
                advanced = advance(
                    connection,
                    lake,
                    last,
                    task.run_id,
                    loans,
                    before,
                    intake,
                    source,
                    task.policy,
                    settings.shard_loans,
                    **task.about,
                )
                return Synced(advanced.version, task.counted(advanced.source), task.mark, advanced)
        loans |= more


def _coupled(
    connection: "DuckDBPyConnection", lake: Lake, last: Version, before: Rows, loans: frozenset[str]
) -> frozenset[str]:
    if not loans:
        return frozenset()
    held = held_of(lake, last, pl.Series("loan_id", sorted(loans))).filter(table_name="repayments")
    fresh = connection.sql("SELECT repayment_id FROM raw.repayments").pl()["repayment_id"]
    return coupled(lake, last, before, held, fresh)


@contextmanager
def _workshop(work: Path) -> "Iterator[DuckDBPyConnection]":
    connection = raw.connect(work)
    try:
        yield connection
    finally:
        connection.close()
