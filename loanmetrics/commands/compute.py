"""Figures of one day, or of many."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf, PolicyFile, Scheduler, Wait
from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from loanmetrics.jobs.compute import ComputeReport

MOST_BREAKS = 20


def compute(
    as_of: AsOf = None,
    policy: PolicyFile = None,
    scheduler: Scheduler = None,
    wait: Wait = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; publish nothing.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the plan of a run; compute nothing.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read all of the source, not only what changed since the last run.")
    ] = False,
    known_at: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Compute the day from what this run knew and show how that differs; publish nothing.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="With --dry-run or --known-at: write every change to this CSV, JSON or Parquet file."
        ),
    ] = None,
) -> None:
    """Compute and publish all figures of one day (default: today)."""
    from loanmetrics import console
    from loanmetrics.jobs import compute as job
    from loanmetrics.jobs.retrying import pauses

    settings = shared.settings(scheduler).but("option", lock_wait=wait)
    chosen = shared.policy(settings, policy)
    if explain:
        console.say(job.plan(chosen))
        return
    if output and not (dry_run or known_at):
        raise UsageError(
            "--output is for the changes of a --dry-run or --known-at",
            "loanmetrics show officers --output FILE",
        )
    format_ = shared.format_of(None, output)
    day = shared.computable(shared.day(as_of), shared.today(chosen))
    if known_at:
        made = job.known_at(settings, day, known_at)
    else:
        made = (
            job.dry_run(settings, day, chosen)
            if dry_run
            else job.compute(settings, day, chosen, full=full, again=pauses())
        )
    _print_compute(made)
    if made.changes is not None:
        _print_changes(made.changes, format_, output)


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")],
    policy: PolicyFile = None,
    scheduler: Scheduler = None,
    wait: Wait = None,
) -> None:
    """Publish every day of a stretch as it is known now, month by month; what it restates is kept."""
    from loanmetrics import console
    from loanmetrics.jobs import backfill as job
    from loanmetrics.jobs.retrying import pauses

    settings = shared.settings(scheduler).but("option", lock_wait=wait)
    chosen = shared.policy(settings, policy)
    today = shared.today(chosen)
    begin, end = (shared.computable(day.date(), today) for day in (first, last))
    for month in job.backfill(settings, begin, end, chosen, again=pauses(), begins=_tell_days):
        told = ", ".join(f"{table} {rows:,}" for table, rows in month.changed.items() if rows)
        console.say(
            f"{month.first} to {month.last}: {told or 'nothing changed'} in {month.seconds:.1f} s ({month.run_id})"
        )
        _print_breaks(month.breaks)


def _tell_days(first: date, last: date) -> None:
    from loanmetrics import console

    days = (last - first).days + 1
    console.note_stage(f"{first} to {last}: computing {days} {'day' if days == 1 else 'days'} ...")


def _print_compute(made: "ComputeReport") -> None:
    from loanmetrics import console

    did = "published" if made.changes is None else "would publish"
    changed = f"; {made.changed:,} rows changed" if made.changes is None else ""
    console.say(
        f"as of {made.as_of}: {did} {made.officers:,} officers and {made.branches:,} branches "
        f"from {made.loans:,} loans in {made.seconds:.1f} s{changed} ({made.run_id})"
    )
    if made.changes is None:
        console.say(made.how)
    counted = [
        {"what": what, "name": name, "rows": count}
        for what, counts in (("held back", made.quarantine), ("finding", made.findings))
        for name, count in counts.items()
    ]
    if counted:
        console.say("")
        console.show_rows(counted, {"rows": "bigint"})
    _print_breaks(made.breaks)


def _print_breaks(breaks: "Sequence[Mapping[str, Any]]") -> None:
    from loanmetrics import console

    if breaks:
        console.say("\nthe general ledger differs:")
        console.show_rows(breaks[:MOST_BREAKS], shared.BREAK_KINDS)
    if len(breaks) > MOST_BREAKS:
        console.say(f"and {len(breaks) - MOST_BREAKS:,} more: loanmetrics runs RUN")


def _print_changes(changes: "pl.DataFrame", format_: shared.Format, output: Path | None) -> None:
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    kinds = catalogue.kinds()
    if output:
        console.write_frame(console.in_units(changes, kinds), format_, output, {})
    console.say("")
    console.show_changes(changes, kinds)
