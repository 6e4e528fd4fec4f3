"""Many days, source to published: every day's rows from one pass over the timeline, month by month."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import polars as pl

from loanmetrics.engine import results
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.history import by_day
from loanmetrics.engine.history.sums import sums
from loanmetrics.engine.history.transitions import transitions
from loanmetrics.errors import UsageError
from loanmetrics.facts import lake as lakes
from loanmetrics.facts.disk import own_folder
from loanmetrics.facts.extract import Source
from loanmetrics.facts.version import Version
from loanmetrics.jobs import gates, restated, sampling, states
from loanmetrics.jobs.executors import executor
from loanmetrics.jobs.figures import outcome
from loanmetrics.jobs.retrying import AGAIN, give_up_or_go_on
from loanmetrics.jobs.run_report import breaks
from loanmetrics.jobs.running import Workplace, at_work
from loanmetrics.jobs.sampling import Sample
from loanmetrics.jobs.states import ROOM, Parts
from loanmetrics.jobs.sync import Synced, sync
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.steps import step
from loanmetrics.store import runs
from loanmetrics.store.announce import announce
from loanmetrics.store.publish import publish
from loanmetrics.tables import BRANCH_METRICS, OFFICER_METRICS


@dataclass(frozen=True)
class Month:
    """What a backfill did with the days of one month: rows it changed, by table, and where the ledger differs."""

    run_id: str
    first: date
    last: date
    changed: dict[str, int]
    breaks: list[dict[str, Any]]
    seconds: float


@dataclass(frozen=True)
class Days:
    """All that is published of some days."""

    officers: pl.DataFrame
    branches: pl.DataFrame
    transitions: pl.DataFrame
    par15: pl.DataFrame


def backfill(
    settings: Settings,
    first: date,
    last: date,
    policy: Policy,
    *,
    again: Iterable[object] = (),
    begins: Callable[[date, date], None] = lambda *_: None,
) -> Iterator[Month]:
    """Publish every day from ``first`` to ``last`` as it is known now, one transaction per month.

    Figures that were published otherwise are kept in ``restatements``. Killed, it is simply run again: what stands
    already is not written twice. While the database is away, one more try for each of ``again``. ``begins`` is told the
    days of each month before they are computed.
    """
    if first > last:
        raise UsageError(f"{first} is after {last}", "give --from before --to")
    tries = iter(again)
    while True:
        try:
            for month in _published(settings, first, last, policy, begins):
                first = month.last + timedelta(days=1)
                yield month
            return
        except AGAIN as error:
            give_up_or_go_on(error, tries)


def _published(
    settings: Settings, first: date, last: date, policy: Policy, begins: Callable[[date, date], None]
) -> Iterator[Month]:
    with at_work(settings, "loanmetrics backfill") as place:
        version: Version | None = None
        for begin, end in _stretches(first, last, policy):
            began = perf_counter()
            begins(begin, end)
            with (
                place.run("backfill", end, policy) as this,
                executor(settings, place.lake.folder) as pool,
            ):
                synced = _facts(settings, place, version, this, policy)
                step("keep facts")
                version = place.lake.keep(synced.version)
                with own_folder(place.lake.folder, ROOM) as room:
                    changed, differ = _publish(place, this, begin, synced, policy, pool, room)
            step("point")
            place.lake.point_to(version)
            announce(settings.redis_url, this.run_id)
            yield Month(this.run_id, begin, end, changed, differ, perf_counter() - began)


def _stretches(first: date, last: date, policy: Policy) -> Iterator[tuple[date, date]]:
    """The days cut at the ends of months, and where another revision begins: a run names the revisions of its days."""
    while first <= last:
        month = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        ends = [begin - timedelta(days=1) for begin in policy.turns(first, last)]
        end = min(month, last, *ends)
        yield first, end
        first = end + timedelta(days=1)


def _facts(
    settings: Settings, place: Workplace, version: Version | None, this: runs.Run, policy: Policy
) -> Synced:
    """The source is read once; every month is computed from the same facts."""
    if version is not None:
        source = Source(version.rows, version.sums)
        return Synced(msgspec.structs.replace(version, run_id=this.run_id), source)
    before, why = place.last()
    synced = sync(settings, place, before, this.run_id, policy, why)
    step("check facts")
    intake = lakes.intake(place.lake, synced.version)
    gates.facts_are_whole(synced.source, intake, lakes.rows(place.lake.facts(synced.version)), policy)
    return synced


def _publish(
    place: Workplace,
    this: runs.Run,
    first: date,
    synced: Synced,
    policy: Policy,
    pool: Executor,
    room: Path,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Rows it changed, by table, and branches that differ from the general ledger."""
    book = Book(place.lake.facts(synced.version), this.day, policy)
    intake = lakes.intake(place.lake, synced.version)
    made = days(book, first, pool)
    ledger = gates.ties_to_ledger(made.branches, lakes.ledger(place.lake, synced.version), policy)
    sample = sampling.hundredth(place.lake, synced.version, this.number)
    _agrees(sample, book)
    newest = _loans(book, made, pool, room) if place.is_newest(this.day) else None
    twice = len(sample.keys) if newest is None else sampling.loans_agree(sample, book, newest)
    place.is_still_there()
    done = publish(
        place.connection,
        this,
        made.officers,
        made.branches,
        newest,
        transitions=made.transitions,
        par15=made.par15,
        outcome=outcome(synced.source, intake, intake.findings, {}, ledger, twice),
        along=lambda: _along(place, this, synced, policy, made),
        first=first,
        restate=True,
    )
    return done.changed, breaks(ledger)


def _loans(book: Book, made: Days, pool: Executor, room: Path) -> Parts:
    """Every loan as it stands on the last of the days, held to what is told of that day."""
    found = states.of_all(book, pool, room)
    gates.loans_match(made.branches.filter(pl.col(by_day.DAY) == book.as_of), found)
    return found


def _agrees(sample: Sample, book: Book) -> None:
    """The pass over many days gives a sample's sums of the last day as the second engine does."""
    some, day, catalogue = sample.of(book.facts), book.as_of, load(book.policy, book.as_of)
    totals = sums(some, book.policy, day, day, catalogue)
    sampling.cells_agree(sample, book, by_day.cells(some, totals, day, day, catalogue))


def _along(place: Workplace, this: runs.Run, synced: Synced, policy: Policy, made: Days) -> None:
    place.advance(synced.mark)
    published = {OFFICER_METRICS.name: made.officers, BRANCH_METRICS.name: made.branches}
    restated.tell(place, this.run_id, synced.version, policy, published)


def days(book: Book, first: date, pool: Executor | None = None) -> Days:
    """Everything published of the days from ``first`` to the book's, checked day by day."""
    catalogue, last = load(book.policy, book.as_of), book.as_of
    step("measures")
    totals = sums(book.facts, book.policy, first, last, catalogue, pool)
    moved = transitions(book.facts, book.policy, first, last, pool)
    step("figures")
    cells = by_day.cells(book.facts, totals, first, last, catalogue)
    calendar = by_day.calendar(first, last)
    officers = results.officers(cells, book, catalogue, calendar)
    branches = results.branches(cells, book, catalogue, days=calendar)
    step("gates")
    for day in cells[by_day.DAY].unique():
        tables = {"officers": officers, "branches": branches}
        gates.ties_out(
            cells.filter(pl.col(by_day.DAY) == day),
            {name: table.filter(pl.col(by_day.DAY) == day) for name, table in tables.items()},
            catalogue,
        )
    return Days(officers, branches, moved, by_day.par15_snapshots(book.facts, totals, first, last))
