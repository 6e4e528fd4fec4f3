"""The command line: its verbs, and the one error boundary. Heavy libraries are imported by the verbs that need them."""

import errno
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

import loanmetrics
from loanmetrics.commands import admin, attribution, cohorts
from loanmetrics.commands.audit import audit
from loanmetrics.commands.compute import backfill, compute
from loanmetrics.commands.diff import diff
from loanmetrics.commands.explain import explain
from loanmetrics.commands.load import load
from loanmetrics.commands.members import members
from loanmetrics.commands.review import review
from loanmetrics.commands.serve import serve
from loanmetrics.commands.shared import settings
from loanmetrics.commands.show import show
from loanmetrics.commands.token import token
from loanmetrics.commands.verify import verify
from loanmetrics.commands.whatif import whatif
from loanmetrics.commands.worker import worker
from loanmetrics.errors import LoanmetricsError


def _say_version(given: bool) -> None:
    if given:
        typer.echo(f"loanmetrics {loanmetrics.__version__}")
        raise typer.Exit


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

app = typer.Typer(
    help="Portfolio-quality metrics for lenders: exact, explained, for any day.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Tell on stderr each step of a run or load as it begins.")
    ] = False,
) -> None:
    if verbose:
        from loanmetrics.console import tell_steps

        tell_steps()


app.command()(load)
app.command()(compute)
app.command()(backfill)
app.command()(diff)
app.command()(explain)
app.command()(review)
app.command()(whatif)
app.command()(verify)
app.command()(serve)
app.command()(worker)
show.command("roll-matrix")(cohorts.roll_matrix)
show.command()(cohorts.vintages)
show.command()(cohorts.certainty)
show.command()(cohorts.peers)
show.command("attribution")(attribution.attribution)
app.add_typer(show, name="show")
app.command()(admin.metrics)
app.command()(admin.runs)
app.command()(admin.migrate)
app.add_typer(admin.config, name="config")
app.add_typer(audit, name="audit")
app.add_typer(members, name="members")
app.add_typer(token, name="token")


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
    sys.stderr.write("\n".join(map(_harmless, lines)) + "\n")
    sys.exit(code)


def _harmless(line: str) -> str:
    """What was given and is told back may hold commands for the terminal."""
    return CONTROL.sub(" ", line)


def _fail_unexpectedly(error: Exception) -> None:
    if type(error).__module__.startswith("psycopg"):
        from loanmetrics.jobs.database import plainly

        known = plainly(error)
        _fail(known.message, known.hint or _log(error), known.exit_code)
    if full := _disk_is_full(error):
        _fail(f"input or output: {full}", None, 1)
    _fail(f"something unexpected went wrong ({type(error).__name__})", _log(error), 1)


def _disk_is_full(error: BaseException) -> str | None:
    """What the system said, if a library only hands on that it could not write."""
    said = [str(raised) for raised in _chain(error)]
    told = (os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    return next((text for text in told if any(text in words for words in said)), None)


def _log(error: Exception) -> str | None:
    """Where the traceback went, as a hint: the home, or, where that cannot be, the system's folder for such files."""
    for folder in (_home, tempfile.gettempdir):
        with suppress(LoanmetricsError, OSError):
            return f"see {_traceback(error, Path(folder()))}"
    return None


def _home() -> Path:
    home = settings().home
    home.mkdir(parents=True, exist_ok=True)
    return home


def _traceback(error: Exception, folder: Path) -> Path:
    """Write places and types only, as messages and locals may hold personal data."""
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


if __name__ == "__main__":
    main()
