"""A backfill that is killed at any step, again and again, ends as one that never was; readers see whole months."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.store import runs
from loanmetrics.testing import Databases
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, statuses, told
from tests.surroundings import surroundings

BACKFILL = ("backfill", "--from", "2026-01-30", "--to", str(DAY))
MONTHS = [date(2026, 1, 31), date(2026, 2, 28), DAY]
DATED = {
    "officer_metrics_daily": "calculation_date",
    "branch_metrics_daily": "calculation_date",
    "dpd_transitions": "transition_date",
    "par15_snapshots": "snapshot_date",
}
WAIT = """
    CREATE OR REPLACE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NEW; END $$;
    CREATE TRIGGER waiting BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION wait_here();
"""
HALTED = """
    SELECT pid FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database
        WHERE datname = current_database()) AND (objid = 77 OR relation = 'holidays'::regclass)
"""
WRITTEN = "SELECT officer_id, calculation_date, run_id, xmin::text FROM officer_metrics_daily"
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Moment:
    """A step of the backfill: where it halts, and how many months are published by then."""

    event: str
    table: str
    when: str
    months: int


IN_FEBRUARY = [
    *(Moment("INSERT", table, f"NEW.{day} >= '2026-02-01'", 1) for table, day in DATED.items()),
    Moment("INSERT", "loan_state", "true", 1),
    Moment("UPDATE", LOG, "NEW.status = 'Completed' AND NEW.calculation_date = '2026-02-28'", 1),
]
MOMENTS = [
    Moment("INSERT", LOG, "NEW.calculation_date = '2026-01-31'", 0),
    Moment("READ", "holidays", "", 0),
    Moment("INSERT", "officer_metrics_daily", "true", 0),
    *IN_FEBRUARY,
    Moment("INSERT", LOG, f"NEW.calculation_date = '{DAY}'", 2),
    Moment("UPDATE", LOG, f"NEW.status = 'Completed' AND NEW.calculation_date = '{DAY}'", 2),
]

EVERY = "LOANMETRICS_KILLS" in os.environ


def test_a_backfill_killed_at_every_step_ends_as_one_never_killed(
    run: Cli, databases: Databases, small: str, home: Path, tmp_path: Path
) -> None:
    with databases._copy_of(str(conninfo_to_dict(small)["dbname"])) as other:
        whole = undisturbed(other, tmp_path / "other")
    assert [len(published) for published in whole["officer_metrics_daily"]] == [2 * 3, 28 * 3, 16 * 3]
    for moment in MOMENTS if EVERY else MOMENTS[::2]:
        with halted(small, home, moment) as process:
            assert months_of(small) == until(whole, moment.months), moment
            process.send_signal(signal.SIGKILL)
        assert months_of(small) == until(whole, moment.months), moment

    stood = asked(small, WRITTEN)
    assert run(small, *BACKFILL)[0] == 0
    assert months_of(small) == whole
    assert set(stood) < set(asked(small, WRITTEN))
    assert asked(small, "SELECT count(*) FROM restatements") == [(0,)]
    assert_ended(small)


def undisturbed(url: str, home: Path) -> dict[str, list[list[Row]]]:
    """What is published in the end; whoever looks meanwhile sees whole months and never waits."""
    seen: list[dict[str, list[list[Row]]]] = []
    with started(url, home) as process:
        while process.poll() is None:
            seen.append(months_of(url))
    assert process.returncode == 0
    whole = months_of(url)
    assert all(found in [until(whole, months) for months in range(4)] for found in seen)
    return whole


def until(whole: dict[str, list[list[Row]]], months: int) -> dict[str, list[list[Row]]]:
    """What is published after so many months: of each table by day the rows of these."""
    return {table: [*parts[:months], *[[]] * (3 - months)] for table, parts in whole.items()}


def months_of(url: str) -> dict[str, list[list[Row]]]:
    """Rows by table and month, without their stamps, in one snapshot; a reader that had to wait would fail."""
    with psycopg.connect(url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SET LOCAL lock_timeout = '5s'")
        return {
            table: [
                reader.execute(
                    f"SELECT to_jsonb(t) - 'run_id' - 'calculated_at' FROM {table} t"
                    f" WHERE date_trunc('month', {day}) = date_trunc('month', %s::date) ORDER BY 1".encode(),
                    [month],
                ).fetchall()
                for month in MONTHS
            ]
            for table, day in DATED.items()
        }


def assert_ended(url: str) -> None:
    """Every run that died is closed, as what it was."""
    found = statuses(url)
    assert {status for status, _ in found} == {"Completed", "Failed"}
    assert {why for status, why in found if status == "Failed"} == {runs.ABANDONED}
    assert found[-3:] == [("Completed", None)] * 3


@contextmanager
def started(url: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**surroundings(), "LOANMETRICS_DATABASE_URL": url, "LOANMETRICS_HOME": str(home)}
    command = [sys.executable, "-m", "loanmetrics.cli", *BACKFILL]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        yield process


@contextmanager
def halted(url: str, home: Path, moment: Moment) -> Iterator[subprocess.Popen[bytes]]:
    """A backfill that waits at a step; what its session held is let go in the end."""
    reads = moment.event == "READ"
    if not reads:
        told(url, WAIT.format(event=moment.event, table=moment.table, when=moment.when))
    with psycopg.connect(url) as holder, started(url, home) as process:
        holder.execute(f"LOCK TABLE {moment.table}".encode() if reads else b"SELECT pg_advisory_lock(77)")
        while not (found := asked(url, HALTED)):
            assert process.poll() is None
        yield process
        process.wait()
    while asked(url, f"SELECT FROM pg_stat_activity WHERE pid = {found[0][0]}"):
        pass
    told(url, f"DROP TRIGGER IF EXISTS waiting ON {moment.table}")
