"""Doing again what a moment's trouble ended: only where nothing was written by then, or all of it was taken back."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from psycopg import errors

from loanmetrics.errors import LoanmetricsError, RefusedError, UnreachableError

# What a restart takes; longer outages are for whoever runs it the next time.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
AGAIN = (UnreachableError, errors.SerializationFailure, errors.DeadlockDetected)

T = TypeVar("T")
log = logging.getLogger(__name__)


def pauses(wait: Callable[[float], object] = time.sleep) -> Iterator[float]:
    """One wait before each further try, longer from try to try."""
    for seconds in PAUSES:
        wait(seconds)
        yield seconds


def patiently(act: Callable[[], T], again: Iterable[object]) -> T:
    """What ``act`` gives; where a moment's trouble ends it, it is done again for as long as ``again`` has more."""
    tries = iter(again)
    while True:
        try:
            return act()
        except AGAIN as error:
            give_up_or_go_on(error, tries)


def give_up_or_go_on(error: Exception, tries: Iterator[object]) -> None:
    """Raise the error again, unless there is to be another try."""
    if isinstance(error, RefusedError) or next(tries, None) is None:
        raise error
    log.warning("%s: trying again", error if isinstance(error, LoanmetricsError) else type(error).__name__)
