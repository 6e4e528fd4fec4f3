"""Officers by the loans that were theirs on another day."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf, FormatOption, Output
from loanmetrics.commands.whatif import value

if TYPE_CHECKING:
    from loanmetrics.jobs.cohorts import Cohorts

SCREEN = 40


class Rule(StrEnum):
    """Whose a loan is held to be."""

    ORIGINATION = "origination"
    FIRST_LATE = "first_late"


def attribution(
    rule: Annotated[
        Rule,
        typer.Argument(
            metavar="RULE",
            help="Whose a loan is: of the officer at its origination, or when it was first_late.",
        ),
    ],
    as_of: AsOf = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this metric; may be repeated. Default: all with bands."),
    ] = None,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """Officers' figures by whom loans were with when disbursed, or first past due, beside those of now."""
    from loanmetrics.engine.attribution import COUNTS
    from loanmetrics.jobs import attribution as job
    from loanmetrics.jobs import cohorts

    found = cohorts.shown(shared.settings(), job.by_rule(rule.value, metric or ()), shared.day(as_of))
    about = found.about("Attribution", rule=rule.value, metric=metric)
    if shared.format_of(format_, output) is not shared.Format.TABLE:
        kinds = {**dict.fromkeys(COUNTS, "bigint"), "recorded_since": "date"}
        shared.print_frame(found.rows, "", format_, output, kinds=kinds, about=about)
        return
    _show(found, rule)


def _show(found: "Cohorts", rule: Rule) -> None:
    """What was recorded, and the officers for whom the rule makes a difference."""
    import polars as pl

    from loanmetrics import console

    console.say(f"as of {found.day}, by the facts of run {found.run_id}")
    officers = found.rows.unique("officer_id")
    moved, unknown = (officers[name].sum() for name in ("gained", "unrecorded"))
    since = next(iter(officers["recorded_since"].to_list()), None)
    console.say(f"loans that were with another officer by {rule.value}: {moved:,}, as recorded since {since}")
    console.say(f"loans held to be with the first officer known, for want of earlier records: {unknown:,}\n")
    differs = pl.any_horizontal(
        pl.col("now").ne_missing(pl.col("attributed")), pl.col("gained") > 0, pl.col("lost") > 0
    )
    rows = found.rows.filter(differs)
    if not rows.is_empty():
        console.show_rows([_told(row) for row in rows.head(SCREEN).iter_rows(named=True)], {})
    if len(rows) > SCREEN:
        console.note(f"{len(rows) - SCREEN:,} more: --metric NAME, or --output FILE writes all")


def _told(row: dict[str, object]) -> dict[str, object]:
    from loanmetrics.engine.attribution import COUNTS

    return {
        **{name: row[name] for name in ("officer_id", "officer_name", "metric")},
        **{name: value(row[name]) for name in ("now", "band_now", "attributed", "band_attributed")},
        **{name: str(row[name]) for name in COUNTS},
    }
