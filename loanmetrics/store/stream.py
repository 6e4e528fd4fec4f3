"""Events of the lender's systems from a Redis Stream. They wake the worker: what changed, it reads from the database.

So an event told twice costs a run that finds nothing, and no more. An event is acknowledged once a run that began
after it was read has ended well; whoever leads next begins with those that were not.
"""

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from loanmetrics.store import redis

GROUP = "loanmetrics"
# Only the worker that leads reads, so one name will do: the next leader finds what this one left.
READER = "leader"
KIND = re.compile(rb"(loan|repayment)\.[a-z][a-z0-9_]{0,63}")
REFUSED = ":refused"
MOST_REFUSED = 10_000
AT_ONCE = 1_000
# Between two looks at everything else there is to do.
MOST_BATCHES = 20
PATIENCE = 1.0

Entries: TypeAlias = list[tuple[bytes, Mapping[bytes, bytes] | None]]
log = logging.getLogger(__name__)


class Stream:
    """The events of one stream that no run has followed yet."""

    def __init__(self, url: str, name: str) -> None:
        redis.check(url)
        self._url, self._name = url, name
        self._client: Any = None
        self._held: dict[bytes, None] = {}
        self._away = False

    def begin(self) -> None:
        """Look for what another leader left: forget the connection, and what was read over it."""
        self._held.clear()
        self.close()

    def waiting(self) -> bool:
        """Whether there are events for a run to follow, as far as can be told."""
        try:
            if self._client is None:
                self._connect()
            for _ in range(MOST_BATCHES):
                if not self._take(self._read(b">")):
                    break
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
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                client.close()

    def _connect(self) -> None:
        """Have a connection, and again whatever was read before and not acknowledged."""
        self._client = redis.connect(self._url, PATIENCE)
        self._join()
        last = b"0"
        while last := self._take(self._read(last)):
            pass
        if self._away:
            log.info("the stream of events is back")
        self._away = False

    def _join(self) -> None:
        """Have the group, from the first event on that the stream still holds."""
        from redis.exceptions import ResponseError

        try:
            self._client.xgroup_create(self._name, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _read(self, after: bytes) -> Entries:
        found = self._client.xreadgroup(GROUP, READER, {self._name: after}, count=AT_ONCE)
        return list(found[0][1]) if found else []

    def _take(self, entries: Entries) -> bytes:
        """Hold what can be followed; the last entry's id, empty where there is none."""
        bad = {entry: why for entry, fields in entries if (why := refused(fields))}
        self._held.update(dict.fromkeys(entry for entry, _ in entries if entry not in bad))
        if bad:
            self._refuse(bad)
        return entries[-1][0] if entries else b""

    def _refuse(self, bad: Mapping[bytes, str]) -> None:
        """Note each, by its id alone as it may hold anything, and have all out of the way, noted or not."""
        entry, why = next(iter(bad.items()))
        log.warning("%d events are refused, the first, %s: %s", len(bad), entry.decode(), why)
        notes = self._client.pipeline(transaction=False)
        for entry, why in bad.items():
            told = {"event": entry, "why": why}
            notes.xadd(f"{self._name}{REFUSED}", told, maxlen=MOST_REFUSED, approximate=True)
        notes.execute(raise_on_error=False)
        self._client.xack(self._name, GROUP, *bad)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            log.warning("the stream of events is out of reach: %s", type(error).__name__)
        self._away = True
        self.close()


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
