"""Finished answers, kept twice: in this process, bounded by bytes, and in a Redis that all workers share.

A key says everything an answer depends on, the run above all, so nothing here can be stale; age and size only
bound memory. Whatever Redis does (absent, slow, full, read-only, other people's values) is a miss and a count, never
an error.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import msgspec

from loanmetrics.http.remote import Count, Remote, ignore

KEPT = 900.0
OVERHEAD = 512  # bytes of one kept answer beside its body, roughly
LARGEST_SHARE = 4  # an answer larger than a quarter of the room would push out too many others
FORMAT = b"lm1\n"
CHECK_BYTES = 16


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A finished answer, ready to be sent."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def worth_keeping(self) -> bool:
        """Refusals and failures are made anew: they are cheap, and would let strangers fill the cache."""
        return self.status == 200


class Cache:
    """Answers by key: from this process, else from Redis, else made, by one thread while others wait for it."""

    def __init__(
        self,
        room: int,
        redis_url: str | None = None,
        *,
        count: Count = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.local = Local(room, clock)
        self.remote = Remote(redis_url, count, clock=clock) if redis_url else None
        self._count = count
        self._flights: dict[str, Future[Entry]] = {}
        self._lock = threading.Lock()

    def get_or_make(self, key: str, make: Callable[[], Entry]) -> tuple[Entry, bool]:
        """The answer, and whether it was there already. What ``make`` raises goes to all who wait for it."""
        found = self.local.get(key)
        if found is None:
            flight, leads = self._board(key)
            if leads:
                return self._fly(key, make, flight)
            found = flight.result()
        self._count("hit_local")
        return found, True

    def close(self) -> None:
        """Let Redis go."""
        if self.remote:
            self.remote.close()

    def _board(self, key: str) -> tuple["Future[Entry]", bool]:
        with self._lock:
            waiting = self._flights.get(key)
            if waiting is not None:
                return waiting, False
            mine = self._flights[key] = Future()
            return mine, True

    def _fly(self, key: str, make: Callable[[], Entry], flight: "Future[Entry]") -> tuple[Entry, bool]:
        try:
            entry, hit = self._find_or_make(key, make)
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
            raise
        self._land(key)
        flight.set_result(entry)
        return entry, hit

    def _land(self, key: str) -> None:
        with self._lock:
            del self._flights[key]

    def _find_or_make(self, key: str, make: Callable[[], Entry]) -> tuple[Entry, bool]:
        found = self.local.get(key)  # the flight before this one may have landed meanwhile
        if found is not None:
            self._count("hit_local")
            return found, True
        found = self._remembered(key)
        if found is not None:
            self.local.put(key, found)
            self._count("hit_redis")
            return found, True
        self._count("miss")
        made = make()
        if made.worth_keeping:
            self.local.put(key, made)
            if self.remote:
                self.remote.put(key, packed(key, made), KEPT)
        return made, False

    def _remembered(self, key: str) -> Entry | None:
        raw = self.remote.get(key) if self.remote else None
        if raw is None:
            return None
        entry = unpacked(key, raw)
        if entry is None:
            self._count("error")
        return entry


class Local:
    """The answers of this process: the least recently used go first when there is no more room."""

    def __init__(self, room: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.room = room
        self.used = 0
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Entry, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Entry | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            entry, until = found
            if self._clock() >= until:
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return entry

    def put(self, key: str, entry: Entry) -> None:
        if _size(entry) * LARGEST_SHARE > self.room:
            return
        with self._lock:
            self._drop(key)
            self._kept[key] = entry, self._clock() + KEPT
            self.used += _size(entry)
            while self.used > self.room:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        found = self._kept.pop(key, None)
        if found:
            self.used -= _size(found[0])


def packed(key: str, entry: Entry) -> bytes:
    """An answer as Redis keeps it: the format, a checksum over key and content, the content."""
    content = msgspec.msgpack.encode(entry)
    return FORMAT + _checksum(key, content) + content


def unpacked(key: str, raw: bytes) -> Entry | None:
    """The answer of this key, or nothing if these bytes are anything else."""
    start = len(FORMAT) + CHECK_BYTES
    content = raw[start:]
    if not raw.startswith(FORMAT) or raw[len(FORMAT) : start] != _checksum(key, content):
        return None
    try:
        return msgspec.msgpack.decode(content, type=Entry)
    except msgspec.DecodeError:
        return None


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(
        content, digest_size=CHECK_BYTES, person=b"loanmetrics", key=key.encode()[-64:]
    ).digest()


def _size(entry: Entry) -> int:
    return len(entry.body) + OVERHEAD
