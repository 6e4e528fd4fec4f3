"""What every request works with: databases, facts, cache, the current run, members. One per worker process."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from loanmetrics.errors import NotFoundError, UsageError
from loanmetrics.export import About
from loanmetrics.facts.lake import Lake
from loanmetrics.http.cache import Cache
from loanmetrics.http.follow import Follower, Fresh
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.remote import Count, ignore
from loanmetrics.http.routes import Member, role_of
from loanmetrics.http.together import Together
from loanmetrics.http.tokens import HOURS, Team, Tokens
from loanmetrics.jobs import exports, members, reading
from loanmetrics.jobs.beside import By, revised
from loanmetrics.jobs.reading import Branches, Reading, Told
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store import members as store
from loanmetrics.store import pools, runs
from loanmetrics.store.audit_changes import Versions, follow
from loanmetrics.store.freshness import Freshness, freshness

if TYPE_CHECKING:
    import polars as pl
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

Kind = TypeVar("Kind", bound=Told)
LOG = logging.getLogger("loanmetrics.http")
PATIENCE = 5.0
DAYS_KEPT = 16
SHOWN_BYTES = 32 << 20


class Desk:
    """A worker's services. ``primary`` is written to and tells the current run; figures may come from ``replica``.

    ``watch``: a session on the primary that is kept for following the audits.
    """

    def __init__(
        self,
        settings: Settings,
        primary: "ConnectionPool",
        replica: "ConnectionPool",
        watch: "ConnectionPool",
        count: Count = ignore,
    ) -> None:
        self.settings = settings
        self._tokens = Tokens(settings, Team(self._members))
        self.cache = Cache(settings.cache_mb << 20, settings.redis_url, count=count)
        # What answers are made from (whose audits they show, cohorts): counted nowhere, as it is no answer.
        self.shown = Cache(SHOWN_BYTES, settings.redis_url)
        self.run = Fresh(self._last_run)
        # Asked for anew by every request, so that nobody misses their own write.
        self.audits = Together(self._follow_audits)
        self._versions = Versions()
        self._primary, self._replica, self._watch = primary, replica, watch
        self._watching: Connection | None = None
        self._held = threading.local()
        self._days: OrderedDict[tuple[str, date | None, type[Told]], Told] = OrderedDict()
        self._beside: OrderedDict[tuple[str, date, By, int], pl.DataFrame] = OrderedDict()
        self._lock = threading.Lock()
        self._follower: Follower | None = None

    @contextmanager
    def database(self) -> "Iterator[Connection]":
        """A session on the primary."""
        with self._session(self._primary) as connection:
            yield connection

    @contextmanager
    def reader(self) -> "Iterator[Connection]":
        """A session on the replica, or on the primary where there is none."""
        with self._session(self._replica) as connection:
            yield connection

    @contextmanager
    def _session(self, pool: "ConnectionPool") -> "Iterator[Connection]":
        """One for each thread: if every thread held one and waited for a second, none would ever get it."""
        held = self._held.__dict__.setdefault("sessions", {})
        if pool in held:
            yield held[pool]
            return
        with pool.connection() as connection:
            held[pool] = connection
            try:
                yield connection
            finally:
                del held[pool]

    @cached_property
    def lake(self) -> Lake:
        """The facts of this database."""
        with self.database() as connection:
            return lake_of(self.settings, connection)

    def _follow_audits(self) -> Versions:
        """Over one session that is kept: an old one that has ended is replaced, a new one that fails is an error."""
        kept = self._watching
        if kept is not None:
            try:
                self._versions = follow(kept, self._versions)
                return self._versions
            except pools.AWAY:
                self._watching = None
                self._watch.putconn(kept)
        fresh = self._watch.getconn()
        try:
            self._versions = follow(fresh, self._versions)
        except BaseException:
            self._watch.putconn(fresh)
            raise
        self._watching = fresh
        return self._versions

    def reading(self, day: date | None) -> Reading:
        """The officers of a day, by default the newest; the last few days asked for are kept until the next run."""
        return self._kept(day, Reading, reading.figures)

    def branches(self, day: date | None) -> Branches:
        """The branches of a day, likewise."""
        return self._kept(day, Branches, reading.branches)

    def _kept(
        self,
        day: date | None,
        kind: type[Kind],
        read: "Callable[[Connection, Lake, date | None], Kind]",
    ) -> Kind:
        key = (self.run(), day, kind)
        with self._lock:
            found = self._days.get(key)
            if isinstance(found, kind):
                self._days.move_to_end(key)
                return found
        with self.reader() as connection:
            made = read(connection, self.lake, day)
        with self._lock:
            self._days[key] = made
            while len(self._days) > DAYS_KEPT:
                self._days.popitem(last=False)
        return made

    def beside(self, told: Told, rows: "pl.DataFrame", by: By, nth: int) -> "pl.DataFrame":
        """Columns of figures by one revision, for all officers or branches of a day; the last few are kept."""
        key = (self.run(), told.day, by, nth)
        with self._lock:
            if key in self._beside:
                self._beside.move_to_end(key)
                return self._beside[key]
        with self.reader() as connection:
            made = revised(connection, self.lake, told, rows, by, nth)
        with self._lock:
            self._beside[key] = made
            while len(self._beside) > DAYS_KEPT:
                self._beside.popitem(last=False)
        return made

    def member(self, token: str) -> Member:
        """Whose access token this is; refused if the member may no longer come in, at most a minute late."""
        with _keys_in_order():
            found = self._tokens.principal(token)
        return Member(found.member_id, role_of(found.role))

    def access_token(self, member: store.Member) -> tuple[str, int]:
        """A token for a member's requests, and for how many seconds it is good."""
        with _keys_in_order():
            return self._tokens.issue(member), HOURS * 3600

    def exported(self, member: Member, what: str, about: About) -> None:
        """Every export is in the audit chain."""
        by = member.member_id
        assert by is not None, "only members can export"
        with self.database() as connection:
            exports.record(connection, what, about.run_id, about.filters, by)

    def freshness(self) -> Freshness:
        """How old the published figures are, and how the last run went."""
        with self.database() as connection:
            return freshness(connection)

    def follow(self, heard: Callable[[], None]) -> None:
        """Look out for new runs in the background: each becomes the current one at once, then ``heard`` is called."""

        def new(run_id: str) -> None:
            self.run.forget()
            heard()

        self._follower = Follower(self._newest_run, new, self.settings.redis_url)
        self._follower.start()

    def close(self) -> None:
        """Give all sessions back."""
        if self._follower:
            self._follower.stop()
        self.cache.close()
        self.shown.close()
        for pool in {self._primary, self._replica, self._watch}:
            pool.close()

    def _newest_run(self) -> str | None:
        with self.reader() as connection:
            return runs.last_completed(connection)

    def _last_run(self) -> str:
        run_id = self._newest_run()
        if run_id is None:
            raise NotFoundError("nothing is published yet", "loanmetrics compute")
        return run_id

    def _members(self) -> dict[int, store.Access]:
        with self.database() as connection:
            return members.access(connection)


@contextmanager
def _keys_in_order() -> Iterator[None]:
    """What is wrong with a file of keys is for the operator to read, in the log; nothing the client gave is wrong."""
    try:
        yield
    except UsageError as error:
        LOG.error("tokens cannot be made or checked: %s", error)
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "tokens cannot be checked just now", headers={"Retry-After": "5"}
        ) from None


def open_desk(settings: Settings, url: str, count: Count = ignore, patience: float = PATIENCE) -> Desk:
    """A worker's desk; sessions are opened in the background, so that an API starts before its database does.

    A request waits ``patience`` seconds for a session before it is refused.
    """
    primary = pools.pool(url, settings.threads, patience)
    replica = (
        pools.pool(settings.replica_url, settings.threads, patience) if settings.replica_url else primary
    )
    return Desk(settings, primary, replica, pools.pool(url, 1, patience), count)
