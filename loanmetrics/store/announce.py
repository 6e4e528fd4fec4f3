"""Telling the workers of the API that a run was published. The database stays the truth: this only makes them look."""

from contextlib import closing

from loanmetrics.steps import step
from loanmetrics.store.redis import connect

KEY = "loanmetrics:run"
CHANNEL = "loanmetrics:runs"
PATIENCE = 1.0


def announce(url: str | None, run_id: str) -> bool:
    """Leave the run's id in Redis and call it out; whether that worked. A published run never fails by it."""
    if not url:
        return False
    step("announce")
    try:
        with closing(connect(url, PATIENCE)) as client:
            client.set(KEY, run_id)
            client.publish(CHANNEL, run_id)
    except Exception:
        # What a client library raises is no business of a run that stands; workers look by themselves.
        return False
    return True
