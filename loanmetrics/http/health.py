"""Whether a worker is alive, and whether it can serve: plain answers for probes."""

from collections.abc import Callable

import loanmetrics
from loanmetrics.http.cache import Cache
from loanmetrics.store.freshness import Freshness

Details = dict[str, object]


def alive() -> Details:
    """This process answers; nothing else is asked."""
    return {"status": "alive", "version": loanmetrics.__version__}


def ready(read: Callable[[], Freshness], cache: Cache | None = None) -> tuple[bool, Details]:
    """Whether requests can be answered, and why not.

    Only the database decides. Without Redis answers are slower, old figures are still figures, and a new installation
    has none yet: the details say so, for alarms.
    """
    try:
        seen = read()
    except Exception as error:
        # Whatever it is, the probe's answer is no.
        return False, {"store": "down", "reason": type(error).__name__, "cache": _cache(cache)}
    return True, {
        "store": "up",
        "cache": _cache(cache),
        "run_id": seen.run_id,
        "as_of": seen.as_of.isoformat() if seen.as_of else None,
        "data_age_seconds": None if seen.age is None else round(seen.age, 3),
        "last_run_succeeded": seen.succeeded,
    }


def _cache(cache: Cache | None) -> str:
    if cache is None or cache.remote is None:
        return "local"
    return "up" if cache.remote.answers() else "down"
