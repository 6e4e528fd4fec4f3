"""The worker: figures that follow the lender's tables, and the schedule."""

from typing import Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import PolicyFile


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
    policy: PolicyFile = None,
) -> None:
    """Keep today's figures up to date until stopped; of several workers on a database one leads."""
    import logging
    import signal
    import sys
    import time

    from loanmetrics.jobs.worker import Worker

    settings = shared.settings()
    made = Worker(settings, shared.policy(settings, policy), every, schedule, events)
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
