"""Runs: one at a time per database, each with its row in metric_calculation_log."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from loanmetrics.errors import LoanmetricsError, LockHeldError, StoreError
from loanmetrics.steps import step
from loanmetrics.store import audit

# Two small numbers, because pg_locks shows them as they are: "lm", then which lock.
LOCK = (0x6C6D, 1)
HOLDER = """
    SELECT pid, coalesce(application_name, '') AS application, backend_start AT TIME ZONE 'UTC' AS since
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND (classid, objid, objsubid) = (%s, %s, 2)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
ABANDONED = "its process or its session ended before the run did"
RUN_OR_DAY = (
    r"\b\d{8}T\d{9}-[0-9a-f]{6}\b"
    r"|(?<![\d+-])(?:19|20|21)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!-?\d)"
)
PERSONAL = re.compile(
    rf"[^\s@]+@[^\s@]+|(?P<kept>{RUN_OR_DAY})|\+?\d(?:(?!{RUN_OR_DAY})[\d\s().-]){{6,}}(?!{RUN_OR_DAY})\d"
)
STAMP, STAMPED = "%Y%m%dT%H%M%S%f", re.compile(r"\d{8}T\d{9}")
MAX_MESSAGE = 500
KEEP_DAYS = 35
DAY, EVENT = "day", "event"
# Long enough for whoever is reading them; the next run of the schedule stands for them.
KEEP_EVENTS = timedelta(minutes=15)
KEEP_EVENT_ROWS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way: its id goes with every figure it publishes; ``number`` counts the runs of a database."""

    run_id: str
    kind: str
    day: date
    started: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has to say for itself when it completes."""

    records_processed: int = 0
    records_failed: int = 0
    quarantine: Mapping[str, Any] = field(default_factory=dict)
    findings: Mapping[str, Any] = field(default_factory=dict)
    reconciliation: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def run_lock(connection: psycopg.Connection, wait: int = 0) -> Iterator[None]:
    """Hold the right to run on this database; the lock lives and dies with the session.

    Raises LockHeldError, saying who holds it, if that is still so after ``wait`` seconds. Runs that died are closed as
    Failed on the way in.
    """
    step("lock")
    if not _taken(connection, wait):
        raise LockHeldError("another run is at work on this database", _holder(connection))
    try:
        _close_abandoned(connection)
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", LOCK)


def _taken(connection: psycopg.Connection, wait: int) -> bool:
    """Who waits is in the server's queue, ahead of those who only try."""
    if not wait:
        return connection.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK).fetchone() == (True,)
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{wait}s"])
    try:
        connection.execute("SELECT pg_advisory_lock(%s, %s)", LOCK)
    except psycopg.errors.LockNotAvailable:
        return False
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
    return True


def start(
    connection: psycopg.Connection,
    kind: str,
    day: date,
    *,
    engine_version: str,
    policy_hash: str,
    policy: Mapping[str, Any] | None = None,
    metric_revisions: Mapping[str, Any] | None = None,
    known_at: str | None = None,
) -> Run:
    """Commit a Running row, so that a run leaves its trace however it ends; a new policy is told to the audit chain."""
    step("begin")
    started = datetime.now(UTC)
    run_id = _new_id(connection, started)
    with connection.transaction():
        _tell_policy(connection, run_id, policy_hash, policy or {})
        row = connection.execute(
            "INSERT INTO metric_calculation_log (status, run_id, calculation_type, calculation_date,"
            " start_time, engine_version, policy_hash, policy, metric_revisions, known_at)"
            " VALUES ('Running', %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING log_id",
            [
                *(run_id, kind, day, started, engine_version, policy_hash),
                *(Jsonb(policy), Jsonb(metric_revisions), known_at),
            ],
        ).fetchone()
    assert row is not None
    return Run(run_id, kind, day, started, row[0])


def complete(
    connection: psycopg.Connection, run: Run, outcome: Outcome | None = None, updated: int = 0
) -> None:
    """Close the run's row as Completed; to be called inside the transaction that publishes.

    The run records where the audit chain ends, so that rows removed from its end will show; an event run leaves that
    to the next one of the schedule.
    Refused when the row is no longer Running: then another process took this run for dead.
    """
    step("complete")
    said = outcome or Outcome()
    closed = connection.execute(
        "UPDATE metric_calculation_log SET status = 'Completed', end_time = clock_timestamp(),"
        " duration_seconds = extract(epoch FROM clock_timestamp() - start_time),"
        " records_processed = %s, records_failed = %s, records_updated = %s,"
        " quarantine = %s, findings = %s, reconciliation = %s WHERE run_id = %s AND status = 'Running'",
        [
            *(said.records_processed, said.records_failed, updated),
            *(Jsonb(said.quarantine), Jsonb(said.findings), Jsonb(said.reconciliation), run.run_id),
        ],
    )
    if closed.rowcount != 1:
        raise StoreError(f"run {run.run_id} is no longer open: nothing was published")
    if run.kind != EVENT:
        audit.anchor(connection, "run", run.run_id)


def fail(connection: psycopg.Connection, run: Run, error: BaseException | str) -> None:
    """Close the run's row as Failed, with a reason that holds no personal data."""
    with connection.transaction():
        _close(connection, "run_id = %(run_id)s", reason(error), run.run_id)


def recent(connection: psycopg.Connection, limit: int = 20) -> list[dict[str, Any]]:
    """The newest rows of the log, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT * FROM metric_calculation_log ORDER BY log_id DESC LIMIT %s", [limit])
        return cursor.fetchall()


def find(connection: psycopg.Connection, run_id: str) -> dict[str, Any] | None:
    """One run's row of the log."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM metric_calculation_log WHERE run_id = %s", [run_id]).fetchone()


def last_completed(connection: psycopg.Connection) -> str | None:
    """The run whose facts the next one may go on from."""
    row = connection.execute(
        "SELECT run_id FROM metric_calculation_log WHERE status = 'Completed' ORDER BY log_id DESC LIMIT 1"
    ).fetchone()
    return row[0] if row else None


def kept(connection: psycopg.Connection, days: int = KEEP_DAYS) -> frozenset[str]:
    """Runs whose facts are kept: the last one, those of the last ``days``, the last of every month end.

    And those that somebody acted upon or took away: an audit or an export names the run it saw. Those of event runs
    are kept for minutes only, unless so named.
    """
    rows = connection.execute(
        "SELECT run_id FROM metric_calculation_log WHERE status = 'Completed'"
        " AND start_time > now() - CASE calculation_type WHEN 'event' THEN %s ELSE %s END"
        " UNION SELECT DISTINCT ON (calculation_date) FIRST_VALUE(run_id) OVER newest FROM metric_calculation_log"
        " WHERE status = 'Completed' AND extract(day FROM calculation_date + 1) = 1"
        " WINDOW newest AS (PARTITION BY calculation_date ORDER BY log_id DESC)"
        " UNION SELECT run_id FROM audit_tracking"
        " WHERE run_id IS NOT NULL AND (officer_id IS NOT NULL OR event = 'export')",
        [KEEP_EVENTS, timedelta(days)],
    )
    last = last_completed(connection)
    return frozenset((*(run_id for (run_id,) in rows), *([last] if last else [])))


def prune_events(connection: psycopg.Connection, older_than: timedelta = KEEP_EVENT_ROWS) -> int:
    """Drop the log's rows of old event runs that no figure, restatement or audit names; returns how many."""
    row = connection.execute("SELECT loanmetrics_prune_events(%s)", [older_than]).fetchone()
    assert row is not None
    dropped: int = row[0]
    return dropped


def reason(error: BaseException | str) -> str:
    """Why a run failed, fit for a log: the text of strange errors may quote rows, so only their kind is told.

    >>> reason(ValueError("0803 123 4567"))
    'ValueError'
    """
    if isinstance(error, psycopg.Error):
        text = f"{type(error).__name__} {error.sqlstate or ''}".strip()
    elif isinstance(error, LoanmetricsError | str):
        text = str(error)
    else:
        text = type(error).__name__
    return PERSONAL.sub(lambda found: found["kept"] or "[removed]", text)[:MAX_MESSAGE]


def _tell_policy(
    connection: psycopg.Connection, run_id: str, policy_hash: str, policy: Mapping[str, Any]
) -> None:
    """What differs from the policy of the run before, whatever became of that."""
    row = connection.execute(
        "SELECT policy_hash, policy FROM metric_calculation_log ORDER BY log_id DESC LIMIT 1"
    ).fetchone()
    if row and row[0] == policy_hash:
        return
    before = (row[1] or {}) if row else {}
    now = json.loads(json.dumps(policy, default=str))
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name)) if row else []
    audit.append(
        connection,
        event="policy",
        actor=audit.operator(),
        old_value={"policy_hash": row[0], **{name: before.get(name) for name in names}} if row else None,
        new_value={"policy_hash": policy_hash, **{name: now.get(name) for name in names}},
        run_id=run_id,
    )


def _new_id(connection: psycopg.Connection, now: datetime) -> str:
    """Short, and in the order of runs as text: when a clock was set back, ids go on from the last one."""
    row = connection.execute(
        "SELECT run_id FROM metric_calculation_log ORDER BY log_id DESC LIMIT 1"
    ).fetchone()
    stamp, last = _stamp(now), STAMPED.match(row[0]) if row else None
    if last and stamp <= last[0]:
        stamp = _stamp(datetime.strptime(last[0], STAMP) + timedelta(milliseconds=1))
    return f"{stamp}-{secrets.token_hex(3)}"


def _stamp(moment: datetime) -> str:
    """To the millisecond."""
    return moment.strftime(STAMP)[:-3]


def _holder(connection: psycopg.Connection) -> str:
    held = connection.execute(HOLDER, LOCK).fetchone()
    if held is None:
        return "it has just ended: try again"
    pid, application, since = held
    who = application or "a session"
    return f"held by {who}, server process {pid}, connected since {since:%Y-%m-%d %H:%M:%S} UTC"


def _close_abandoned(connection: psycopg.Connection) -> None:
    """Whoever holds the lock knows that no other run is alive."""
    with connection.transaction():
        _close(connection, "TRUE", ABANDONED)


def _close(connection: psycopg.Connection, which: str, message: str, run_id: str | None = None) -> None:
    connection.execute(
        "UPDATE metric_calculation_log SET status = 'Failed', end_time = clock_timestamp(),"
        " duration_seconds = least(extract(epoch FROM clock_timestamp() - start_time), 99999999),"
        f" error_message = %(message)s WHERE status = 'Running' AND {which}",
        {"message": message, "run_id": run_id},
    )
