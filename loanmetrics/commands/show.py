"""Published figures."""

from typing import Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf, Columns, FormatOption, Output

show = typer.Typer(help="Show published figures.", no_args_is_help=True, rich_markup_mode=None)

Branch = Annotated[str | None, typer.Option(help="Only this branch.")]
Band = Annotated[str | None, typer.Option(help="Only this risk band: Green, Watch, Amber, Red.")]
Sort = Annotated[str | None, typer.Option(help="Sort by this column; -column sorts descending.")]
Worst = Annotated[int | None, typer.Option(min=1, help="Only the N lowest risk scores, lowest first.")]


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
    columns: Columns = "",
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """One row per officer, as last published (or as of a day)."""
    from loanmetrics.jobs import show as job

    frame = job.officers(shared.settings(), shared.day(as_of), branch, band, sort, worst)
    if why:
        frame = frame.join(job.reasons(frame), on="officer_id", how="left", maintain_order="left")
    shared.print_frame(frame, columns, format_, output, asked=["why"] if why else [])


@show.command()
def branches(
    as_of: AsOf = None,
    branch: Branch = None,
    band: Band = None,
    sort: Sort = None,
    worst: Worst = None,
    columns: Columns = "",
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """One row per branch, as last published (or as of a day)."""
    from loanmetrics.jobs import show as job

    shared.print_frame(
        job.branches(shared.settings(), shared.day(as_of), branch, band, sort, worst),
        columns,
        format_,
        output,
    )
