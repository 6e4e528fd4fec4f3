"""A version of the facts -> the checked figures of one day, from scratch or from the sums of the run before."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from loanmetrics.engine import findings, results, run
from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.loan_state import loan_state
from loanmetrics.engine.state import Channels, State, channels
from loanmetrics.facts import lake as lakes
from loanmetrics.facts.advance import Rows, write_small_table
from loanmetrics.facts.extract import Source
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.prepare import Intake
from loanmetrics.facts.version import Day, Version
from loanmetrics.jobs import gates, sampling, states
from loanmetrics.jobs.states import Parts
from loanmetrics.jobs.sync import Synced
from loanmetrics.policy import Policy
from loanmetrics.steps import step
from loanmetrics.store import runs

Counts = dict[str, int]
# Made only when a run needs it: most runs read little, and no scheduler is asked for them.
Pool = Callable[[], AbstractContextManager[Executor]]


@dataclass(frozen=True)
class Sums:
    """A day's sums by cell, its findings, and the states of the loans that may have changed, in parts.

    ``touched`` names those loans; None: all of them, and the parts are files, one of a shard.
    """

    cells: pl.DataFrame
    findings: Counts
    loan_states: Parts
    touched: pl.Series | None


@dataclass(frozen=True)
class Computed:
    """The figures of one day, checked, not yet published."""

    officers: pl.DataFrame
    branches: pl.DataFrame
    sums: Sums
    loans: int
    outcome: runs.Outcome


def figures(
    synced: Synced, last: Version | None, lake: Lake, book: Book, pool: Pool, turn: int, room: Path
) -> Computed:
    """All figures of a day, through every gate; ``turn`` says which loans are computed twice.

    ``room`` is a folder, near the facts, for the states of loans until they are published.
    """
    catalogue = load(book.policy, book.as_of)
    step("check facts")
    intake = lakes.intake(lake, synced.version)
    gates.facts_are_whole(synced.source, intake, lakes.rows(book.facts), book.policy)
    step("measures")
    sums = _continued(synced, last, lake, book, catalogue) or _afresh(book, catalogue, pool, room)
    step("figures")
    cells = run.figures(book, catalogue, sums.cells)
    officers, branches = results.officers(cells, book, catalogue), results.branches(cells, book, catalogue)
    step("gates")
    totals = gates.ties_out(cells, {"officers": officers, "branches": branches}, catalogue)
    if sums.touched is None:
        gates.loans_match(cells, sums.loan_states)
    first = last.next_loan if last and sums.touched is not None else 0
    sample = sampling.hundredth(lake, synced.version, turn, first)
    twice = sampling.loans_agree(sample, book, sums.loan_states)
    dated = branches.with_columns(pl.lit(book.as_of).alias(gates.DAY))
    ledger = gates.ties_to_ledger(dated, lakes.ledger(lake, synced.version), book.policy)
    found = _add_up([intake.findings, findings.of_officers(book), sums.findings])
    return Computed(
        officers,
        branches,
        sums,
        totals["total_disbursed_count"],
        outcome(synced.source, intake, found, totals, ledger, twice),
    )


def outcome(
    source: Source,
    intake: Intake,
    found: Counts,
    totals: Counts,
    ledger: Sequence[gates.LedgerDay],
    twice: int,
) -> runs.Outcome:
    """What the log says of a run: rows read and held back, findings, the sums that tie out, and the ledger's.

    And how many loans were computed twice.
    """
    found = {**found, "gl_difference": sum(len(day["breaks"]) for day in ledger)}
    told = {
        "book": totals,
        "source_rows": source.rows,
        "source_sums": source.sums,
        "computed_twice": twice,
    }
    return runs.Outcome(
        records_processed=sum(intake.rows.values()),
        records_failed=sum(intake.quarantine.values()),
        quarantine={f"{table}.{rule}": count for (table, rule), count in intake.quarantine.items()},
        findings={name: count for name, count in found.items() if count},
        reconciliation={**told, "gl_balances": list(ledger)} if ledger else told,
    )


def remember(
    version: Version, last: Version | None, lake: Lake, as_of: date, policy: Policy, sums: Sums
) -> Version:
    """The version with a day's sums, for the next run of that day."""
    file = write_small_table(lake, last, version.run_id, "sums", sums.cells)
    day = Day(as_of, _fingerprint(load(policy, as_of)), sums.findings)
    return msgspec.structs.replace(version, day=day, small={**version.small, "sums": file})


def _afresh(book: Book, catalogue: Catalogue, pool: Pool, room: Path) -> Sums:
    """One pass over all shards."""
    paths = states.files(room, book)
    work = partial(
        _shard_sums,
        book=book.of_one_shard(),
        reference=channels(book),
        catalogue=catalogue,
        places=book.facts.cells,
    )
    with pool() as executor:
        shards = list(executor.map(work, book.facts.shards, paths))
    return Sums(
        run.add_up(catalogue, [cells for cells, _ in shards]),
        _add_up([found for _, found in shards]),
        states.parts(paths),
        None,
    )


def _shard_sums(
    shard: Shard, path: Path, *, book: Book, reference: Channels, catalogue: Catalogue, places: pl.DataFrame
) -> tuple[pl.DataFrame, Counts]:
    """A shard's sums and findings; the states of its loans go into a file."""
    cells, found, stood = run.visit_shard(shard, book, reference, partial(_visit, catalogue=catalogue))
    states.keep(stood, shard, places, path)
    return cells, found


def _continued(
    synced: Synced, last: Version | None, lake: Lake, book: Book, catalogue: Catalogue
) -> Sums | None:
    """The sums of the run before, less the touched loans as they stood, plus the same loans as they stand."""
    if synced.advanced is None or last is None or not _same_day(last, book, catalogue):
        return None
    was = replace(book, facts=lake.facts(last))
    then, today = channels(was), channels(book)
    if not _same_ground(was.facts, book.facts, then, today):
        return None
    before, now = synced.advanced.before, synced.advanced.now
    cells, found, _ = _stand(before, was, then, catalogue)
    new_cells, new_found, stood = _stand(now, book, today, catalogue)
    return Sums(
        run.add_up(catalogue, [lake.small(last, "sums"), cells.with_columns(-pl.exclude("cell")), new_cells]),
        _add_up([last.day.findings if last.day else {}, {name: -n for name, n in found.items()}, new_found]),
        (states.named(stood, now.shard.loans, book.facts.cells).lazy(),),
        pl.concat([before.loans["loan_id"], now.loans["loan_id"]]).unique(),
    )


def _same_day(last: Version, book: Book, catalogue: Catalogue) -> bool:
    return last.day is not None and (last.day.as_of, last.day.measures) == (
        book.as_of,
        _fingerprint(catalogue),
    )


def _same_ground(was: Facts, facts: Facts, then: Channels, today: Channels) -> bool:
    """What all loans' measures rest on: holidays, and the reference channels of the cells known before."""
    cells, names = then.allowed.shape
    return (
        was.holidays.equals(facts.holidays)
        and np.array_equal(then.allowed, today.allowed[:cells, :names])
        and np.array_equal(then.known, today.known[:cells])
    )


def _stand(
    rows: Rows, book: Book, reference: Channels, catalogue: Catalogue
) -> tuple[pl.DataFrame, Counts, pl.DataFrame]:
    return run.visit_shard(rows.shard, book, reference, partial(_visit, catalogue=catalogue))


def _visit(state: State, catalogue: Catalogue) -> tuple[pl.DataFrame, Counts, pl.DataFrame]:
    return run.shard_cells(state, catalogue), findings.of_shard(state), loan_state(state)


def _fingerprint(catalogue: Catalogue) -> str:
    """Changes whenever a stored sum would mean something else."""
    declared = [(measure.name, measure.kind, measure.sql) for measure in catalogue.measures.values()]
    return hashlib.sha256(repr(declared).encode()).hexdigest()[:16]


def _add_up(counted: list[Counts]) -> Counts:
    names = dict.fromkeys(name for counts in counted for name in counts)
    return {name: sum(counts.get(name, 0) for counts in counted) for name in names}
