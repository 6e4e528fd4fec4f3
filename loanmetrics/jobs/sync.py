"""The source's newest state as a version of the facts: only what changed since the last run, if that can be known."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import loanmetrics
from loanmetrics.facts import raw
from loanmetrics.facts.advance import Advanced, Rows, advance, coupled, held_of, known, rows_of
from loanmetrics.facts.extract import Snapshot, Source, extract, snapshot
from loanmetrics.facts.lake import Lake, Version
from loanmetrics.facts.prepare import prepare
from loanmetrics.facts.writing import write
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import changes

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


def sync(
    settings: Settings, url: str, lake: Lake, last: Version | None, run_id: str, policy: Policy, why: str
) -> Synced:
    """Read what changed since ``last``; without one, everything, and ``why`` says for what reason."""
    with snapshot(url) as held:
        mark = changes.mark(held.leader)
        touched = _touched(held, last, policy, why)
        work = lake.folder / f"work-{run_id}"
        try:
            if last is None or touched.reason:
                return _everything(settings, held, lake, work, run_id, policy, mark, touched.reason)
            return _changes(settings, held, lake, work, last, run_id, policy, mark, touched.loans)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _touched(held: Snapshot, last: Version | None, policy: Policy, why: str) -> changes.Touched:
    reason = _unlike(last, policy, why)
    if last is None or last.mark is None or reason:
        return changes.Touched(frozenset(), frozenset(), reason or "no mark")
    found = changes.touched(held.leader, changes.Mark(**last.mark))
    whole = found.tables.intersection(changes.LOAN_TABLES)
    if whole and not found.reason:
        return changes.Touched(frozenset(), frozenset(), f"much of {', '.join(sorted(whole))} changed")
    if len(found.loans) > max(FEW, MOST_TOUCHED * last.rows["loans"]):
        return changes.Touched(frozenset(), frozenset(), f"{len(found.loans):,} loans changed")
    return found


def _unlike(last: Version | None, policy: Policy, why: str) -> str | None:
    if last is None:
        return why
    if last.engine != loanmetrics.__version__:
        return "another version of loanmetrics"
    return None if last.policy == policy.as_dict() else "another policy"


def _everything(
    settings: Settings,
    held: Snapshot,
    lake: Lake,
    work: Path,
    run_id: str,
    policy: Policy,
    mark: changes.Mark,
    reason: str | None,
) -> Synced:
    with _workshop(work) as connection:
        source = extract(held, connection, work, settings.readers)
        intake = prepare(connection, policy)
        version = write(connection, lake, run_id, policy, intake, settings.shard_loans, **_about(mark))
    return Synced(version, source, mark, reason=reason)


def _changes(
    settings: Settings,
    held: Snapshot,
    lake: Lake,
    work: Path,
    last: Version,
    run_id: str,
    policy: Policy,
    mark: changes.Mark,
    loans: frozenset[str],
) -> Synced:
    """Read the touched loans, and with them the loans that share a repayment id with one of them."""
    while True:
        with _workshop(work) as connection:
            source = extract(held, connection, work, settings.readers, loans)
            before = rows_of(lake, last, pl.Series("loan_id", sorted(loans), dtype=pl.String))
            more = _coupled(connection, lake, last, before, loans) - loans
            if not more:
                intake = prepare(connection, policy, known(lake, last))
                advanced = advance(
                    connection,
                    lake,
                    last,
                    run_id,
                    loans,
                    before,
                    intake,
                    source,
                    policy,
                    settings.shard_loans,
                    **_about(mark),
                )
                return Synced(advanced.version, advanced.source, mark, advanced)
        loans |= more


def _coupled(
    connection: "DuckDBPyConnection", lake: Lake, last: Version, before: Rows, loans: frozenset[str]
) -> frozenset[str]:
    if not loans:
        return frozenset()
    held = held_of(lake, last, pl.Series("loan_id", sorted(loans))).filter(table_name="repayments")
    fresh = connection.sql("SELECT repayment_id FROM raw.repayments").pl()["repayment_id"]
    return coupled(lake, last, before, held, fresh)


def _about(mark: changes.Mark) -> dict[str, object]:
    return {"engine": loanmetrics.__version__, "mark": asdict(mark)}


@contextmanager
def _workshop(work: Path) -> "Iterator[DuckDBPyConnection]":
    connection = raw.connect(work)
    try:
        yield connection
    finally:
        connection.close()
