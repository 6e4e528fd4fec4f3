"""Files into the database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import PolicyFile

if TYPE_CHECKING:
    from loanmetrics.jobs.load import LoadReport

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        show_default=False,
        help="Parquet or CSV files named after their table, or folders of them.",
    ),
]
Report = Annotated[
    Path | None, typer.Option(help="Also list the rows held back in this CSV file, personal data masked.")
]


def load(paths: Paths, report: Report = None, policy: PolicyFile = None) -> None:
    """Load files into the database; rows that break a rule are held back, whole, and listed."""
    from loanmetrics import console
    from loanmetrics.jobs import load as job

    settings = shared.settings()
    chosen, made = shared.policy(settings, policy), job.LoadReport()
    try:
        with console.progress_bar() as progress:
            job.load(settings, paths, chosen, made, report=report, progress=progress)
    finally:
        if made.tables:
            _print_load(made, report)
    job.few_held_back(made, chosen)


def _print_load(made: "LoadReport", report: Path | None) -> None:
    from loanmetrics import console

    counts = ("read", "written", "unchanged", "held_back")
    rows = [
        {"table": name, **dict(zip(counts, (it.read, it.written, it.unchanged, it.held_back), strict=True))}
        for name, it in made.tables.items()
    ]
    console.show_rows(rows, dict.fromkeys(counts, "bigint"))
    held = [
        {"table": name, "rule": rule, "rows": count}
        for name, it in made.tables.items()
        for rule, count in it.quarantined.items()
    ]
    if held:
        console.say("")
        console.show_rows(held, {"rows": "bigint"})
        where = f"and in {report}" if report else "(--report FILE lists them)"
        console.note(f"rows held back are in the table quarantined_rows {where}")
    for notice in made.notices:
        console.note(notice)
