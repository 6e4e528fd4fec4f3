"""When each task of the worker is due, in the lender's time zone. Pure: the clock is given."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
REFRESH_AT, PRUNE_AT = time(2), time(3)
PAR15_DAY, PAR15_AT = 15, time(12)


class Task(StrEnum):
    """What is done by the clock; of tasks due together the first comes first."""

    PAR15 = "par15"
    REFRESH = "refresh"
    PRUNE = "prune"
    FIGURES = "figures"


# By task, the last slot it was done for.
Done = Mapping[Task, datetime]


class Due(NamedTuple):
    """A task and the newest slot it is due for."""

    task: Task
    slot: datetime


def latest(task: Task, now: datetime, zone: ZoneInfo) -> datetime:
    """The newest slot of a task that has come, in UTC.

    A wall-clock time that a change of the clocks skips comes when the gap ends, one that comes twice the first time.

    >>> latest(Task.REFRESH, datetime(2026, 7, 1, 0, 30, tzinfo=UTC), ZoneInfo("Africa/Lagos")).isoformat()
    '2026-06-30T01:00:00+00:00'
    """
    today = now.astimezone(zone).date()
    match task:
        case Task.FIGURES:
            # Every zone's offset is a whole number of quarters, so these are quarters there too.
            return now.astimezone(UTC) - (now - datetime.min.replace(tzinfo=UTC)) % QUARTER
        case Task.PAR15:
            month = today.replace(day=PAR15_DAY)
            before = (month.replace(day=1) - timedelta(days=1)).replace(day=PAR15_DAY)
            return _newest([month, before], PAR15_AT, now, zone)
        case Task.REFRESH | Task.PRUNE:
            at = REFRESH_AT if task is Task.REFRESH else PRUNE_AT
            return _newest([today - timedelta(days=back) for back in range(3)], at, now, zone)


def due(now: datetime, done: Done, zone: ZoneInfo) -> list[Due]:
    """Tasks whose newest slot has not been done, each once however many slots were missed.

    Where nothing is known of a task, figures are due at once, and the others wait for their next slot: call ``begun``.
    """
    newest = [Due(task, latest(task, now, zone)) for task in Task]
    return [it for it in newest if it.task not in done or done[it.task] < it.slot]


def begun(now: datetime, done: Done, zone: ZoneInfo) -> list[Due]:
    """Slots of before there was a worker, which count as done."""
    return [
        Due(task, latest(task, now, zone)) for task in Task if task not in done and task is not Task.FIGURES
    ]


def _newest(days: list[date], at: time, now: datetime, zone: ZoneInfo) -> datetime:
    """The newest of some days' slots that has come; the days go backwards."""
    slots = (datetime.combine(day, at, zone).astimezone(UTC) for day in days)
    return next(slot for slot in slots if slot <= now)
