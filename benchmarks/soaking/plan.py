"""When what happens: the same for every soak of a length."""

from typing import NamedTuple

RUN, RELOAD, DATABASE, CACHE = "compute", "reload", "PostgreSQL restarted", "Valkey killed"
RUN_EVERY, RELOAD_EVERY = 300.0, 600.0
AT_LEAST_RUNS, AT_LEAST_RELOADS = 4, 3  # however short it is
DATABASE_AT, CACHE_AT = 0.47, 0.55  # of the whole: away from reloads, so that failures tell whose they are
AWAY = 5.0  # how long the cache is
PER_SECOND = 1.0  # payments
EVERY = 2.0  # between event runs, as the worker has it by default


class Moment(NamedTuple):
    """Something that happens, so many seconds after the beginning."""

    at: float
    what: str


def calendar(seconds: float) -> list[Moment]:
    """Runs and reloads in turn, one restart of the database and one of the cache in the middle.

    >>> [moment.what for moment in calendar(60)][:3]
    ['compute', 'reload', 'compute']
    """
    runs = min(RUN_EVERY, seconds / AT_LEAST_RUNS)
    reloads = min(RELOAD_EVERY, seconds / AT_LEAST_RELOADS)
    return sorted(
        [
            *(Moment((turn + 0.5) * runs, RUN) for turn in range(int(seconds / runs))),
            *(Moment(turn * reloads, RELOAD) for turn in range(1, int(seconds / reloads + 0.5))),
            Moment(DATABASE_AT * seconds, DATABASE),
            Moment(CACHE_AT * seconds, CACHE),
        ]
    )


def slice_of(seconds: float) -> float:
    """What is folded together: a minute, less where that would leave only a few points."""
    return 60.0 if seconds >= 600 else 10.0
