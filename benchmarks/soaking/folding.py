"""Thousands of requests and readings as figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from soaking.record import Growth, Happening, Memory, Share, Slice, Stray

RECOVERY = 5.0  # an outage ends so long after what was away answers again
WARM_UP, WARM_SHARE = (
    300.0,
    1 / 3,
)  # the first five minutes of a process tell nothing of it, or a third of its life
FEWEST, LAST_MINUTE = 12, 60.0
MOST_STRAYS = 50
HITS, LOOKS = ("hit_local", "hit_redis"), ("hit_local", "hit_redis", "miss")


def name_of(status: int) -> str:
    """A status as people read it.

    >>> name_of(503), name_of(0)
    ('503', 'no answer')
    """
    return str(status) if status else "no answer"


def failed(status: int) -> bool:
    """Whether it was the service's fault."""
    return status == 0 or status >= 500


def availability(due: Sequence[float], statuses: Sequence[int], without: Sequence[Happening] = ()) -> Share:
    """Of all requests, or of those that fell due in no outage."""
    kept = [
        failed(status)
        for at, status in zip(due, statuses, strict=True)
        if not any(it.outage and it.began <= at <= it.ended + RECOVERY for it in without)
    ]
    return Share(len(kept), sum(kept))


def strays(failed: Sequence[Sequence[Any]], without: Sequence[Happening]) -> list[Stray]:
    """Requests that failed though there was no outage, the first of them."""
    found = [
        Stray(*told)
        for told in failed
        if not any(it.outage and it.began <= told[0] <= it.ended + RECOVERY for it in without)
    ]
    return found[:MOST_STRAYS]


def failures(due: Sequence[float], statuses: Sequence[int], it: Happening) -> list[float]:
    """When the requests fell due that failed in an outage."""
    return [
        at
        for at, status in zip(due, statuses, strict=True)
        if failed(status) and it.began <= at <= it.ended + RECOVERY
    ]


def slices(
    due: Sequence[float],
    seconds: Sequence[float],
    statuses: Sequence[int],
    width: float,
    events: Sequence[tuple[float, Mapping[str, float]]] = (),
) -> list[Slice]:
    """Stretches of ``width`` seconds; ``events`` is what the cache had counted at the edges."""
    parts: dict[int, list[tuple[float, int]]] = {}
    for at, took, status in zip(due, seconds, statuses, strict=True):
        parts.setdefault(int(at // width), []).append((took, status))
    rates = hit_rates(events, width)
    return [_slice(number * width, parts[number], rates.get(number)) for number in sorted(parts)]


def _slice(at: float, part: Sequence[tuple[float, int]], hit_rate: float | None) -> Slice:
    told = Counter(name_of(status) for _, status in part if failed(status))
    return Slice(at, len(part), dict(told), *latencies([took for took, _ in part]), hit_rate)


def latencies(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Milliseconds within which half, 95 % and 99 % were answered."""
    ordered = sorted(seconds)
    p50, p95, p99 = (
        1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99)
    )
    return p50, p95, p99


def hit_rates(events: Sequence[tuple[float, Mapping[str, float]]], width: float) -> dict[int, float]:
    """By stretch, the share of looks that found an answer: what was counted at its end less that at its beginning."""
    found = {}
    for (began, before), (_, after) in pairwise(events):
        counted = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in LOOKS}
        if looks := sum(counted.values()):
            found[int(began // width)] = sum(counted[name] for name in HITS) / looks
    return found


def growth(memory: Sequence[Memory]) -> list[Growth]:
    """Of every process that lived long enough, how fast it grew once it was warm."""
    return [found for it in memory if (found := _growth(it))]


def _growth(it: Memory) -> Growth | None:
    at, held = np.array(it.at), np.array(it.pss)
    if len(at) < FEWEST:
        return None
    life = float(at[-1] - at[0])
    warm = at >= at[0] + min(WARM_UP, WARM_SHARE * life)
    last = float(np.median(held[at >= at[-1] - LAST_MINUTE]))
    per_hour = 3600 * slope(at[warm], held[warm])
    return Growth(it.process, it.pid, life, last, float(held.max()), per_hour)


def slope(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """The median of the slopes between all pairs of points (Theil and Sen): a few outliers do not move it."""
    one, other = np.triu_indices(len(x), 1)
    run = x[other] - x[one]
    apart = run > 0
    return float(np.median((y[other] - y[one])[apart] / run[apart]))
