import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest

from loanmetrics.errors import LockHeldError, StoreError
from loanmetrics.store import audit, runs
from loanmetrics.store.session import connect
from tests.http.waiting import until

DAY = date(2026, 6, 30)
WAITING = """
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def start(connection: psycopg.Connection) -> runs.Run:
    return runs.start(
        connection,
        "compute",
        DAY,
        engine_version="0.1.0",
        policy_hash="abc",
        policy={"roll_days": 7},
        metric_revisions={"fimr": 1},
    )


def test_a_second_run_is_told_who_holds_the_lock(database: str, connection: psycopg.Connection) -> None:
    with connect(database, "loanmetrics nightly") as other, runs.run_lock(other):
        with pytest.raises(LockHeldError) as error, runs.run_lock(connection):
            pytest.fail("two runs at once")
        assert f"held by loanmetrics nightly, server process {other.info.backend_pid}" in str(error.value)
        assert "connected since 20" in str(error.value)
    with runs.run_lock(connection):
        pass


def test_who_waits_gets_the_lock_before_those_who_only_try(
    database: str, connection: psycopg.Connection
) -> None:
    gone = threading.Event()

    def wait() -> None:
        with connect(database) as patient, runs.run_lock(patient, 60):
            gone.wait()

    with connect(database) as holder, ThreadPoolExecutor(1) as pool:
        with runs.run_lock(holder):
            waiter = pool.submit(wait)
            until(lambda: holder.execute(WAITING).fetchall())
        with pytest.raises(LockHeldError), runs.run_lock(connection):
            pytest.fail("two runs at once")
        gone.set()
        waiter.result()
    with runs.run_lock(connection, 60):
        pass


def test_who_waited_long_enough_gives_up(database: str, connection: psycopg.Connection) -> None:
    with connect(database) as other, runs.run_lock(other):
        with pytest.raises(LockHeldError), runs.run_lock(connection, 1):
            pytest.fail("two runs at once")
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_the_lock_is_free_after_a_run_that_failed(database: str, connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), runs.run_lock(connection), connection.transaction():
        connection.execute("SELECT 1 / 0")
    with connect(database) as other, runs.run_lock(other):
        pass


def test_databases_do_not_lock_each_other(database: str, empty_database: str) -> None:
    with connect(database) as one, connect(empty_database) as two:
        two.execute("CREATE TABLE metric_calculation_log (status text, end_time timestamptz)")
        taken = two.execute("SELECT pg_try_advisory_lock(%s, %s)", runs.LOCK).fetchone()
        assert taken == (True,)
        with runs.run_lock(one):
            pass


def test_a_killed_run_frees_the_lock_and_is_closed_by_the_next(
    database: str, connection: psycopg.Connection
) -> None:
    script = (
        "import os, signal, sys\n"
        "from datetime import date\n"
        "from loanmetrics.store import runs\n"
        "from loanmetrics.store.session import connect\n"
        "connection = connect(sys.argv[1])\n"
        "with runs.run_lock(connection):\n"
        "    runs.start(connection, 'compute', date(2026, 6, 30), engine_version='1', policy_hash='x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, database], check=False)
    assert killed.returncode == -9
    assert [row["status"] for row in runs.recent(connection)] == ["Running"]
    wait_for_lock(connection)
    (row,) = runs.recent(connection)
    assert (row["status"], row["error_message"]) == ("Failed", runs.ABANDONED)
    assert row["end_time"] >= row["start_time"]


def wait_for_lock(connection: psycopg.Connection) -> None:
    """The server notices a vanished client a moment later."""
    while True:
        try:
            with runs.run_lock(connection):
                return
        except LockHeldError:
            continue


def test_a_run_is_visible_to_others_from_its_start(database: str, connection: psycopg.Connection) -> None:
    run = start(connection)
    with connect(database) as other:
        (row,) = runs.recent(other)
    assert (row["run_id"], row["status"], row["calculation_date"]) == (run.run_id, "Running", DAY)
    assert row["policy"] == {"roll_days": 7}
    assert row["end_time"] is None


def test_a_completed_run_says_what_it_did(connection: psycopg.Connection) -> None:
    run = start(connection)
    runs.complete(connection, run, runs.Outcome(10, 2, quarantine={"loans.orphan": 2}), updated=3)
    (row,) = runs.recent(connection)
    assert row["status"] == "Completed"
    counts = ("records_processed", "records_failed", "records_updated")
    assert [row[name] for name in counts] == [10, 2, 3]
    assert row["quarantine"] == {"loans.orphan": 2}
    assert row["duration_seconds"] >= 0


def test_a_run_taken_for_dead_cannot_complete(connection: psycopg.Connection) -> None:
    run = start(connection)
    with runs.run_lock(connection):
        pass
    with pytest.raises(StoreError, match="no longer open"):
        runs.complete(connection, run)


def test_a_failed_run_keeps_its_reason(connection: psycopg.Connection) -> None:
    first, second = start(connection), start(connection)
    runs.fail(connection, second, StoreError("disk full", "make room"))
    newest, older = runs.recent(connection)
    assert (newest["run_id"], newest["error_message"]) == (second.run_id, "disk full (make room)")
    assert (older["run_id"], older["status"]) == (first.run_id, "Running")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("Ada Obi owes 5"), "ValueError"),
        (psycopg.errors.UniqueViolation("Key (customer_phone)=(08031234567)"), "UniqueViolation 23505"),
        (StoreError("ada@example.com and +234 803 123 4567 failed"), "[removed] and [removed] failed"),
        ("x" * 2000, "x" * 500),
    ],
)
def test_reasons_hold_no_personal_data(error: BaseException | str, told: str) -> None:
    assert runs.reason(error) == told


def test_run_ids_sort_by_time_and_differ(connection: psycopg.Connection) -> None:
    made = [start(connection) for _ in range(20)]
    assert len({run.run_id for run in made}) == 20
    by_time = sorted(made, key=lambda run: run.run_id[:18])
    assert [run.started for run in by_time] == [run.started for run in made]


def test_only_as_many_as_asked_for_are_listed(connection: psycopg.Connection) -> None:
    made = [start(connection).run_id for _ in range(3)]
    assert [row["run_id"] for row in runs.recent(connection, 2)] == made[:0:-1]


def test_runs_that_somebody_acted_upon_are_kept(connection: psycopg.Connection) -> None:
    old = [start(connection) for _ in range(3)]
    for run in old:
        runs.complete(connection, run)
    connection.execute("UPDATE metric_calculation_log SET start_time = start_time - interval '1 year'")
    connection.execute("UPDATE metric_calculation_log SET calculation_date = '2026-06-15'")
    assert runs.kept(connection) == {old[2].run_id}
    audit.append(connection, event="action", actor="member:1", officer_id="O1", run_id=old[0].run_id)
    assert runs.kept(connection) == {old[0].run_id, old[2].run_id}
