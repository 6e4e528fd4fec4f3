"""The audit chain: every change to the house and every audit of an officer, each row sealed with the row before it.

A row's hash is the SHA-256, in hexadecimal, of the canonical text (see ``canonical``) of a JSON object with the row's
columns by name, ``row_hash`` and null columns left out; ``recorded_at`` is written in UTC with microseconds, as
``2026-06-30T08:15:00.000000Z``. ``previous_hash`` is among the columns, 64 zeros in the first row. Ids count from 1
without gaps. Rows are appended one at a time: a writer holds a lock of the database until its transaction ends.

It says who and what, never a customer's or a member's name, address or number: what cannot be removed must not hold
them.
"""

import hashlib
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from loanmetrics.store.canonical import canonical
from loanmetrics.tables import AUDIT_TRACKING

# Beside the locks of runs and of loads.
LOCK = (0x6C6D, 3)
START = "0" * 64
SEALED = tuple(name for name in AUDIT_TRACKING.names if name != "row_hash")
JSON = tuple(column.name for column in AUDIT_TRACKING.columns if column.kind == "json")
MEMBER = "member:"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of the chain; of an empty one, row 0."""

    audit_id: int = 0
    row_hash: str = START


def append(
    connection: psycopg.Connection,
    *,
    event: str,
    actor: str,
    officer_id: str | None = None,
    assignee_id: int | None = None,
    audit_status: str | None = None,
    action_type: str | None = None,
    reason: str | None = None,
    old_value: Mapping[str, Any] | None = None,
    new_value: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    recorded_at: datetime | None = None,
) -> Row:
    """Add one row to the end of the chain, within the transaction that is open or in one of its own."""
    told = {
        "officer_id": officer_id,
        "event": event,
        "actor": actor,
        "assignee_id": assignee_id,
        "audit_status": audit_status,
        "action_type": action_type,
        "reason": reason,
        "old_value": old_value,
        "new_value": new_value,
        "figures": figures,
        "run_id": run_id,
    }
    with connection.transaction():
        hold(connection)
        last = head(connection)
        row = {
            "audit_id": last.audit_id + 1,
            **told,
            "recorded_at": recorded_at or now(connection),
            "previous_hash": last.row_hash,
        }
        row["row_hash"] = sealed(row)
        _insert(connection, row)
    return row


def hold(connection: psycopg.Connection) -> None:
    """Be the only one to append until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK)


def now(connection: psycopg.Connection) -> datetime:
    """The database's clock, which all workers share."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def head(connection: psycopg.Connection) -> Head:
    """Where the chain ends."""
    row = connection.execute(
        "SELECT audit_id, row_hash FROM audit_tracking ORDER BY audit_id DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else Head()


def anchor(connection: psycopg.Connection, kind: Literal["run", "export"], reference: str) -> Head:
    """Record where the chain ends, so that rows missing from its end will show; ``reference`` says who recorded it."""
    last = head(connection)
    connection.execute(
        "INSERT INTO audit_anchors (kind, reference, audit_id, row_hash, recorded_at)"
        " VALUES (%s, %s, %s, %s, clock_timestamp())",
        [kind, reference, last.audit_id, last.row_hash],
    )
    return last


def sealed(row: Row) -> str:
    """The hash of a row's columns."""
    told = {name: row[name] for name in SEALED if row[name] is not None}
    moment: datetime = row["recorded_at"]
    told["recorded_at"] = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return hashlib.sha256(canonical(told).encode()).hexdigest()


def history(connection: psycopg.Connection, officer_id: str, limit: int | None = None) -> Sequence[Row]:
    """What was done about an officer, newest first, with the names of members; the figures seen are left out."""
    columns = ", ".join(f"a.{name}" for name in AUDIT_TRACKING.names if name != "figures")
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"SELECT {columns}, by.member_name AS actor_name, assignee.member_name AS assignee_name"
            " FROM audit_tracking a"
            f" LEFT JOIN team_members by ON a.actor = '{MEMBER}' || by.member_id"
            " LEFT JOIN team_members assignee ON assignee.member_id = a.assignee_id"
            " WHERE a.officer_id = %s ORDER BY a.audit_id DESC LIMIT %s".encode(),
            [officer_id, limit],
        )
        return cursor.fetchall()


def member(member_id: int) -> str:
    """A team member as an actor."""
    return f"{MEMBER}{member_id}"


def operator() -> str:
    """Whoever works at the command line, as an actor: the operating system's user."""
    number = os.geteuid()
    try:
        return f"user:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user:{number}"


def _insert(connection: psycopg.Connection, row: Row) -> None:
    names = AUDIT_TRACKING.names
    values = [canonical(row[name]) if name in JSON and row[name] is not None else row[name] for name in names]
    connection.execute(
        f"INSERT INTO audit_tracking ({', '.join(names)}) OVERRIDING SYSTEM VALUE"
        f" VALUES ({', '.join(['%s'] * len(names))})".encode(),
        values,
    )
