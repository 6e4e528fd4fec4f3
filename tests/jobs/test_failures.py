"""Whatever ends a run, what was published before stands whole, and the next run puts the log right."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from loanmetrics.store import runs
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import DERIVED, LOG, asked, rows, statuses, told

COMPUTE = ("compute", "--as-of", str(DAY))
PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
BREAK = """
    CREATE OR REPLACE FUNCTION break_down() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'Ada Obi, 08031234567' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER broken BEFORE {event} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION break_down();
"""
STEPS = [
    *(("INSERT OR UPDATE OR DELETE", table, "") for table in DERIVED),
    ("UPDATE", LOG, "WHEN (NEW.status = 'Completed')"),
]
BLOCKED = f"""
    SELECT pid FROM pg_locks WHERE NOT granted AND relation = '{DERIVED[1]}'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_a_server_that_fails_in_the_middle_leaves_nothing_half_written(
    run: Cli, small: str, home: Path, paid_since: list[list[str]]
) -> None:
    for event, table, when in STEPS:
        told(small, BREAK.format(event=event, table=table, when=when))
        code, out, err = run(small, *COMPUTE)
        [log] = home.glob("error-*.log")
        assert (code, out, err) == (1, "", f"error: the database failed: DiskFull 53100\nhint: see {log}\n")
        assert "08031234567" not in log.read_text()
        log.unlink()
        assert rows(small) == paid_since
        assert statuses(small)[-1] == ("Failed", "DiskFull 53100")
        assert len(list((home / "facts").iterdir())) == 1
        told(small, f"DROP TRIGGER broken ON {table}")

    assert run(small, *COMPUTE)[0] == 0
    assert rows(small) != paid_since


def test_a_second_run_is_told_who_holds_the_lock(run: Cli, small: str, home: Path) -> None:
    with psycopg.connect(small, application_name="loanmetrics nightly") as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", runs.LOCK)
        code, out, err = run(small, *COMPUTE)
    assert (code, out) == (3, "")
    assert err.startswith(
        "error: another run is at work on this database\nhint: held by loanmetrics nightly,"
    )
    assert statuses(small) == []
    assert not home.exists()


def test_a_home_that_is_no_folder_is_one_line(run: Cli, small: str, home: Path) -> None:
    home.write_text("")
    code, out, err = run(small, *COMPUTE)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {home / 'facts'}")
    assert err.endswith(": Not a directory\n")
    assert statuses(small) == [("Failed", "NotADirectoryError")]


def test_a_day_out_of_range_is_refused(run: Cli, small: str) -> None:
    code, _, err = run(small, "compute", "--as-of", "1969-12-31")
    assert code == 2
    assert err.startswith("error: 1969-12-31 cannot be computed\nhint: --as-of takes a day from 1970-01-01")
    assert rows(small) == [[], [], []]


@contextmanager
def publishing(url: str, home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run of another process, halted after it has written officers; with the process id of its session."""
    environment = {**os.environ, "LOANMETRICS_DATABASE_URL": url, "LOANMETRICS_HOME": str(home)}
    command = [sys.executable, "-m", "loanmetrics.cli", *COMPUTE]
    with (
        psycopg.connect(url) as holder,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        holder.execute(f"LOCK TABLE {DERIVED[1]} IN ACCESS EXCLUSIVE MODE")
        while not (found := asked(url, BLOCKED)):
            assert process.poll() is None
        yield process, found[0][0]
    while asked(url, f"SELECT FROM pg_stat_activity WHERE pid = {found[0][0]}"):
        pass


def assert_recovers(run: Cli, url: str, before: list[list[str]], reason: str) -> None:
    assert rows(url) == before
    assert run(url, *COMPUTE)[0] == 0
    assert rows(url) != before
    assert statuses(url) == [("Completed", None), ("Failed", reason), ("Completed", None)]


@pytest.fixture
def paid_since(run: Cli, small: str) -> list[list[str]]:
    """What is published, while a payment made since waits for the next run."""
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAID)
    return rows(small)


def test_a_killed_run_is_put_right_by_the_next(
    run: Cli, small: str, home: Path, paid_since: list[list[str]]
) -> None:
    with publishing(small, home) as (process, _):
        process.kill()
    assert [status for status, _ in statuses(small)] == ["Completed", "Running"]
    assert_recovers(run, small, paid_since, runs.ABANDONED)
    assert len(list((home / "facts").iterdir())) == 1


def test_an_interrupted_run_says_so(run: Cli, small: str, home: Path, paid_since: list[list[str]]) -> None:
    with publishing(small, home) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == ""
    assert process.returncode == 130
    assert_recovers(run, small, paid_since, "KeyboardInterrupt")


def test_a_lost_connection_is_one_line(run: Cli, small: str, home: Path, paid_since: list[list[str]]) -> None:
    with publishing(small, home) as (process, session):
        asked(small, f"SELECT pg_terminate_backend({session})")
        said = process.communicate()[1]
    assert said.startswith("error: the database failed: AdminShutdown 57P01\nhint: see ")
    assert process.returncode == 1
    assert_recovers(run, small, paid_since, runs.ABANDONED)
