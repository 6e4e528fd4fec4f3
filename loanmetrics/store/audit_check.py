"""Walking the audit chain: has any row been changed, removed or put elsewhere since it was written?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from loanmetrics.store.audit import JSON, Head, sealed
from loanmetrics.store.canonical import parse
from loanmetrics.tables import AUDIT_TRACKING

ROWS_AT_ONCE = 2_000
# The first anchor that does not find its row as it was.
LOST = """
    SELECT anchored.kind, anchored.reference, anchored.audit_id, found.row_hash IS NULL
    FROM audit_anchors anchored LEFT JOIN audit_tracking found USING (audit_id)
    WHERE anchored.audit_id > 0 AND found.row_hash IS DISTINCT FROM anchored.row_hash
    ORDER BY anchored.audit_id, anchored.anchor_id LIMIT 1
"""
UNANCHORED = """
    SELECT run_id FROM metric_calculation_log made
    WHERE status = 'Completed' AND calculation_type <> 'event'
        AND start_time > (SELECT recorded_at FROM audit_tracking ORDER BY audit_id LIMIT 1)
        AND NOT EXISTS (SELECT FROM audit_anchors WHERE kind = 'run' AND reference = made.run_id)
    ORDER BY log_id LIMIT 1
"""
UNGUARDED = """
    SELECT guarded FROM unnest(ARRAY['audit_tracking', 'audit_anchors']) AS guarded
    WHERE NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = guarded::regclass AND tgname = guarded || '_append_only' AND tgenabled = 'A'
    )
    LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the chain; ``audit_id`` is the first row that shows it, None where no row does."""

    audit_id: int | None
    what: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """How far the chain holds: rows found sound, where it ends, anchors in it, and the first fault."""

    rows: int
    head: Head
    anchors: int
    fault: Fault | None


def verify(connection: psycopg.Connection, known: Head | None = None) -> ChainReport:
    """Walk the whole chain as it is at one moment; ``known`` is a head noted down outside the database.

    What follows the last anchor can be cut off, or rewritten to the end by someone who masters the database, without
    a trace: note heads down elsewhere.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        last, fault = Head(), None
        for row in _rows(connection):
            fault = _fault(last, row) or _not_known(known, row)
            if fault:
                break
            last = Head(row["audit_id"], row["row_hash"])
        fault = fault or _too_short(last, known) or next(_around(connection), None)
        counted = connection.execute("SELECT count(*) FROM audit_anchors").fetchone()
    assert counted is not None
    return ChainReport(last.audit_id, last, counted[0], fault)


def _rows(connection: psycopg.Connection) -> Iterator[dict[str, Any]]:
    """JSON is read as text, so that no digit is lost and a JSON null is told from no value."""
    columns = [f"{name}::text" if name in JSON else name for name in AUDIT_TRACKING.names]
    with connection.cursor("audit_chain", row_factory=dict_row) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        yield from cursor.execute(
            f"SELECT {', '.join(columns)} FROM audit_tracking ORDER BY audit_id".encode()
        )


def _fault(last: Head, row: dict[str, Any]) -> Fault | None:
    here = row["audit_id"]
    if here != last.audit_id + 1:
        return Fault(last.audit_id + 1, f"row {last.audit_id + 1} is missing")
    if row["previous_hash"] != last.row_hash:
        return Fault(here, f"row {here} does not follow the row before it")
    if _seal(row) != row["row_hash"]:
        return Fault(here, f"row {here} is not as it was written")
    return None


def _seal(row: dict[str, Any]) -> str | None:
    told = {name: parse(row[name]) for name in JSON if row[name] is not None}
    # A JSON null is never written: it would be sealed as no value is.
    return None if None in told.values() else sealed({**row, **told})


def _not_known(known: Head | None, row: dict[str, Any]) -> Fault | None:
    if known is None or row["audit_id"] != known.audit_id or row["row_hash"] == known.row_hash:
        return None
    return Fault(known.audit_id, f"row {known.audit_id} is not the one that was noted down")


def _too_short(last: Head, known: Head | None) -> Fault | None:
    if known is None or last.audit_id >= known.audit_id:
        return None
    return Fault(
        last.audit_id + 1, f"row {last.audit_id + 1} is missing: row {known.audit_id} was noted down"
    )


def _around(connection: psycopg.Connection) -> Iterator[Fault]:
    """Faults that the rows themselves do not show."""
    for kind, reference, audit_id, missing in connection.execute(LOST):
        what = "is missing" if missing else "is not as it was"
        yield Fault(audit_id, f"row {audit_id} {what} when {kind} {reference} was made")
    for (run_id,) in connection.execute(UNANCHORED):
        yield Fault(None, f"run {run_id} completed, but its anchor is missing")
    for (table,) in connection.execute(UNGUARDED):
        yield Fault(None, f"{table} can be changed: its append-only trigger is gone or off")
