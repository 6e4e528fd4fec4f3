"""What changed in the lender's tables since a reader last looked, missing nothing.

Triggers append what each transaction touches to change_log, within that transaction: a log row is seen by
exactly the snapshots that see the change. A reader's mark is the snapshot it read in. The changes that a later
snapshot sees and the mark's did not are therefore told by the log rows that it sees and the mark's did not:
those of transactions that the mark's snapshot counts as in progress or yet to come, whenever they began and
whatever their stamps say. None of them lies below the mark's xmin, so rows below every reader's may be pruned.

The log is trusted only while this can hold: the same server and database, which still remembers the mark;
no log row pruned that the mark may need; every table and partition with its own enabled triggers. A database
that remembers a mark holds all that the mark's snapshot saw, for the mark was stored after it: a server restored
to an earlier moment, or a standby that lags behind, has forgotten it.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loanmetrics.errors import StoreError

LOG = "change_log"
LOAN_TABLES = ("loans", "loan_schedule", "repayments")
WHOLE_TABLES = ("officers", "holidays", "gl_balances", "par15_snapshots")
IDLE = timedelta(days=35)

# On a standby the list of transactions in progress is not to be had: all from xmin on count as unseen.
SERVER = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
        CASE WHEN pg_is_in_recovery()
            THEN format('%1$s:%1$s:', pg_snapshot_xmin(pg_current_snapshot()))
            ELSE pg_current_snapshot()::text
        END,
        system_identifier::text,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
    FROM pg_control_system()
"""
UNSEEN = "xid >= %s::xid8 AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot)"
PENDING = """
    SELECT NOT EXISTS (SELECT FROM change_readers WHERE reader = %(reader)s) OR EXISTS (
        SELECT FROM change_readers stood JOIN change_log ON xid >= stood.since
            AND NOT pg_visible_in_snapshot(xid, (stood.mark ->> 'snapshot')::pg_snapshot)
        WHERE stood.reader = %(reader)s
    )
"""
WATCHED = "SELECT source, relation::bigint, schema_name, name, trouble, shape FROM loanmetrics_watched()"


@dataclass(frozen=True, slots=True)
class Mark:
    """The snapshot a reader read in. ``shape``: by table, what each of its partitions' triggers and storage were."""

    xmin: int
    snapshot: str
    system_identifier: str
    database: int
    token: str
    shape: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Touched:
    """What to read again: of these loans all loans, schedule and repayment rows; of these tables everything.

    With a ``reason`` there is nothing to go by: read it all.
    """

    loans: frozenset[str]
    tables: frozenset[str]
    reason: str | None = None


class _Relation(NamedTuple):
    """A table or partition that is watched."""

    source: str
    oid: int | None  # a table that is missing has none
    schema: str
    name: str
    trouble: str | None
    shape: str


def mark(connection: psycopg.Connection) -> Mark:
    """Where a reader of this transaction's snapshot stands; stored by ``advance`` once it is done."""
    return _mark(connection, _watched(connection))


def touched(connection: psycopg.Connection, since: Mark | None) -> Touched:
    """Where this transaction's snapshot differs from that of ``since``."""
    relations = _watched(connection)
    now = _mark(connection, relations)
    if since is None:
        return _everything("first run")
    reason = next(_doubts(connection, since, now, relations), None)
    if reason:
        return _everything(reason)
    tables = _whole_tables(connection, since) | _altered(since, now)
    loans: set[str] = set()
    for arrived in (found for found in relations if _is_new(found, since)):
        brought = _loans_in(connection, arrived)
        tables |= {arrived.source} if None in brought else set()
        loans |= {loan for loan in brought if loan is not None}
    return Touched(frozenset(loans | _logged_loans(connection, since, tables)), frozenset(tables))


def advance(connection: psycopg.Connection, reader: str, reached: Mark) -> None:
    """Remember that ``reader`` has read all up to this mark; best in the transaction that publishes it."""
    connection.execute(
        "INSERT INTO change_readers (reader, token, since, mark, advanced_at)"
        " VALUES (%s, %s, %s::xid8, %s, now()) ON CONFLICT (reader) DO UPDATE SET"
        " (token, since, mark, advanced_at) ="
        " (EXCLUDED.token, EXCLUDED.since, EXCLUDED.mark, EXCLUDED.advanced_at)",
        [reader, reached.token, str(reached.xmin), Jsonb(asdict(reached))],
    )


def pending(connection: psycopg.Connection, reader: str) -> bool:
    """Whether the log holds anything that ``reader`` has not read; a cheap look, good enough to start a run by."""
    row = connection.execute(PENDING, {"reader": reader}).fetchone()
    return row == (True,)


def recall(connection: psycopg.Connection, token: str) -> Mark | None:
    """The mark with this token, if a reader still stands there."""
    row = connection.execute("SELECT mark FROM change_readers WHERE token = %s", [token]).fetchone()
    return Mark(**row[0]) if row else None


def prune(connection: psycopg.Connection, idle: timedelta = IDLE) -> int:
    """Drop the log rows that no reader needs any more; readers that have been idle too long are forgotten."""
    with connection.transaction():
        connection.execute("DELETE FROM change_readers WHERE advanced_at < now() - %s", [idle])
        return connection.execute(
            "DELETE FROM change_log WHERE xid < coalesce("
            "(SELECT since FROM change_readers ORDER BY since LIMIT 1), pg_snapshot_xmin(pg_current_snapshot()))"
        ).rowcount


def watch(connection: psycopg.Connection) -> list[str]:
    """Give triggers to the tables and partitions that lack them; returns which."""
    row = connection.execute("SELECT loanmetrics_watch_changes()").fetchone()
    assert row is not None
    mended: list[str] = row[0]
    return mended


def _everything(reason: str) -> Touched:
    return Touched(frozenset(), frozenset(), reason)


def _watched(connection: psycopg.Connection) -> list[_Relation]:
    row = connection.execute("SELECT current_setting('transaction_isolation')").fetchone()
    if row not in (("repeatable read",), ("serializable",)):
        raise StoreError("changes can be told only within one snapshot: REPEATABLE READ")
    return [_Relation(*found) for found in connection.execute(WATCHED)]


def _mark(connection: psycopg.Connection, relations: list[_Relation]) -> Mark:
    row = connection.execute(SERVER).fetchone()
    assert row is not None
    shape: dict[str, dict[str, str]] = defaultdict(dict)
    for found in relations:
        if found.oid:
            shape[found.source][str(found.oid)] = found.shape
    xmin, snapshot, system_identifier, database = row
    return Mark(int(xmin), snapshot, system_identifier, database, secrets.token_hex(8), dict(shape))


def _doubts(
    connection: psycopg.Connection, since: Mark, now: Mark, relations: list[_Relation]
) -> Iterator[str]:
    """Why the log cannot be trusted, worst first."""
    if since.system_identifier != now.system_identifier:
        yield "another server"
    if since.database != now.database:
        yield "another database of this server"
    if since.xmin > now.xmin:
        yield "restored: the server's transaction counter went back"
    if recall(connection, since.token) != since:
        yield "the database does not remember this mark: restored, lagging, or its reader has moved on"
    if _horizon(connection) >= since.xmin:
        yield "the log was pruned past this mark"
    if since.shape.get(LOG) != now.shape.get(LOG):
        yield "the log was emptied or rebuilt"
    for found in relations:
        if found.trouble:
            yield f"{found.name} {found.trouble}"


def _horizon(connection: psycopg.Connection) -> float:
    """The newest transaction whose rows were pruned; with no way to know, no mark is good enough."""
    row = connection.execute("SELECT xid::text FROM change_horizon ORDER BY xid DESC LIMIT 1").fetchone()
    return int(row[0]) if row else float("inf")


def _whole_tables(connection: psycopg.Connection, since: Mark) -> set[str]:
    rows = connection.execute(
        f"SELECT DISTINCT source_table FROM change_log WHERE {UNSEEN} AND loan_id IS NULL".encode(),
        [str(since.xmin), since.snapshot],
    )
    return {source for (source,) in rows}


def _altered(since: Mark, now: Mark) -> set[str]:
    """Tables of which a part was removed, rewritten, or without its triggers for a while."""
    return {
        source
        for source, parts in since.shape.items()
        if any(now.shape.get(source, {}).get(oid) != shape for oid, shape in parts.items())
    }


def _is_new(found: _Relation, since: Mark) -> bool:
    return str(found.oid) not in since.shape.get(found.source, {})


def _logged_loans(connection: psycopg.Connection, since: Mark, but: set[str]) -> set[str]:
    rows = connection.execute(
        f"SELECT DISTINCT loan_id FROM change_log WHERE {UNSEEN}"
        " AND loan_id IS NOT NULL AND source_table <> ALL(%s)".encode(),
        [str(since.xmin), since.snapshot, list(but)],
    )
    return {loan for (loan,) in rows}


def _loans_in(connection: psycopg.Connection, arrived: _Relation) -> set[str | None]:
    """A partition that was attached brings rows that no statement inserted."""
    if arrived.source not in LOAN_TABLES:
        return {None}
    query = sql.SQL("SELECT DISTINCT loan_id FROM {}").format(sql.Identifier(arrived.schema, arrived.name))
    return {loan for (loan,) in connection.execute(query)}
