"""What the commands share: options, settings, how a frame is printed or written."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from loanmetrics.export import About
    from loanmetrics.policy import Policy
    from loanmetrics.settings import Settings

FIRST_AS_OF = date(1970, 1, 1)
BREAK_KINDS = {"day": "date", **dict.fromkeys(("ours", "theirs", "difference"), "money")}


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


PolicyFile = Annotated[Path | None, typer.Option("--policy", help="The lender's conventions, TOML.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DATE", help="The day.")
]
Columns = Annotated[str, typer.Option(help="Only these columns, separated by commas.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Default: by --output's suffix, else table.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Compute on the workers of this Dask scheduler, tcp://HOST:PORT."),
]
Wait = Annotated[
    int | None, typer.Option(min=0, max=86_400, help="Seconds to wait while another run is at work.")
]
Output = Annotated[Path | None, typer.Option(help="Write to this file, not to stdout.")]


def settings(scheduler: str | None = None) -> "Settings":
    """The settings of this process; an option that is given wins."""
    from loanmetrics.settings import Settings

    return Settings.load(scheduler=scheduler)


def policy(settings: "Settings", file: Path | None) -> "Policy":
    """The lender's policy: of this file, or else of the settings."""
    from loanmetrics.settings import load_policy

    return load_policy(file or settings.policy_file)


def today(policy: "Policy") -> date:
    """Today where the lender is."""
    return datetime.now(ZoneInfo(policy.time_zone)).date()


def computable(day: date | None, today: date) -> date:
    """The day to compute: facts of days to come do not exist yet."""
    if day is not None and not FIRST_AS_OF <= day <= today:
        raise UsageError(
            f"{day} cannot be computed", f"--as-of takes a day from {FIRST_AS_OF} to today, {today}"
        )
    return day or today


def day(as_of: datetime | None) -> date | None:
    """The day of an option."""
    return as_of.date() if as_of else None


def format_of(given: Format | None, output: Path | None) -> Format:
    """How to write: as asked, or by the file's suffix."""
    suffix = output.suffix.lstrip(".") if output else ""
    chosen = given or (Format(suffix) if suffix in list(Format) else Format.TABLE)
    if chosen is Format.TABLE and output:
        raise UsageError("a table goes to the terminal", "name the file .csv, .json or .parquet")
    return chosen


def print_frame(
    frame: "pl.DataFrame",
    columns: str,
    format_: Format | None,
    output: Path | None,
    asked: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    about: "About | None" = None,
) -> None:
    """``asked`` columns are shown whatever else is; ``kinds`` are those of other columns than figures'.

    ``about`` says in files what they are.
    """
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    chosen, known = format_of(format_, output), catalogue.kinds() if kinds is None else kinds
    named = [name.strip() for name in columns.split(",") if name.strip()]
    wanted = [*named, *(name for name in asked if name not in named)] if named else []
    if chosen is Format.TABLE:
        console.show_frame(frame, known, catalogue.band_columns(), columns=wanted, asked=asked)
    else:
        picked = console.pick(frame, wanted)
        console.write_frame(picked, chosen, output, known, about, catalogue.definitions())
