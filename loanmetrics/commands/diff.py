"""What changed between two runs, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.formatting import level, step

if TYPE_CHECKING:
    from loanmetrics.engine.diff.told import Cause, Changed
    from loanmetrics.jobs.diff import DiffReport

MOST_FIGURES = 40
MOST_CAUSES = 3


def diff(
    earlier: Annotated[str, typer.Argument(metavar="RUN1", help="The earlier run, as in loanmetrics runs.")],
    later: Annotated[str, typer.Argument(metavar="RUN2", help="The later run.")],
    officer: Annotated[str | None, typer.Option(metavar="ID", help="The figures of this officer.")] = None,
    branch: Annotated[str | None, typer.Option(help="The figures of this branch.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this metric or measure; may be repeated.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write every cause, of all officers and branches if none is named, to this CSV, JSON or Parquet file."
        ),
    ] = None,
) -> None:
    """Show which figures differ between two runs, and what made them: payments, edits, time, policy."""
    from loanmetrics import console
    from loanmetrics.export import About
    from loanmetrics.jobs import catalogue
    from loanmetrics.jobs import diff as job

    format_ = shared.format_of(None, output)
    made = job.diff(
        shared.settings(), earlier, later, officer, branch, metric or (), everyone=output is not None
    )
    if output:
        given = {"from run": earlier, "officer": officer, "branch": branch, "metric": metric}
        filters = {name: value for name, value in given.items() if value}
        about = About("What changed between two runs", later, later, made.days[1], None, filters)
        causes = job.in_units(made.causes, catalogue.kinds())
        console.write_frame(causes, format_, output, {}, about, catalogue.definitions())
    _print(made, catalogue.kinds())


def _print(made: "DiffReport", kinds: dict[str, str]) -> None:
    from loanmetrics import console
    from loanmetrics.engine.diff.told import changed

    first, last = made.days
    told = changed(made.shown)
    span = f"as of {first}" if first == last else f"{first} to {last}"
    console.say(f"{span}: {len(told):,} figures differ\n" if told else f"{span}: no figure differs")
    shown = told[:MOST_FIGURES]
    rows = [
        {
            "of": figure.of,
            "figure": figure.name,
            **{name: level(getattr(figure, name), kinds[figure.name]) for name in ("before", "after")},
            "change": step(figure.change, kinds[figure.name]),
        }
        for figure in shown
    ]
    if rows:
        console.show_rows(rows, below=[_why(figure, kinds[figure.name]) for figure in shown])
    if len(told) > len(shown):
        console.note(f"{len(told) - len(shown):,} more figures: --metric NAME, or --output FILE writes all")
    for note in made.notes:
        console.note(note)


def _why(figure: "Changed", kind: str) -> str:
    """The largest causes, each with how often it struck and where it struck hardest."""
    told = [_cause(cause, kind) for cause in figure.causes[:MOST_CAUSES]]
    more = len(figure.causes) - len(told)
    return "; ".join([*told, *([f"and {more} more"] if more else [])])


def _cause(cause: "Cause", kind: str) -> str:
    effect = f" {step(cause.effect, kind)}" if cause.effect is not None else ""
    where = ": ".join(part for part in (cause.loan_id, cause.event) if part)
    often = f"{cause.times:,} times, most by " if cause.times > 1 else ""
    return f"{cause.name}{effect}" + (f" ({often}{where})" if where else "")
