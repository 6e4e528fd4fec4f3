"""The HTTP API."""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loanmetrics.http.server import App
    from loanmetrics.settings import Settings

NEEDED = ("argon2", "falcon", "gunicorn", "joserfc", "prometheus_client", "redis", "xlsxwriter")


def serve(
    bind: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.")] = None,
    threads: Annotated[int | None, typer.Option(help="Requests that one process answers at a time.")] = None,
) -> None:
    """Serve the HTTP API until stopped; SIGHUP reloads without a failed request."""
    missing = [name for name in NEEDED if not find_spec(name)]
    if missing:
        raise UsageError("what the HTTP API needs is not installed", "pip install 'loanmetrics[http]'")
    from loanmetrics.http import server
    from loanmetrics.jobs.database import opened

    settings = shared.settings().but("option", bind=bind, workers=workers, threads=threads)
    with opened(settings) as url:
        server.serve(settings, url, _create, _listening)


def _listening(addresses: "Sequence[str]") -> None:
    """A word to whoever started it by hand; the log is for machines."""
    from loanmetrics import console

    if sys.stdout.isatty():
        console.say(f"Listening at {', '.join(addresses)} (Ctrl-C ends it)")


def _create(settings: "Settings", url: str) -> "App":
    from loanmetrics.http.app import create

    return create(settings, url)
