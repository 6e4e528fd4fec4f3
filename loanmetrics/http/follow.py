"""Which run is the current one: read from the database at most a second ago, and heard of sooner through Redis."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from loanmetrics.store import redis
from loanmetrics.store.announce import CHANNEL

FRESH = 1.0
POLL = 2.0
PATIENCE = 1.0
ATTENTION = 0.5

T = TypeVar("T")
log = logging.getLogger(__name__)


class Fresh(Generic[T]):
    """What ``read`` says, asked again when that is older than ``keep`` seconds.

    The age counts from before the question, so that an answer is never older than it looks.
    """

    def __init__(
        self, read: Callable[[], T], *, keep: float = FRESH, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._keep, self._clock = read, keep, clock
        self._known: tuple[float, T] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> T:
        """The value; whatever ``read`` raises if it must be asked and fails."""
        known = self._known
        if known and self._is_fresh(known):
            return known[1]
        with self._lock:
            known = self._known
            if known and self._is_fresh(known):
                return known[1]
            asked = self._clock()
            value = self._read()
            self._known = asked, value
            return value

    def forget(self) -> None:
        """Ask again next time; waits for a question under way, whose answer may be of before."""
        with self._lock:
            self._known = None

    def _is_fresh(self, known: tuple[float, T]) -> bool:
        return self._clock() - known[0] <= self._keep


class Follower:
    """A thread that looks for a new run every ``poll`` seconds, and at once when Redis tells of one.

    ``read`` asks the database; ``heard`` is called with the id of every run that was not current before, the first
    one included. Neither may end the thread.
    """

    def __init__(
        self,
        read: Callable[[], str | None],
        heard: Callable[[str], None],
        redis_url: str | None = None,
        *,
        poll: float = POLL,
    ) -> None:
        self._read, self._heard, self._poll = read, heard, poll
        self._ear = Ear(redis_url) if redis_url else None
        self._last: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow runs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, soon."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._look()
            until = time.monotonic() + self._poll
            while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
                if self._waited(min(left, ATTENTION)):
                    break
        if self._ear:
            self._ear.close()

    def _look(self) -> None:
        try:
            run_id = self._read()
            if run_id and run_id != self._last:
                self._heard(run_id)
                self._last = run_id
        except Exception as error:
            # The database may be away, and so may whatever a new run sets off: the next look tries again.
            log.warning("looking for a new run failed: %s", type(error).__name__)

    def _waited(self, seconds: float) -> bool:
        """Wait; True if a run was called out meanwhile."""
        if self._ear is None:
            self._stopping.wait(seconds)
            return False
        heard = self._ear.listen(seconds)
        if heard is None:
            self._stopping.wait(seconds)
        return bool(heard)


class Ear:
    """Listens for runs in Redis, through reconnects."""

    def __init__(self, url: str) -> None:
        redis.check(url)
        self._url = url
        self._client: Any = None
        self._line: Any = None

    def listen(self, seconds: float) -> bool | None:
        """Whether a run was called out within some seconds; None, at once, if Redis is out of reach."""
        try:
            if self._line is None:
                self._client = redis.connect(self._url, PATIENCE)
                self._line = self._client.pubsub(ignore_subscribe_messages=True)
                self._line.subscribe(CHANNEL)
            return self._line.get_message(timeout=seconds) is not None
        except Exception as error:
            # A client library's errors are many; each means the same: try anew after a while.
            log.info("Redis is out of reach: %s", type(error).__name__)
            self.close()
            return None

    def close(self) -> None:
        for held in (self._line, self._client):
            if held is not None:
                held.close()
        self._line = self._client = None
