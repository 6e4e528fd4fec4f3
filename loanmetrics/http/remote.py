"""The cache that workers share: never waited for longer than its budget, and left alone for a while when it fails."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from loanmetrics.store import redis

if TYPE_CHECKING:
    from loanmetrics.store.redis import Client

BUDGET = 0.05
PAUSE = 3.0
CALLERS = 8
# What takes longer than the budget to travel would make a healthy Redis look slow.
LARGEST = 1 << 20

Event: TypeAlias = Literal["hit_local", "hit_redis", "miss", "error"]
Count: TypeAlias = Callable[[Event], None]
T = TypeVar("T")


def ignore(event: Event) -> None:
    """Nobody counts."""


class Remote:
    """Bytes by key in Redis. Every failure is counted and looks like nothing found."""

    def __init__(
        self,
        url: str,
        count: Count = ignore,
        *,
        budget: float = BUDGET,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        redis.check(url)
        import_module("redis")  # takes longer than the budget, and so should not be left to the first request
        self._url, self._count, self._budget = url, count, budget
        self._breaker = Breaker(pause, clock)
        self._client: Client | None = None
        self._lock = threading.Lock()
        # Looking up names, sentinels and moved slots take several waits each, so the budget is held from outside.
        self._callers = ThreadPoolExecutor(CALLERS, thread_name_prefix="redis")

    def get(self, key: str) -> bytes | None:
        found = self._within_budget(lambda client: client.get(key))
        return found if isinstance(found, bytes) else None

    def put(self, key: str, value: bytes, seconds: float) -> None:
        if len(value) <= LARGEST:
            self._within_budget(lambda client: client.set(key, value, ex=int(seconds)))

    def answers(self) -> bool:
        """Whether it can be reached now, within the budget."""
        return self._within_budget(lambda client: client.ping()) is True

    def close(self) -> None:
        """Wait for nothing that is under way."""
        self._callers.shutdown(wait=False, cancel_futures=True)

    def _within_budget(self, command: "Callable[[Client], T]") -> T | None:
        if not self._breaker.lets_through():
            return None
        future = self._callers.submit(lambda: command(self._connected()))
        try:
            answer = future.result(self._budget)
        except Exception as error:
            # Whatever the client can raise, readers must not see it: the answer is made without Redis.
            future.cancel()
            self._count("error")
            self._breaker.note(works=_is_refusal(error))
            return None
        self._breaker.note(works=True)
        return answer

    def _connected(self) -> "Client":
        with self._lock:
            if self._client is None:
                self._client = redis.connect(self._url, self._budget)
            return self._client


class Breaker:
    """Lets everything through while things work, and after a failure one try per pause."""

    def __init__(self, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = pause, clock
        self._next_try: float | None = None
        self._lock = threading.Lock()

    def lets_through(self) -> bool:
        with self._lock:
            if self._next_try is None:
                return True
            if self._clock() < self._next_try:
                return False
            self._next_try = self._clock() + self._pause
            return True

    def note(self, *, works: bool) -> None:
        with self._lock:
            self._next_try = None if works else self._clock() + self._pause


def _is_refusal(error: Exception) -> bool:
    """It answers, but will not do this: full, read-only, another kind of value at the key."""
    from redis.exceptions import ResponseError

    return isinstance(error, ResponseError)
