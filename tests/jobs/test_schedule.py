from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from loanmetrics.jobs.schedule import Due, Task, begun, due, latest

LAGOS, BERLIN, NEPAL = ZoneInfo("Africa/Lagos"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
AUCKLAND = ZoneInfo("Pacific/Auckland")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


SLOTS = [
    ("a quarter", Task.FIGURES, "2026-03-10 10:14:59.9", LAGOS, "2026-03-10 10:00"),
    ("on the stroke", Task.FIGURES, "2026-03-10 10:15", LAGOS, "2026-03-10 10:15"),
    ("a zone of three quarters", Task.FIGURES, "2026-03-10 10:20", NEPAL, "2026-03-10 10:15"),
    ("02:00 in Lagos", Task.REFRESH, "2026-03-10 01:00", LAGOS, "2026-03-10 01:00"),
    ("just before", Task.REFRESH, "2026-03-10 00:59", LAGOS, "2026-03-09 01:00"),
    ("the lender's day is ahead", Task.REFRESH, "2026-03-09 20:16", NEPAL, "2026-03-09 20:15"),
    ("over a year's end", Task.PRUNE, "2026-01-01 01:59", LAGOS, "2025-12-31 02:00"),
    ("clocks skip 02:00: when the gap ends", Task.REFRESH, "2026-03-29 01:00", BERLIN, "2026-03-29 01:00"),
    ("before the gap", Task.REFRESH, "2026-03-29 00:59", BERLIN, "2026-03-28 01:00"),
    ("03:00 is when the gap ends", Task.PRUNE, "2026-03-29 01:00", BERLIN, "2026-03-29 01:00"),
    ("02:00 comes twice: the first time", Task.REFRESH, "2026-10-25 00:00", BERLIN, "2026-10-25 00:00"),
    ("and not again", Task.REFRESH, "2026-10-25 01:30", BERLIN, "2026-10-25 00:00"),
    ("the 15th at noon", Task.PAR15, "2026-03-15 11:00", LAGOS, "2026-03-15 11:00"),
    ("the 15th before noon", Task.PAR15, "2026-03-15 10:59", LAGOS, "2026-02-15 11:00"),
    ("early in January", Task.PAR15, "2026-01-02 00:00", LAGOS, "2025-12-15 11:00"),
    ("a month's last day", Task.PAR15, "2026-03-31 23:30", LAGOS, "2026-03-15 11:00"),
    ("noon of the 15th far east", Task.PAR15, "2026-06-15 00:00", AUCKLAND, "2026-06-15 00:00"),
]


@pytest.mark.parametrize(
    ("task", "now", "zone", "slot"), [row[1:] for row in SLOTS], ids=[row[0] for row in SLOTS]
)
def test_the_newest_slot_that_has_come(task: Task, now: str, zone: ZoneInfo, slot: str) -> None:
    assert latest(task, utc(now), zone) == utc(slot)


def test_what_was_done_for_its_newest_slot_is_not_due() -> None:
    now = utc("2026-03-10 10:20")
    done = {task: latest(task, now, LAGOS) for task in Task}
    assert due(now, done, LAGOS) == []
    assert due(now + timedelta(minutes=10), done, LAGOS) == [Due(Task.FIGURES, utc("2026-03-10 10:30"))]


def test_slots_missed_while_nobody_worked_are_made_up_for_once() -> None:
    stopped, back = utc("2026-03-10 10:20"), utc("2026-03-17 09:00")
    done = {task: latest(task, stopped, LAGOS) for task in Task}
    assert due(back, done, LAGOS) == [
        Due(Task.PAR15, utc("2026-03-15 11:00")),
        Due(Task.REFRESH, utc("2026-03-17 01:00")),
        Due(Task.PRUNE, utc("2026-03-17 02:00")),
        Due(Task.FIGURES, utc("2026-03-17 09:00")),
    ]


def test_a_first_worker_computes_at_once_and_leaves_the_past_alone() -> None:
    now = utc("2026-03-10 10:20")
    done = {it.task: it.slot for it in begun(now, {}, LAGOS)}
    assert due(now, done, LAGOS) == [Due(Task.FIGURES, utc("2026-03-10 10:15"))]
    assert begun(now, done, LAGOS) == []


@pytest.mark.parametrize("zone", [LAGOS, BERLIN, NEPAL, AUCKLAND], ids=str)
def test_over_a_year_every_day_has_one_refresh_and_every_month_one_par15(zone: ZoneInfo) -> None:
    moments = [utc("2026-01-01 00:00") + n * timedelta(minutes=15) for n in range(365 * 96)]
    first = moments[0]
    done = {task: latest(task, first, zone) for task in Task}
    count = dict.fromkeys(Task, 0)
    for now in moments[1:]:
        for task, slot in due(now, done, zone):
            assert slot == now
            done[task] = slot
            count[task] += 1
    assert (count[Task.FIGURES], count[Task.PAR15]) == (365 * 96 - 1, 12)
    assert {count[Task.REFRESH], count[Task.PRUNE]} <= {364, 365}
