"""Timing in the process that does the work."""

import time
from collections.abc import Callable
from typing import TypeVar

LONG = 60.0
Result = TypeVar("Result")


def repeated(run: Callable[[], Result], repeat: int) -> tuple[Result, list[float]]:
    """The last result and the seconds of every run; what takes a minute is run once."""
    seconds: list[float] = []
    while True:
        began = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - began)
        if len(seconds) >= repeat or seconds[0] > LONG:
            return result, seconds
