"""One day, source to published: extract, compute, check, publish."""

import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

import polars as pl
import psycopg

import loanmetrics
from loanmetrics.engine import findings, results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.loan_state import loan_state
from loanmetrics.engine.loans import named_states
from loanmetrics.engine.state import State
from loanmetrics.facts import lake, raw
from loanmetrics.facts.extract import Source, extract
from loanmetrics.facts.prepare import Intake, prepare
from loanmetrics.jobs import gates
from loanmetrics.jobs.database import opened
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import runs
from loanmetrics.store.migrate import ensure_partitions
from loanmetrics.store.publish import newest_day, publish, stored
from loanmetrics.store.session import connect
from loanmetrics.tables import LOAN_STATE

RUN_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}")


@dataclass(frozen=True)
class Computed:
    """The figures of one day, checked, not yet published."""

    officers: pl.DataFrame
    branches: pl.DataFrame
    loan_states: pl.DataFrame
    outcome: runs.Outcome


@dataclass(frozen=True)
class ComputeReport:
    """What a run did, for people; ``changes`` is set by a dry run only."""

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


def compute(settings: Settings, as_of: date, policy: Policy) -> ComputeReport:
    """Compute and publish one day; nothing is published unless every gate lets it pass."""
    began = perf_counter()
    with (
        opened(settings) as url,
        connect(url, "loanmetrics compute") as connection,
        runs.run_lock(connection),
    ):
        ensure_partitions(connection)
        this = _start(connection, as_of, policy)
        folder = settings.facts_dir / this.run_id
        try:
            made = _figures(settings, url, as_of, policy, folder)
            newest = newest_day(connection)
            current = made.loan_states if newest is None or as_of >= newest else None
            done = publish(connection, this, made.officers, made.branches, current, outcome=made.outcome)
        except BaseException as error:
            _fail(connection, this, error)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _keep_only(folder)
    return _report(this.run_id, as_of, made, perf_counter() - began, done.total)


def dry_run(settings: Settings, as_of: date, policy: Policy) -> ComputeReport:
    """Compute one day and say how it differs from what is published; write nothing."""
    began = perf_counter()
    with opened(settings) as url, connect(url, "loanmetrics compute --dry-run") as connection:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=settings.home, prefix="dry-run-") as folder:
            made = _figures(settings, url, as_of, policy, Path(folder))
        changes = _differences(stored(connection, as_of), (made.officers, made.branches))
    return _report("dry run", as_of, made, perf_counter() - began, 0, changes)


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
        "gates      source = facts, officers = branches = book, loans = figures",
        "publish    one transaction: figures, loan state, log",
    ]
    book = Book(lake.in_memory(connection), date(2000, 1, 1), policy)
    return "\n".join([*steps, "", run.explain(book)])


def _start(connection: psycopg.Connection, as_of: date, policy: Policy) -> runs.Run:
    return runs.start(
        connection,
        "day",
        as_of,
        engine_version=loanmetrics.__version__,
        policy_hash=policy.hash,
        policy=policy.as_dict(),
        metric_revisions={name: metric.revision for name, metric in load().metrics.items()},
    )


def _fail(connection: psycopg.Connection, this: runs.Run, error: BaseException) -> None:
    """Close the log row, unless the connection is what failed: then the next run closes it."""
    if not connection.broken:
        runs.fail(connection, this, error)


def _figures(settings: Settings, url: str, as_of: date, policy: Policy, folder: Path) -> Computed:
    source, intake = _extract(settings, url, policy, folder)
    gates.source_equals_intake(source, intake)
    gates.nothing_disappears(intake, lake.rows(folder))
    gates.few_held_back(intake, policy)
    return _of_book(lake.open_book(folder, as_of, policy), settings.readers, source, intake)


def _extract(settings: Settings, url: str, policy: Policy, folder: Path) -> tuple[Source, Intake]:
    work = folder / "work"
    connection = raw.connect(work)
    try:
        source = extract(url, connection, work, settings.readers)
        intake = prepare(connection, policy)
        lake.write(connection, folder, intake, settings.shard_loans)
    finally:
        connection.close()
        shutil.rmtree(work, ignore_errors=True)
    return source, intake


def _keep_only(folder: Path) -> None:
    """The facts of the newest published run stay; older ones go; what is no run's is not ours."""
    for other in folder.parent.iterdir():
        if other != folder and RUN_ID.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)


def _of_book(book: Book, workers: int, source: Source, intake: Intake) -> Computed:
    catalogue = load()
    with ThreadPoolExecutor(workers) as pool:
        shards = run.each_shard(book, partial(_visit, catalogue=catalogue), pool)
    cells = run.merge(book, catalogue, [shard[0] for shard in shards])
    loan_states = _loan_states(book, [shard[1] for shard in shards])
    officers, branches = results.officers(cells, book, catalogue), results.branches(cells, book, catalogue)
    sums = gates.ties_out(cells, {"officers": officers, "branches": branches}, catalogue)
    gates.loans_match(cells, loan_states)
    found = _add_up([intake.findings, findings.of_officers(book), *(shard[2] for shard in shards)])
    outcome = runs.Outcome(
        records_processed=sum(intake.rows.values()),
        records_failed=sum(intake.quarantine.values()),
        quarantine={f"{table}.{rule}": count for (table, rule), count in intake.quarantine.items()},
        findings=found,
        reconciliation={"book": sums, "source_rows": source.rows, "source_sums": source.sums},
    )
    return Computed(officers, branches, loan_states, outcome)


def _visit(state: State, catalogue: Catalogue) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    return run.shard_cells(state, catalogue), loan_state(state), findings.of_shard(state)


def _loan_states(book: Book, parts: list[pl.DataFrame]) -> pl.DataFrame:
    shards = zip(parts, book.facts.shards, strict=True)
    return pl.concat(
        [named_states(part, shard.loans, book).select(LOAN_STATE.names) for part, shard in shards]
    )


def _add_up(counted: list[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for counts in counted for name in counts)
    totals = {name: sum(counts.get(name, 0) for counts in counted) for name in names}
    return {name: total for name, total in totals.items() if total}


def _report(
    run_id: str,
    as_of: date,
    made: Computed,
    seconds: float,
    changed: int,
    changes: pl.DataFrame | None = None,
) -> ComputeReport:
    return ComputeReport(
        run_id=run_id,
        as_of=as_of,
        officers=len(made.officers),
        branches=len(made.branches),
        loans=len(made.loan_states),
        seconds=seconds,
        quarantine=dict(made.outcome.quarantine),
        findings=dict(made.outcome.findings),
        changed=changed,
        changes=changes,
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
