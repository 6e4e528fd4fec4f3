"""The worker: figures that follow the lender's tables, and the schedule."""

from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import PolicyFile
from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    from loanmetrics.settings import Settings
    from loanmetrics.store.stream import Stream


def worker(
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then end.")] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule/--no-schedule", help="Run the schedule; without it, cron does.")
    ] = True,
    events: Annotated[
        bool, typer.Option("--events/--no-events", help="Recompute today when the lender's tables change.")
    ] = True,
    every: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between the starts of two event runs, at least.")
    ] = 2.0,
    stream: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Follow the loan.* and repayment.* events of this Redis Stream too."
        ),
    ] = None,
    policy: PolicyFile = None,
) -> None:
    """Keep today's figures up to date until stopped; of several workers on a database one leads."""
    import logging
    import signal
    import sys
    import time

    from loanmetrics.jobs.worker import Worker

    settings = shared.settings()
    made = Worker(
        settings, shared.policy(settings, policy), every, schedule, events, stream=_stream(settings, stream)
    )
    form = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form)
    logger = logging.getLogger("loanmetrics")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: made.stop.set())
    if once:
        made.once()
    else:
        made.run()


def _stream(settings: "Settings", name: str | None) -> "Stream | None":
    if name is None:
        return None
    from loanmetrics.store.stream import Stream

    if settings.redis_url is None:
        raise UsageError("--stream needs a Redis", "set redis_url")
    return Stream(settings.redis_url, name)
