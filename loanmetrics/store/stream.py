"""Events of the lender's systems from a Redis Stream. They wake the worker: what changed, it reads from the database.

So an event told twice costs a run that finds nothing, and no more. An event is acknowledged once a run that began
after it was read has ended well; whoever leads next begins with those that were not.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from loanmetrics.store import redis

GROUP = "loanmetrics"
# Only the worker that leads reads, so one name will do: the next leader finds what this one left.
READER = "leader"
KIND = re.compile(rb"(loan|repayment)\.[a-z][a-z0-9_]{0,63}")
REFUSED = ":refused"
MOST_REFUSED = 10_000
AT_ONCE = 1_000
MOST_HELD = 100_000
PATIENCE = 1.0

log = logging.getLogger(__name__)


class Stream:
    """The events of one stream that no run has followed yet."""

    def __init__(self, url: str, name: str) -> None:
        redis.check(url)
        self._url, self._name = url, name
        self._client: Any = None
        self._held: dict[bytes, None] = {}
        self._away = False

    def waiting(self) -> bool:
        """Whether there are events for a run to follow, as far as can be told."""
        try:
            for entry, fields in self._new():
                if why := refused(fields):
                    self._refuse(entry, why)
                else:
                    self._held[entry] = None
        except Exception as error:
            # A client library's errors are many; each means the same: connect anew, and begin with what was read.
            self._lost(error)
        return bool(self._held)

    def held(self) -> tuple[bytes, ...]:
        """The events that a run beginning now follows."""
        return tuple(self._held)

    def done(self, entries: tuple[bytes, ...]) -> None:
        """A run has followed these. If that cannot be said now, another run will follow them again."""
        for entry in entries:
            self._held.pop(entry, None)
        try:
            if entries and self._client is not None:
                self._client.xack(self._name, GROUP, *entries)
        except Exception as error:
            self._lost(error)

    def close(self) -> None:
        """Let the connection go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _new(self) -> Iterator[tuple[bytes, Mapping[bytes, bytes] | None]]:
        """What has come since the last look; after a new connection first what was read and not acknowledged."""
        if self._client is None:
            yield from self._left()
        while len(self._held) < MOST_HELD and (found := self._read(b">")):
            yield from found

    def _left(self) -> Iterator[tuple[bytes, Mapping[bytes, bytes] | None]]:
        self._client = redis.connect(self._url, PATIENCE)
        self._join()
        if self._away:
            log.info("the stream of events is back")
        self._away = False
        last = b"0"
        while found := self._read(last):
            last = found[-1][0]
            yield from found

    def _join(self) -> None:
        """Have the group, from the first event on that the stream still holds."""
        from redis.exceptions import ResponseError

        try:
            self._client.xgroup_create(self._name, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _read(self, after: bytes) -> list[tuple[bytes, Mapping[bytes, bytes] | None]]:
        found = self._client.xreadgroup(GROUP, READER, {self._name: after}, count=AT_ONCE)
        return list(found[0][1]) if found else []

    def _refuse(self, entry: bytes, why: str) -> None:
        """Put it on record, by its id alone as it may hold anything, and out of the way."""
        log.warning("event %s is refused: %s", entry.decode(), why)
        told = {"event": entry, "why": why}
        self._client.xadd(f"{self._name}{REFUSED}", told, maxlen=MOST_REFUSED, approximate=True)
        self._client.xack(self._name, GROUP, entry)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            log.warning("the stream of events is out of reach: %s", type(error).__name__)
        self._away = True
        try:
            self.close()
        except Exception:
            self._client = None


def refused(fields: Mapping[bytes, bytes] | None) -> str:
    """Why an event cannot be followed; nothing if it can. One that the stream no longer holds was read once: it can.

    >>> refused({b"type": b"repayment.received"}), refused({b"kind": b"x"}), refused({b"type": b"officer.moved"})
    ('', 'it has no type', 'its type is neither loan.* nor repayment.*')
    """
    if not fields:
        return ""
    kind = fields.get(b"type")
    if kind is None:
        return "it has no type"
    return "" if KIND.fullmatch(kind) else "its type is neither loan.* nor repayment.*"
