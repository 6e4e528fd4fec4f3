"""The command line: parse, call a job, print. Heavy libraries are imported by the commands that need them."""

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

import loanmetrics
from loanmetrics.errors import LoanmetricsError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from loanmetrics.jobs.compute import ComputeReport
    from loanmetrics.jobs.load import LoadReport
    from loanmetrics.policy import Policy
    from loanmetrics.settings import Settings

FIRST_AS_OF = date(1970, 1, 1)


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def _say_version(given: bool) -> None:
    if given:
        typer.echo(f"loanmetrics {loanmetrics.__version__}")
        raise typer.Exit


app = typer.Typer(
    help="Portfolio-quality metrics for lenders: exact, explained, for any day.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
show = typer.Typer(help="Show published figures.", no_args_is_help=True, rich_markup_mode=None)
config = typer.Typer(help="Look at the settings and the policy.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(show, name="show")
app.add_typer(config, name="config")

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
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="The lender's conventions, TOML.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DATE", help="The day.")
]
Branch = Annotated[str | None, typer.Option(help="Only this branch.")]
Band = Annotated[str | None, typer.Option(help="Only this risk band: Green, Watch, Amber, Red.")]
Sort = Annotated[str | None, typer.Option(help="Sort by this column; -column sorts descending.")]
Worst = Annotated[int | None, typer.Option(min=1, help="Only the N lowest risk scores, lowest first.")]
Columns = Annotated[str, typer.Option(help="Only these columns, separated by commas.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Default: by --output's suffix, else table.")
]
Output = Annotated[Path | None, typer.Option(help="Write to this file, not to stdout.")]


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_say_version,
            help="Say which version this is.",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def load(paths: Paths, report: Report = None, policy: PolicyFile = None) -> None:
    """Load files into the database; rows that break a rule are held back, whole, and listed."""
    from loanmetrics import console
    from loanmetrics.jobs import load as job

    settings = _settings()
    chosen, made = _policy(settings, policy), job.LoadReport()
    try:
        with console.progress_bar() as progress:
            job.load(settings, paths, chosen, made, report=report, progress=progress)
    finally:
        if made.tables:
            _print_load(made, report)
    job.few_held_back(made, chosen)


@app.command()
def compute(
    as_of: AsOf = None,
    policy: PolicyFile = None,
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

    settings = _settings()
    chosen = _policy(settings, policy)
    if explain:
        console.say(job.plan(chosen))
        return
    if output and not (dry_run or known_at):
        raise UsageError(
            "--output is for the changes of a --dry-run or --known-at",
            "loanmetrics show officers --output FILE",
        )
    format_ = _format(None, output)
    day = _computable(_day(as_of), _today(chosen))
    if known_at:
        made = job.known_at(settings, day, known_at)
    else:
        made = (
            job.dry_run(settings, day, chosen) if dry_run else job.compute(settings, day, chosen, full=full)
        )
    _print_compute(made)
    if made.changes is not None:
        _print_changes(made.changes, format_, output)


@app.command()
def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")],
    policy: PolicyFile = None,
) -> None:
    """Publish every day of a stretch as it is known now, month by month; what it restates is kept."""
    from loanmetrics import console
    from loanmetrics.jobs import backfill as job

    settings = _settings()
    chosen = _policy(settings, policy)
    today = _today(chosen)
    begin, end = (_computable(day.date(), today) for day in (first, last))
    for month in job.backfill(settings, begin, end, chosen):
        told = ", ".join(f"{table} {rows:,}" for table, rows in month.changed.items() if rows)
        console.say(
            f"{month.first} to {month.last}: {told or 'nothing changed'} in {month.seconds:.1f} s ({month.run_id})"
        )


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

    frame = job.officers(_settings(), _day(as_of), branch, band, sort, worst)
    if why:
        frame = frame.join(job.reasons(frame), on="officer_id", how="left", maintain_order="left")
    _print_frame(frame, columns, format_, output, asked=["why"] if why else [])


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

    _print_frame(job.branches(_settings(), _day(as_of), branch, band, sort, worst), columns, format_, output)


@app.command()
def metrics(
    name: Annotated[str | None, typer.Argument(help="One metric or measure, in full.")] = None,
) -> None:
    """The catalogue: what each metric and measure means; with a name, its formula and bands."""
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    if name is None:
        console.show_rows(catalogue.metrics())
        console.say("")
        console.show_rows(catalogue.measures())
        console.note("formula, bands and needs of one: loanmetrics metrics NAME")
    else:
        console.say(catalogue.describe(name))


@app.command()
def runs(limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20) -> None:
    """The newest runs, with what became of them."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    rows, reasons = database.runs(_settings(), limit)
    console.show_rows(rows, {"rows": "bigint", "took": "seconds"}, below=reasons)


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    done = database.migrate(_settings())
    console.say("\n".join(done) if done else "the database is up to date")


@config.command("check")
def check_config(policy: PolicyFile = None) -> None:
    """Read the settings and the policy, and reach the database."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    settings = _settings()
    chosen = _policy(settings, policy)
    console.say(f"policy {chosen.hash}: fine\ndatabase: {database.server(settings)}")


@config.command("show")
def show_config(policy: PolicyFile = None) -> None:
    """Print the settings (secrets masked) and the policy."""
    from loanmetrics import console

    settings = _settings()
    console.say(f"{settings.describe()}\n\n# policy\n{_policy(settings, policy).to_toml()}")


def main() -> None:
    """The one error boundary: every failure is one line for people and an exit code for cron."""
    _ready_streams()
    try:
        app(prog_name="loanmetrics")
    except (Exception, KeyboardInterrupt) as error:
        if any(map(_is_interrupt, _chain(error))):
            sys.exit(130)
        _tell(error)
    finally:
        _flush()


def _ready_streams() -> None:
    """A closed stream (``>&-``) swallows what is written; a letter that a stream cannot show is spelt out."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those it followed from."""
    raised: BaseException | None = error
    while raised is not None:
        yield raised
        raised = raised.__cause__ or raised.__context__


def _is_interrupt(error: BaseException) -> bool:
    """Ctrl-C, also as DuckDB tells it when it was at work."""
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "InterruptException":
        return True
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


def _tell(error: BaseException) -> None:
    match error:
        case LoanmetricsError():
            _fail(error.message, error.hint, error.exit_code)
        case OSError():
            _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", None, 1)
        case Exception():
            _fail_unexpectedly(error)


def _fail(message: str, hint: str | None, code: int) -> None:
    lines = [f"error: {message}", *([f"hint: {hint}"] if hint else [])]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.exit(code)


def _fail_unexpectedly(error: Exception) -> None:
    if type(error).__module__.startswith("psycopg"):
        from loanmetrics.jobs.database import plainly

        known = plainly(error)
        _fail(known.message, known.hint or f"see {_log(error)}", known.exit_code)
    _fail(f"something unexpected went wrong ({type(error).__name__})", f"see {_log(error)}", 1)


def _log(error: Exception) -> Path:
    """Where the traceback went: places and types only, as messages and locals may hold personal data."""
    try:
        folder = _settings().home
        folder.mkdir(parents=True, exist_ok=True)
    except (LoanmetricsError, OSError):
        folder = Path(tempfile.gettempdir())
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    lines = [f"loanmetrics {loanmetrics.__version__}, Python {sys.version.split()[0]}, {when}\n"]
    for raised in _chain(error):
        lines += [
            *traceback.format_tb(raised.__traceback__),
            f"{type(raised).__module__}.{type(raised).__qualname__}\n",
        ]
    handle, name = tempfile.mkstemp(prefix="error-", suffix=".log", dir=folder, text=True)
    with os.fdopen(handle, "w") as file:
        file.writelines(lines)
    return Path(name)


def _flush() -> None:
    """A reader that has gone away (``| head``) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _settings() -> "Settings":
    from loanmetrics.settings import Settings

    return Settings.load()


def _policy(settings: "Settings", file: Path | None) -> "Policy":
    from loanmetrics.settings import load_policy

    return load_policy(file or settings.policy_file)


def _today(policy: "Policy") -> date:
    return datetime.now(ZoneInfo(policy.time_zone)).date()


def _computable(day: date | None, today: date) -> date:
    """The day to compute: facts of days to come do not exist yet."""
    if day is not None and not FIRST_AS_OF <= day <= today:
        raise UsageError(
            f"{day} cannot be computed", f"--as-of takes a day from {FIRST_AS_OF} to today, {today}"
        )
    return day or today


def _day(as_of: datetime | None) -> date | None:
    return as_of.date() if as_of else None


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


def _print_compute(made: "ComputeReport") -> None:
    from loanmetrics import console

    did = "published" if made.changes is None else "would publish"
    changed = f"; {made.changed:,} rows changed" if made.changes is None else ""
    console.say(
        f"as of {made.as_of}: {did} {made.officers:,} officers and {made.branches:,} branches "
        f"from {made.loans:,} loans in {made.seconds:.1f} s{changed} ({made.run_id})"
    )
    if made.changes is None:
        console.say(f"read everything ({made.reason})" if made.reason else "read what changed")
    counted = [
        {"what": what, "name": name, "rows": count}
        for what, counts in (("held back", made.quarantine), ("finding", made.findings))
        for name, count in counts.items()
    ]
    if counted:
        console.say("")
        console.show_rows(counted, {"rows": "bigint"})


def _print_changes(changes: "pl.DataFrame", format_: Format, output: Path | None) -> None:
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    kinds = catalogue.kinds()
    if output:
        console.write_frame(console.in_units(changes, kinds), format_, output, {})
    console.say("")
    console.show_changes(changes, kinds)


def _format(given: Format | None, output: Path | None) -> Format:
    suffix = output.suffix.lstrip(".") if output else ""
    chosen = given or (Format(suffix) if suffix in list(Format) else Format.TABLE)
    if chosen is Format.TABLE and output:
        raise UsageError("a table goes to the terminal", "name the file .csv, .json or .parquet")
    return chosen


def _print_frame(
    frame: "pl.DataFrame",
    columns: str,
    format_: Format | None,
    output: Path | None,
    asked: Sequence[str] = (),
) -> None:
    """``asked`` columns are shown whatever else is."""
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    chosen = _format(format_, output)
    named = [name.strip() for name in columns.split(",") if name.strip()]
    wanted = [*named, *(name for name in asked if name not in named)] if named else []
    if chosen is Format.TABLE:
        console.show_frame(frame, catalogue.kinds(), catalogue.band_columns(), columns=wanted, asked=asked)
    else:
        console.write_frame(console.pick(frame, wanted), chosen, output, catalogue.kinds())


if __name__ == "__main__":
    main()
