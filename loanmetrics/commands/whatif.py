"""Another policy, tried without touching the record."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf, FormatOption, Output

if TYPE_CHECKING:
    from loanmetrics.jobs.whatif import WhatIf

SCREEN = 40
KINDS = {"calculation_date": "date", "before": "points", "after": "points"}


def whatif(
    policy: Annotated[Path, typer.Option("--policy", help="The other conventions, TOML.")],
    as_of: AsOf = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="Every day from this one on."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this metric's bands; may be repeated.")
    ] = None,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """Show which officers would be in another band under another policy; nothing is published."""
    from loanmetrics import console
    from loanmetrics.jobs import whatif as job

    settings = shared.settings()
    other = shared.policy(settings, policy)
    made = job.whatif(settings, other, shared.day(as_of), shared.day(first), metric or ())
    if shared.format_of(format_, output) is not shared.Format.TABLE:
        shared.print_frame(made.rows, "", format_, output, kinds={}, about=made.about)
        return
    _say(made)
    if not made.rows.is_empty():
        shown = made.rows.head(SCREEN)
        console.show_rows([_told(row) for row in shown.iter_rows(named=True)], KINDS)
    if len(made.rows) > SCREEN:
        console.note(f"{len(made.rows) - SCREEN:,} more: --metric NAME, or --output FILE writes all")


def _say(made: "WhatIf") -> None:
    from loanmetrics import console

    span = f"as of {made.day}" if made.first == made.day else f"{made.first} to {made.day}"
    console.say(f"{span}, by the facts of run {made.run_id}")
    for name, now, then in made.differs:
        console.say(f"  {name}: {now} -> {then}")
    officers = made.rows["officer_id"].n_unique()
    who = {0: "nobody", 1: "one officer"}.get(officers, f"{officers:,} officers")
    console.say(f"{who} would be in another band\n")


def _told(row: dict[str, object]) -> dict[str, object]:
    return {
        "day": row["calculation_date"],
        **{name: row[name] for name in ("officer_id", "officer_name", "metric")},
        **{name: value(row[name]) for name in ("before", "band_before", "after", "band_after")},
    }


def value(given: object) -> str:
    """A figure of whichever metric, or its band, on the screen."""
    if isinstance(given, float):
        return f"{given:,.0f}" if given == int(given) and abs(given) > 1 else f"{given:,.4f}"
    return "-" if given is None else str(given)
