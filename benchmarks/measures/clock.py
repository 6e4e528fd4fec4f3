"""Timing in the process that does the work."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from peers import effort

LONG = 60.0
Result = TypeVar("Result")


@dataclass
class Taken:
    """Wall and processor seconds of every run."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def repeated(
    run: Callable[[], Result], repeat: int, spent: Callable[[], float] = effort.own
) -> tuple[Result, Taken]:
    """The last result and what every run took; what takes a minute is run once."""
    taken = Taken()
    while True:
        began, before = time.perf_counter(), spent()
        result = run()
        taken.seconds.append(time.perf_counter() - began)
        taken.cpu.append(spent() - before)
        if len(taken.seconds) >= repeat or taken.seconds[0] > LONG:
            return result, taken
