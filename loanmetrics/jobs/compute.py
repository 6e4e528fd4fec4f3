"""One day, source to published: extract, compute, check, publish."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.facts import lake as lakes
from loanmetrics.facts import raw
from loanmetrics.facts.disk import own_folder
from loanmetrics.facts.extract import Source
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.prepare import prepare
from loanmetrics.facts.version import Version
from loanmetrics.jobs import restated
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.executors import executor, ready
from loanmetrics.jobs.figures import Computed, figures, remember
from loanmetrics.jobs.retrying import patiently
from loanmetrics.jobs.run_report import breaks
from loanmetrics.jobs.running import Workplace, at_work, lake_of
from loanmetrics.jobs.states import ROOM
from loanmetrics.jobs.sync import Synced, sync
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.steps import step
from loanmetrics.store import runs
from loanmetrics.store.announce import announce
from loanmetrics.store.publish import Published, publish, stored
from loanmetrics.store.session import connect
from loanmetrics.tables import BRANCH_METRICS, OFFICER_METRICS


@dataclass(frozen=True)
class ComputeReport:
    """What a run did, for people; ``changes`` is set by a dry run only.

    ``reason`` says why all of the source was read; None: only what changed was. ``how`` says it in words. ``breaks``
    are the branches that differ from the general ledger.
    """

    run_id: str
    as_of: date
    officers: int
    branches: int
    loans: int
    seconds: float
    quarantine: dict[str, int]
    findings: dict[str, int]
    changed: int
    changes: pl.DataFrame | None = None
    reason: str | None = None
    how: str = ""
    breaks: tuple[dict[str, Any], ...] = ()


def compute(
    settings: Settings,
    as_of: date,
    policy: Policy,
    *,
    full: bool = False,
    kind: str = runs.DAY,
    again: Iterable[object] = (),
) -> ComputeReport:
    """Compute and publish one day; nothing is published unless every gate lets it pass.

    Reads what changed since the last run, if that can be known; ``full`` reads everything. A run of kind ``event``
    is one of many: it leaves tidying up to those of the schedule. While the database is away, one more try for each
    of ``again``.
    """
    return patiently(lambda: _run(settings, as_of, policy, full, kind), again)


def _run(settings: Settings, as_of: date, policy: Policy, full: bool, kind: str) -> ComputeReport:
    began = perf_counter()
    tidy = kind != runs.EVENT
    with (
        at_work(settings, "loanmetrics compute", tidy=tidy) as place,
        place.run(kind, as_of, policy) as this,
    ):
        last, why = (None, "asked for") if full else place.last()
        if last is None:
            ready(settings)
        synced = sync(settings, place, last, this.run_id, policy, why)
        with own_folder(place.lake.folder, ROOM) as room:
            made = _figures(settings, place.lake, synced, last, as_of, policy, room, this.number)
            step("keep facts")
            version = remember(synced.version, last, place.lake, as_of, policy, made.sums)
            version = place.lake.keep(version)
            done = _publish(place, this, made, synced, policy)
        step("point")
        place.lake.point_to(version)
        announce(settings.redis_url, this.run_id)
    return _report(this.run_id, as_of, made, perf_counter() - began, done.total, synced=synced)


def dry_run(settings: Settings, as_of: date, policy: Policy) -> ComputeReport:
    """Compute one day and say how it differs from what is published; write nothing."""
    began = perf_counter()
    with opened(settings) as url, connect(url, "loanmetrics compute --dry-run") as connection:
        settings.home.mkdir(parents=True, exist_ok=True)
        with own_folder(settings.home, "dry-run-") as folder:
            lake = Lake(folder)
            ready(settings)
            place = Workplace(url, connection, lake)
            synced = sync(settings, place, None, "dry-run", policy, "a dry run", goes_on=False)
            made = _figures(settings, lake, synced, None, as_of, policy, folder)
        differences = _differences(stored(connection, as_of), (made.officers, made.branches))
    return _report("dry run", as_of, made, perf_counter() - began, 0, differences)


def known_at(settings: Settings, as_of: date, run_id: str) -> ComputeReport:
    """A day's figures by what an earlier run knew, its facts and its policy, beside what is published now.

    Writes nothing.
    """
    began = perf_counter()
    with opened(settings) as url, connect(url, "loanmetrics compute --known-at") as connection:
        lake = lake_of(settings, connection)
        version = lake.version(run_id)
        policy = Policy.from_dict(version.policy)
        synced = Synced(version, Source(version.rows, version.sums))
        settings.home.mkdir(parents=True, exist_ok=True)
        with own_folder(lake.folder if settings.scheduler else settings.home, ROOM) as room:
            made = _figures(settings, lake, synced, None, as_of, policy, room)
        differences = _differences(stored(connection, as_of), (made.officers, made.branches))
    return _report(run_id, as_of, made, perf_counter() - began, 0, differences)


def _figures(
    settings: Settings,
    lake: Lake,
    synced: Synced,
    last: Version | None,
    as_of: date,
    policy: Policy,
    room: Path,
    turn: int | None = None,
) -> Computed:
    """Without a number of its own, a run takes the day's for its turn."""
    book = Book(lake.facts(synced.version), as_of, policy)
    pool = partial(executor, settings, lake.folder)
    return figures(synced, last, lake, book, pool, as_of.toordinal() if turn is None else turn, room)


def _publish(place: Workplace, this: runs.Run, made: Computed, synced: Synced, policy: Policy) -> Published:
    """One transaction: figures, loan state if the day is the newest, log, and where the change log was read to."""
    place.is_still_there()
    is_newest = place.is_newest(this.day)
    return publish(
        place.connection,
        this,
        made.officers,
        made.branches,
        made.sums.loan_states if is_newest else None,
        touched=made.sums.touched,
        outcome=made.outcome,
        along=lambda: _along(place, this, made, synced, policy),
        restate=not is_newest,
    )


def _along(place: Workplace, this: runs.Run, made: Computed, synced: Synced, policy: Policy) -> None:
    place.advance(synced.mark)
    published = {OFFICER_METRICS.name: made.officers, BRANCH_METRICS.name: made.branches}
    restated.tell(place, this.run_id, synced.version, policy, published)


def plan(policy: Policy) -> str:
    """The steps of a run and the lazy plan from loan state to measures."""
    connection = raw.connect()
    raw.from_frames(connection, {})
    prepare(connection, policy)
    steps = [
        "extract    one exported snapshot, parallel readers, the columns the engine reads",
        "prepare    hold back rows that break a rule; dense integer keys; sorted shards of loans",
        "timeline   per shard: dues and credits to segments on which a loan's debt is constant",
        "state      per shard: every loan at the end of the day",
        "measures   per shard, the plan below; shards merge by adding",
        "figures    officers, branches: formulas, bands, rank",
        "gates      source = facts, officers = branches = book, loans = figures, a hundredth = DuckDB's",
        "publish    one transaction: figures, loan state, log",
    ]
    book = Book(lakes.in_memory(connection), date(2000, 1, 1), policy)
    return "\n".join([*steps, "", run.explain(book)])


def _report(
    run_id: str,
    as_of: date,
    made: Computed,
    seconds: float,
    changed: int,
    changes: pl.DataFrame | None = None,
    synced: Synced | None = None,
) -> ComputeReport:
    return ComputeReport(
        run_id=run_id,
        as_of=as_of,
        officers=len(made.officers),
        branches=len(made.branches),
        loans=made.loans,
        seconds=seconds,
        quarantine=dict(made.outcome.quarantine),
        findings=dict(made.outcome.findings),
        changed=changed,
        changes=changes,
        reason=synced.reason if synced else None,
        how=synced.how if synced else "",
        breaks=tuple(breaks(made.outcome.reconciliation.get("gl_balances", []))),
    )


def _differences(
    before: tuple[pl.DataFrame, pl.DataFrame], after: tuple[pl.DataFrame, pl.DataFrame]
) -> pl.DataFrame:
    """One row per figure that would change: who, which figure, stored, computed."""
    keys = (("officer_id",), ("region", "branch"))
    parts = [_changed(old, new, key) for old, new, key in zip(before, after, keys, strict=True)]
    return pl.concat(parts)


def _changed(old: pl.DataFrame, new: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    shared = [name for name in new.columns if name in old.columns and name not in key]
    sides = [
        frame.select(
            pl.concat_str(key, separator=" / ").alias("of"),
            *(pl.col(name).cast(pl.String) for name in shared),
        ).unpivot(index="of", variable_name="figure", value_name=side)
        for frame, side in ((old, "stored"), (new, "computed"))
    ]
    both = sides[0].join(sides[1], on=["of", "figure"], how="full", coalesce=True)
    return both.filter(pl.col("stored").ne_missing(pl.col("computed"))).sort("of", "figure")
