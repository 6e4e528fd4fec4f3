"""The worker against a real database: in processes of its own where signals and crashes matter."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import msgspec
import psycopg
import pytest

from loanmetrics.errors import LockHeldError
from loanmetrics.jobs.compute import compute
from loanmetrics.jobs.running import READER, at_work
from loanmetrics.jobs.worker import Worker
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import changes, leading, runs, slots
from loanmetrics.store.audit_check import verify
from loanmetrics.store.session import connect
from tests.http.waiting import until
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, rows, statuses, told
from tests.jobs.working import Working, working

PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
OWED = "SELECT total_outstanding::text FROM loan_state WHERE loan_id = 'L2'"
RUNS = "SELECT calculation_type, calculation_date, status FROM metric_calculation_log ORDER BY log_id"
SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'loanmetrics%'
"""
NOON = datetime(2026, 3, 16, 11, 20, tzinfo=UTC)


def at(moment: datetime, settings: Settings) -> Worker:
    return Worker(settings, Policy(time_zone="Africa/Lagos"), now=lambda: moment)


@pytest.fixture
def settings(small: str, home: Path) -> Settings:
    return Settings(database_url=small, home=home)


@pytest.fixture
def follower(small: str, home: Path, tmp_path: Path) -> Iterator[Working]:
    """A worker that follows changes only and has read all there is."""
    with working(small, home, "--no-schedule", "--every", "0.1") as worker:
        worker.leads()
        until(lambda: asked(small, OWED) == [("700.00",)])
        until(lambda: worker.said(" rows changed in "))
        yield worker


def test_a_change_is_published_by_an_event_run(small: str, follower: Working) -> None:
    told(small, PAID)
    until(lambda: asked(small, OWED) == [("600.00",)])
    assert {(kind, status) for kind, _, status in asked(small, RUNS)} == {("event", "Completed")}
    assert follower.ended(signal.SIGTERM) == 0


def test_an_event_run_gives_the_bytes_that_reading_everything_gives(
    small: str, follower: Working, settings: Settings
) -> None:
    told(small, PAID)
    until(lambda: asked(small, OWED) == [("600.00",)])
    assert follower.ended(signal.SIGTERM) == 0
    day = asked(small, "SELECT max(calculation_date) FROM officer_metrics_daily")[0][0]
    before = rows(small)
    compute(settings, day, Policy(), full=True)
    assert rows(small) == before


def test_a_change_calls_out_and_a_roll_back_does_not(small: str) -> None:
    with connect(small) as ears, psycopg.connect(small) as writer:
        assert leading.lead(ears)
        writer.execute(PAID.encode())
        writer.rollback()
        assert not leading.heard(ears, 0)
        writer.execute(PAID.encode())
        writer.commit()
        assert leading.heard(ears, 60)


def test_pending_is_what_no_run_has_read(small: str, settings: Settings) -> None:
    with connect(small) as session, psycopg.connect(small) as slow:
        assert changes.pending(session, READER)
        slow.execute(PAID.encode())
        compute(settings, DAY, Policy())
        assert not changes.pending(session, READER)
        slow.commit()
        assert changes.pending(session, READER)
        compute(settings, DAY, Policy())
        assert not changes.pending(session, READER)


def test_when_the_leader_is_killed_another_takes_over(small: str, home: Path) -> None:
    with working(small, home, "--no-schedule") as first:
        first.leads()
        with working(small, home, "--no-schedule") as second:
            until(lambda: second.said("another worker leads"))
            until(lambda: asked(small, OWED) == [("700.00",)])
            assert not second.said(": leading")
            first.process.kill()
            second.leads()
            told(small, PAID)
            until(lambda: asked(small, OWED) == [("600.00",)])
            assert second.ended(signal.SIGTERM) == 0


def test_sessions_that_are_cut_off_are_made_anew(small: str, follower: Working) -> None:
    told(small, SESSIONS)
    until(lambda: follower.said("the database is away"))
    told(small, PAID)
    until(lambda: asked(small, OWED) == [("600.00",)])
    assert follower.ended(signal.SIGINT) == 0


def test_sigterm_lets_a_run_under_way_finish(small: str, follower: Working) -> None:
    with psycopg.connect(small) as holder:
        holder.execute("LOCK TABLE officer_metrics_daily IN ACCESS EXCLUSIVE MODE")
        told(small, PAID)
        until(lambda: asked(small, "SELECT FROM pg_locks WHERE NOT granted"))
        follower.process.send_signal(signal.SIGTERM)
    assert follower.ended(signal.SIGTERM) == 0
    assert asked(small, OWED) == [("600.00",)]
    assert {status for *_, status in asked(small, RUNS)} == {"Completed"}


def test_a_run_of_somebody_else_is_waited_for(small: str, home: Path, follower: Working) -> None:
    with connect(small) as other, runs.run_lock(other):
        told(small, PAID)
        until(lambda: follower.said("events waits: another run is at work"))
        assert asked(small, OWED) == [("700.00",)]
    until(lambda: asked(small, OWED) == [("600.00",)])
    assert follower.ended(signal.SIGTERM) == 0


def test_a_gate_that_refuses_is_tried_again_later_and_does_not_end_the_worker(
    small: str, follower: Working
) -> None:
    told(small, "UPDATE repayments SET loan_id = 'none'")
    until(lambda: follower.said("events failed: "))
    assert asked(small, OWED) == [("700.00",)]
    told(small, "UPDATE repayments SET loan_id = 'L2'")
    until(lambda: asked(small, OWED) == [("0.00",)])
    assert follower.ended(signal.SIGTERM) == 0


def test_a_first_worker_computes_today_and_leaves_other_slots_to_come(small: str, settings: Settings) -> None:
    at(NOON, settings).once()
    assert asked(small, RUNS) == [("day", DAY, "Completed")]
    at(NOON, settings).once()
    assert asked(small, RUNS) == [("day", DAY, "Completed")]
    at(NOON + timedelta(minutes=15), settings).once()
    assert asked(small, RUNS)[1:] == [("day", DAY, "Completed")]


def test_night_closes_yesterday_reads_everything_and_counts_as_the_quarters_run(
    small: str, settings: Settings
) -> None:
    at(NOON, settings).once()
    at(NOON.replace(day=17, hour=1, minute=1), settings).once()
    assert asked(small, RUNS)[1:] == [
        ("backfill", DAY, "Completed"),
        ("day", DAY + timedelta(1), "Completed"),
    ]


def test_the_15th_is_frozen_even_if_it_was_missed_and_once(small: str, settings: Settings) -> None:
    fourteenth = NOON.replace(day=14)
    at(fourteenth, settings).once()
    at(fourteenth + timedelta(days=4), settings).once()
    frozen = rows(small, "par15_snapshots")
    assert frozen != [[]]
    assert asked(small, "SELECT DISTINCT snapshot_date FROM par15_snapshots") == [(DAY.replace(day=15),)]
    told(small, PAID)
    at(fourteenth + timedelta(days=4, hours=1), settings).once()
    assert rows(small, "par15_snapshots") == frozen


def test_without_a_schedule_or_events_nothing_is_done(small: str, settings: Settings) -> None:
    replace(at(NOON, settings), schedule=False, events=False).once()
    assert asked(small, RUNS) == []
    with connect(small) as session:
        assert slots.done(session) == {}


def test_where_changes_are_found_by_hashes_there_are_no_events(small: str, settings: Settings) -> None:
    hashed = msgspec.structs.replace(settings, change_detection="hashes")
    Worker(hashed, Policy(), schedule=False).once()
    assert statuses(small) == []
    Worker(settings, Policy(), schedule=False).once()
    assert statuses(small) == [("Completed", None)]


def test_once_is_refused_while_another_leads(small: str, settings: Settings) -> None:
    with connect(small) as other:
        assert leading.lead(other)
        with pytest.raises(LockHeldError, match="another worker leads"):
            at(NOON, settings).once()


def test_a_slot_never_goes_back(small: str) -> None:
    with connect(small) as session:
        for moment in (NOON, NOON - timedelta(hours=1)):
            slots.record(session, "figures", moment)
        assert slots.done(session) == {"figures": NOON}


def test_a_stopped_worker_starts_nothing(small: str, settings: Settings) -> None:
    stop = Event()
    stop.set()
    replace(at(NOON, settings), stop=stop).run()
    assert asked(small, RUNS) == []


def test_event_runs_leave_facts_and_log_rows_only_for_a_while(small: str, settings: Settings) -> None:
    def event() -> str:
        return compute(settings, DAY, Policy(), kind=runs.EVENT).run_id

    compute(settings, DAY, Policy())
    idle = event()
    told(small, PAID)
    named = event()
    last = event()
    with at_work(settings, "test") as place:
        assert {idle, named, last} <= runs.kept(place.connection)
        assert place.lake.holds(idle)
    told(small, "UPDATE metric_calculation_log SET start_time = start_time - interval '2 days'")
    with at_work(settings, "test") as place:
        assert not place.lake.holds(idle)
        assert place.lake.holds(last)
        assert runs.prune_events(place.connection) == 1
    assert {run for (run,) in asked(small, "SELECT run_id FROM metric_calculation_log")} >= {named, last}
    assert asked(small, f"SELECT FROM metric_calculation_log WHERE run_id = '{idle}'") == []


def test_the_audit_chain_holds_with_event_runs_in_the_log(run: Cli, small: str, settings: Settings) -> None:
    compute(settings, DAY, Policy())
    compute(settings, DAY, Policy(), kind=runs.EVENT)
    with connect(small) as session:
        assert verify(session).fault is None
    assert asked(small, "SELECT count(*) FROM audit_anchors") == [(1,)]
