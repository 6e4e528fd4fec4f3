"""Published figures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf, Columns, FormatOption, Output
from loanmetrics.errors import UsageError

show = typer.Typer(help="Show published figures.", no_args_is_help=True, rich_markup_mode=None)

SCREEN = 50

Branch = Annotated[str | None, typer.Option(help="Only this branch.")]
Band = Annotated[str | None, typer.Option(help="Only this risk band: Green, Watch, Amber, Red.")]
Sort = Annotated[str | None, typer.Option(help="Sort by this column; -column sorts descending.")]
Revision = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC=N", help="Add a metric by another revision of its formula; may be repeated."
    ),
]
Worst = Annotated[
    int | None,
    typer.Option(min=1, help="Only the N lowest risk scores of those who have a rank, lowest first."),
]
WorstBranch = Annotated[int | None, typer.Option(min=1, help="Only the N lowest risk scores, lowest first.")]


@show.command()
def officers(
    as_of: AsOf = None,
    branch: Branch = None,
    band: Band = None,
    sort: Sort = None,
    worst: Worst = None,
    why: Annotated[
        bool, typer.Option("--why", help="Add the two costliest terms of each risk score.")
    ] = False,
    revision: Revision = None,
    columns: Columns = "",
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """One row per officer, as last published (or as of a day)."""
    from loanmetrics import console
    from loanmetrics.jobs import show as job

    choice = job.Choice(branch, band, sort, worst, job.read(revision or ()))
    found = job.officers(shared.settings(), shared.day(as_of), choice, why=why)
    added = [*job.called(choice), *([job.WHY] if why else [])]
    shared.print_frame(found.rows, columns, format_, output, asked=added, about=found.about)
    if found.passed_over:
        console.note(
            f"left out, though as low: {found.passed_over:,} with too few loans for a rank, or no officer"
        )


@show.command()
def branches(
    as_of: AsOf = None,
    branch: Branch = None,
    band: Band = None,
    sort: Sort = None,
    worst: WorstBranch = None,
    revision: Revision = None,
    columns: Columns = "",
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """One row per branch, as last published (or as of a day)."""
    from loanmetrics.jobs import show as job

    choice = job.Choice(branch, band, sort, worst, job.read(revision or ()))
    found = job.branches(shared.settings(), shared.day(as_of), choice)
    shared.print_frame(found.rows, columns, format_, output, asked=job.called(choice), about=found.about)


@show.command()
def officer(
    officer_id: Annotated[str, typer.Argument(metavar="OFFICER", help="Who.")],
    output: Annotated[Path, typer.Option(metavar="FILE.pdf", help="Write the sheet to this PDF file.")],
    as_of: AsOf = None,
) -> None:
    """Write one officer's sheet: figures with definitions, points per term, 90 days, the riskiest loans."""
    from loanmetrics import console
    from loanmetrics.jobs import officer_sheet as job

    if output.suffix.lower() != ".pdf":
        raise UsageError(f"{output.name} is no PDF", "name the file .pdf; show officers writes tables")
    day = job.save(shared.settings(), officer_id, shared.day(as_of), output)
    console.say(f"{output}: officer {officer_id} as of {day}")


class Tagged(StrEnum):
    """Which flag a loan carries."""

    FIMR = "fimr"
    EARLY = "early"


@show.command()
def loans(
    as_of: AsOf = None,
    officer: Annotated[list[str] | None, typer.Option(help="Only this officer; may be repeated.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="Only this region; may be repeated.")] = None,
    branch: Annotated[list[str] | None, typer.Option(help="Only this branch; may be repeated.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Only loans that add to this metric or measure, with what they add to it."),
    ] = None,
    tagged: Annotated[
        Tagged | None,
        typer.Option(help="Only loans whose first installment was missed, or 1 to 6 days past due."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="Sort by this column; -column sorts descending. Default: riskiest first."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first N; a table shows 50.")] = None,
    columns: Columns = "",
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """The loans behind the figures of a day, as the run that published it knew them."""
    from loanmetrics import console
    from loanmetrics.jobs import loans as job
    from loanmetrics.jobs.drilldown import Where

    is_table = shared.format_of(format_, output) is shared.Format.TABLE
    where = Where(officer or (), region or (), branch or ())
    most = limit or (SCREEN if is_table else None)
    settings, day = shared.settings(), shared.day(as_of)
    if day is not None:
        shared.computable(day, shared.today(shared.policy(settings, None)))
    found = job.loans(settings, day, job.Choice(where, metric, tagged, sort, most))
    shared.print_frame(found.rows, columns, format_, output, found.measures, job.kinds(), about=found.about)
    if len(found.rows) < found.total:
        console.note(f"{found.total - len(found.rows):,} more loans: --limit N or --output FILE")
