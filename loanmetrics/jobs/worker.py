"""The worker: recomputes today when the lender's tables change, and runs the schedule where there is no cron.

An event run is an ordinary incremental run, started by a change: there is no second way to a figure. It is called
provisional because the log and the facts keep it only until the schedule's next run has gone over the same day.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Event
from zoneinfo import ZoneInfo

import psycopg

from loanmetrics.errors import LoanmetricsError, LockHeldError, UnreachableError
from loanmetrics.jobs.backfill import backfill
from loanmetrics.jobs.compute import ComputeReport, compute
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.running import READER, at_work
from loanmetrics.jobs.schedule import Due, Task, begun, due, latest
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import changes, leading, runs, slots
from loanmetrics.store.session import connect
from loanmetrics.store.stream import Stream

EVENTS = "events"
POLL = 2.0
ATTENTION = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_HOLD = 300.0
# The database is away, restarting or busy: the same again may well succeed, and runs may always be repeated.
TRANSIENT = (UnreachableError, psycopg.OperationalError, psycopg.InterfaceError)

log = logging.getLogger(__name__)


@dataclass
class Pause:
    """Waits that double from failure to failure, until something succeeds."""

    longest: float
    seconds: float = 0.0

    def more(self) -> float:
        """How long to wait now.

        >>> pause = Pause(5.0)
        >>> [pause.more() for _ in range(5)]
        [1.0, 2.0, 4.0, 5.0, 5.0]
        """
        self.seconds = min(self.longest, 2 * self.seconds or FIRST_PAUSE)
        return self.seconds


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Worker:
    """One worker. ``every``: seconds from the start of an event run to that of the next, at least."""

    settings: Settings
    policy: Policy
    every: float = 2.0
    schedule: bool = True
    events: bool = True
    stop: Event = field(default_factory=Event)
    now: Callable[[], datetime] = _now
    stream: Stream | None = None

    def __post_init__(self) -> None:
        self._zone = ZoneInfo(self.policy.time_zone)
        self._logged = self.settings.change_detection == "triggers"
        if self.events and not self._logged and self.stream is None:
            log.info("changes are found by hashes: there are no events, only the schedule")
            self.events = False
        self._not_before: dict[str, float] = {}
        self._holds: dict[str, Pause] = {}
        self._away = Pause(LONGEST_PAUSE)

    def run(self) -> None:
        """Work until stopped; a database that goes away is waited for. A run under way is finished first."""
        while not self.stop.is_set():
            try:
                self._session()
            except TRANSIENT as error:
                pause = self._away.more()
                log.warning("the database is away (%s): next try in %.0f s", runs.reason(error), pause)
                self.stop.wait(pause)

    def once(self) -> None:
        """Do what is due now, and no more."""
        with opened(self.settings) as url, connect(url, "loanmetrics worker") as session:
            if not leading.lead(session):
                raise LockHeldError("another worker leads on this database")
            self._begin(session)
            for it in self._due(session):
                self._do(session, it)
            if self._waits(session):
                self._follow()

    def _session(self) -> None:
        """On one session, wait to lead, and lead until stopped or until the session breaks."""
        with opened(self.settings) as url, connect(url, "loanmetrics worker") as session:
            waiting = False
            while not leading.lead(session):
                self._away.seconds = 0.0
                if not waiting:
                    log.info("another worker leads: waiting")
                waiting = True
                if self.stop.wait(POLL):
                    return
            log.info("leading")
            self._begin(session)
            while not self.stop.is_set():
                self._turn(session)
                self._away.seconds = 0.0
                self._rest(session)

    def _done(self, session: psycopg.Connection) -> dict[Task, datetime]:
        return {Task(name): slot for name, slot in slots.done(session).items() if name in list(Task)}

    def _begin(self, session: psycopg.Connection) -> None:
        if self.stream:
            self.stream.begin()
        if self.schedule:
            for task, slot in begun(self.now(), self._done(session), self._zone):
                slots.record(session, task, slot)

    def _turn(self, session: psycopg.Connection) -> None:
        for it in self._due(session):
            if self.stop.is_set():
                return
            self._guarded(it.task, lambda it=it: self._do(session, it))  # type: ignore[misc]
        if not self.stop.is_set() and self._waits(session):
            self._guarded(EVENTS, self._follow)

    def _waits(self, session: psycopg.Connection) -> bool:
        """Whether something may have changed that no run has read."""
        if not self.events:
            return False
        return self._called() or (self._logged and changes.pending(session, READER))

    def _called(self) -> bool:
        """Whether events came over the stream."""
        return self.stream is not None and self.stream.waiting()

    def _due(self, session: psycopg.Connection) -> list[Due]:
        return due(self.now(), self._done(session), self._zone) if self.schedule else []

    def _rest(self, session: psycopg.Connection) -> None:
        """Until a change is called out, or it is time to look anyway."""
        left = self._not_before.get(EVENTS, 0.0) - time.monotonic()
        if left > 0:
            self.stop.wait(min(left, POLL))
            return
        until = time.monotonic() + POLL
        while not self.stop.is_set() and (left := until - time.monotonic()) > 0:
            if leading.heard(session, min(left, ATTENTION)) or (self.events and self._called()):
                return

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        """Do it unless it failed a moment ago; what fails is held back, ever longer, and the rest goes on."""
        if time.monotonic() < self._not_before.get(name, 0.0):
            return
        try:
            act()
        except LockHeldError as error:
            log.info("%s waits: %s", name, error.message)
            self._not_before[name] = time.monotonic() + POLL
        except UnreachableError:
            raise
        except LoanmetricsError as error:
            pause = self._holds.setdefault(name, Pause(LONGEST_HOLD)).more()
            log.error("%s failed: %s; next try in %.0f s", name, runs.reason(error), pause)
            self._not_before[name] = time.monotonic() + pause
        else:
            self._holds.pop(name, None)

    def _do(self, session: psycopg.Connection, it: Due) -> None:
        """One task of the schedule, unless another has done its work; repeated after a crash, it changes nothing."""
        if it not in self._due(session):
            return
        began = time.monotonic()
        match it.task:
            case Task.FIGURES:
                self._compute()
            case Task.REFRESH:
                self._backfill(self._today() - timedelta(days=1))
                self._compute(full=True)
                slots.record(session, Task.FIGURES, latest(Task.FIGURES, it.slot, self._zone))
            case Task.PAR15:
                self._backfill(it.slot.astimezone(self._zone).date())
            case Task.PRUNE:
                with at_work(self.settings, "loanmetrics worker") as place:
                    log.info("%d rows of event runs dropped", runs.prune_events(place.connection))
        slots.record(session, it.task, it.slot)
        log.info("%s of %s done in %.1f s", it.task, it.slot.isoformat(), time.monotonic() - began)

    def _follow(self) -> None:
        self._not_before[EVENTS] = time.monotonic() + self.every
        events = self.stream.held() if self.stream else ()
        self._compute(kind=runs.EVENT)
        if self.stream:
            self.stream.done(events)

    def _today(self) -> date:
        return self.now().astimezone(self._zone).date()

    def _compute(self, *, full: bool = False, kind: str = runs.DAY) -> ComputeReport:
        made = compute(self.settings, self._today(), self.policy, full=full, kind=kind)
        log.info("run %s: %d rows changed in %.2f s", made.run_id, made.changed, made.seconds)
        return made

    def _backfill(self, day: date) -> None:
        for _ in backfill(self.settings, day, day, self.policy):
            pass
