"""The chain holds until somebody who masters the database lays hands on it, and then it shows where."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from loanmetrics.jobs import exports
from loanmetrics.store import audit, runs
from loanmetrics.store.audit import START, Head
from loanmetrics.store.audit_check import Fault, verify
from loanmetrics.store.session import connect

DAY = date(2026, 6, 30)
HASH = "UPDATE audit_tracking SET row_hash = {hash} WHERE audit_id = {id}"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def tell(connection: psycopg.Connection, count: int, **more: Any) -> list[audit.Row]:
    return [
        audit.append(connection, event="note", actor="user:ada", reason=f"note {n}", **more)
        for n in range(count)
    ]


def tamper(connection: psycopg.Connection, *statements: str) -> None:
    """As a superuser who switches the triggers off, and on again."""
    connection.execute("ALTER TABLE audit_tracking DISABLE TRIGGER ALL")
    for statement in statements:
        connection.execute(statement.encode())
    connection.execute("ALTER TABLE audit_tracking ENABLE ALWAYS TRIGGER audit_tracking_append_only")


def complete(connection: psycopg.Connection) -> str:
    run = runs.start(connection, "day", DAY, engine_version="1", policy_hash="abc")
    runs.complete(connection, run)
    return run.run_id


def test_a_row_follows_the_row_before_it(connection: psycopg.Connection) -> None:
    before = audit.head(connection)
    first, second = tell(connection, 2)
    assert first["audit_id"] == before.audit_id + 1
    assert first["previous_hash"] == before.row_hash
    assert (second["audit_id"], second["previous_hash"]) == (first["audit_id"] + 1, first["row_hash"])
    assert audit.head(connection) == Head(second["audit_id"], second["row_hash"])


def test_an_empty_chain_ends_before_its_first_row(connection: psycopg.Connection) -> None:
    tamper(connection, "DELETE FROM audit_tracking")
    assert audit.head(connection) == Head(0, START)
    (first,) = tell(connection, 1)
    assert (first["audit_id"], first["previous_hash"]) == (1, START)


def test_whatever_is_told_is_found_sound(connection: psycopg.Connection) -> None:
    told = {"score": 0.1 + 0.2, "tiny": 1e-9, "money": Decimal("10.00"), "none": None, "é": ["\u2028", {}]}
    audit.append(
        connection,
        event="status",
        actor="member:1",
        officer_id="O1",
        assignee_id=7,
        audit_status="Assigned",
        action_type="Call",
        reason='said "no"',
        old_value={},
        new_value=told,
        figures={"fimr": 1 / 3},
        run_id="r",
    )
    report = verify(connection)
    assert report.fault is None
    assert report.head == audit.head(connection)
    assert report.rows == report.head.audit_id


def test_anybody_can_check_a_row_by_what_is_written_about_it(connection: psycopg.Connection) -> None:
    """The rule of docs/audit.md, followed without our code."""
    tell(connection, 1)
    made = audit.append(
        connection,
        event="status",
        actor="member:1",
        officer_id="O1",
        new_value={"b": [1, 0.25], "a": "\u00e9"},
    )
    query = "SELECT to_jsonb(t) - 'row_hash' FROM audit_tracking t ORDER BY audit_id DESC LIMIT 1"
    (row,) = connection.execute(query.encode()).fetchone() or ({},)
    moment = made["recorded_at"].isoformat(timespec="microseconds").replace("+00:00", "Z")
    told = {name: value for name, value in row.items() if value is not None} | {"recorded_at": moment}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == made["row_hash"]


def test_an_export_is_told_and_records_where_the_chain_ends(connection: psycopg.Connection) -> None:
    tell(connection, 2)
    exports.record(connection, "officers", "run", {"branch": "Ikeja"}, by=1)
    last = audit.head(connection).audit_id
    tamper(connection, f"DELETE FROM audit_tracking WHERE audit_id = {last}")
    what = f"row {last} is missing when export {last} was made"
    assert verify(connection).fault == Fault(last, what)


def test_migrations_are_told(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT new_value FROM audit_tracking WHERE event = 'migrated' ORDER BY audit_id"
    )
    told = [value for (value,) in rows]
    assert told[0] == {"migration": "0007.audit-and-access"}
    tables = {value["table"]: value["columns"] for value in told if "table" in value}
    assert "risk_score" in tables["officer_metrics_daily"]
    assert "risk_score" in tables["branch_metrics_daily"]


def test_a_row_that_is_rolled_back_leaves_no_gap(connection: psycopg.Connection) -> None:
    with connection.transaction(force_rollback=True):
        tell(connection, 2)
    before = audit.head(connection)
    (row,) = tell(connection, 1)
    assert row["audit_id"] == before.audit_id + 1
    assert verify(connection).fault is None


def test_many_writers_make_one_chain(database: str) -> None:
    gate = threading.Barrier(4)

    def write(_: int) -> None:
        with connect(database) as connection:
            gate.wait()
            tell(connection, 10)

    with connect(database) as connection:
        before = audit.head(connection).audit_id
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        report = verify(connection)
    assert (report.fault, report.rows) == (None, before + 40)


def test_a_writer_who_reads_an_old_snapshot_cannot_fork_the_chain(database: str) -> None:
    with connect(database) as slow, connect(database) as fast:
        slow.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        slow.execute("SELECT 1")
        tell(fast, 1)
        with pytest.raises(psycopg.errors.UniqueViolation):
            tell(slow, 1)
        slow.execute("ROLLBACK")
        assert verify(fast).fault is None


# Each takes the id of the fifth row of nine; what it does, which row shows it, and how.
Tampering = Callable[[int], list[str]]
SET = "UPDATE audit_tracking SET {} WHERE audit_id = {}"
TAMPERINGS: dict[str, tuple[Tampering, int, str]] = {
    "reason": (lambda at: [SET.format("reason = 'other'", at)], 0, "row {} is not as it was written"),
    "actor": (lambda at: [SET.format("actor = 'user:eve'", at)], 0, "row {} is not as it was written"),
    "time": (
        lambda at: [SET.format("recorded_at = recorded_at + interval '1 microsecond'", at)],
        0,
        "row {} is not as it was written",
    ),
    "number": (
        lambda at: [SET.format("new_value = '{\"x\": 1.6}'", at)],
        0,
        "row {} is not as it was written",
    ),
    "json null": (lambda at: [SET.format("figures = 'null'", at)], 0, "row {} is not as it was written"),
    "value added": (lambda at: [SET.format("run_id = 'r'", at)], 0, "row {} is not as it was written"),
    "value removed": (lambda at: [SET.format("reason = NULL", at)], 0, "row {} is not as it was written"),
    "hash": (lambda at: [SET.format("row_hash = 'x'", at)], 0, "row {} is not as it was written"),
    "deleted": (lambda at: [f"DELETE FROM audit_tracking WHERE audit_id = {at}"], 0, "row {} is missing"),
    "first deleted": (lambda _: ["DELETE FROM audit_tracking WHERE audit_id = 1"], -4, "row {} is missing"),
    "deleted, the rest moved up": (
        lambda at: [
            f"DELETE FROM audit_tracking WHERE audit_id = {at}",
            f"UPDATE audit_tracking SET audit_id = audit_id - 1 WHERE audit_id = {at + 1}",
        ],
        0,
        "row {} does not follow the row before it",
    ),
    "swapped": (
        lambda at: [
            f"UPDATE audit_tracking SET audit_id = 0 WHERE audit_id = {at}",
            f"UPDATE audit_tracking SET audit_id = {at} WHERE audit_id = {at + 1}",
            f"UPDATE audit_tracking SET audit_id = {at + 1} WHERE audit_id = 0",
        ],
        0,
        "row {} does not follow the row before it",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_shows_at_the_first_bad_row(connection: psycopg.Connection, name: str) -> None:
    tamper(connection, "DELETE FROM audit_tracking")
    rows = tell(connection, 9, new_value={"x": 1.5})
    does, shift, what = TAMPERINGS[name]
    at = rows[4]["audit_id"]
    tamper(connection, *("ALTER TABLE audit_tracking ALTER audit_id SET GENERATED BY DEFAULT", *does(at)))
    assert verify(connection).fault == Fault(at + shift, what.format(at + shift))


def resealed(connection: psycopg.Connection, row: audit.Row, **changes: Any) -> str:
    """A forger who knows the rule makes a row that is sound in itself."""
    return audit.sealed({**row, **changes})


def test_a_forged_row_no_longer_carries_the_next(connection: psycopg.Connection) -> None:
    rows = tell(connection, 3)
    forged = resealed(connection, rows[1], reason="other")
    at = rows[1]["audit_id"]
    tamper(connection, SET.format(f"reason = 'other', row_hash = '{forged}'", at))
    assert verify(connection).fault == Fault(at + 1, f"row {at + 1} does not follow the row before it")


def test_a_tail_cut_off_before_the_last_anchor_shows(connection: psycopg.Connection) -> None:
    rows = tell(connection, 3)
    run_id = complete(connection)
    last = audit.head(connection).audit_id
    tamper(connection, f"DELETE FROM audit_tracking WHERE audit_id >= {rows[1]['audit_id']}")
    assert verify(connection).fault == Fault(last, f"row {last} is missing when run {run_id} was made")


def test_a_tail_forged_to_its_end_before_the_last_anchor_shows(connection: psycopg.Connection) -> None:
    complete(connection)
    tell(connection, 1)
    run_id = complete(connection)
    at = audit.head(connection).audit_id
    (row,) = connection.execute("SELECT reason FROM audit_tracking WHERE audit_id = %s", [at]).fetchall()
    assert row == ("note 0",)
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        whole = cursor.execute("SELECT * FROM audit_tracking WHERE audit_id = %s", [at]).fetchone()
    assert whole is not None
    forged = resealed(connection, whole, reason="other")
    tamper(connection, SET.format(f"reason = 'other', row_hash = '{forged}'", at))
    assert verify(connection).fault == Fault(at, f"row {at} is not as it was when run {run_id} was made")


def test_all_of_it_gone_shows(connection: psycopg.Connection) -> None:
    tell(connection, 1)
    complete(connection)
    tamper(connection, "DELETE FROM audit_tracking")
    fault = verify(connection).fault
    assert fault is not None
    assert "is missing when run" in fault.what


def test_what_follows_the_last_anchor_can_be_cut_off_unless_it_was_noted_down(
    connection: psycopg.Connection,
) -> None:
    complete(connection)
    rows = tell(connection, 2)
    noted = Head(rows[1]["audit_id"], rows[1]["row_hash"])
    assert verify(connection, noted).fault is None
    tamper(connection, f"DELETE FROM audit_tracking WHERE audit_id = {noted.audit_id}")
    assert verify(connection).fault is None
    fault = Fault(noted.audit_id, f"row {noted.audit_id} is missing: row {noted.audit_id} was noted down")
    assert verify(connection, noted).fault == fault


def test_another_row_in_the_place_of_the_noted_one_shows(connection: psycopg.Connection) -> None:
    (row,) = tell(connection, 1)
    at = row["audit_id"]
    assert verify(connection, Head(at, "x")).fault == Fault(
        at, f"row {at} is not the one that was noted down"
    )


def test_a_run_whose_anchor_is_gone_shows(connection: psycopg.Connection) -> None:
    complete(connection)
    run_id = complete(connection)
    connection.execute("ALTER TABLE audit_anchors DISABLE TRIGGER ALL")
    connection.execute("DELETE FROM audit_anchors WHERE reference = %s", [run_id])
    assert verify(connection).fault == Fault(None, f"run {run_id} completed, but its anchor is missing")


def test_a_guard_that_is_off_shows(connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE audit_anchors DISABLE TRIGGER audit_anchors_append_only")
    fault = verify(connection).fault
    assert fault is not None
    assert fault.what.startswith("audit_anchors can be changed")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_anchors SET audit_id = 0", "DELETE FROM audit_anchors", "TRUNCATE audit_anchors"],
)
def test_anchors_are_append_only(connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute(statement.encode())


def test_a_run_that_publishes_nothing_leaves_no_anchor(connection: psycopg.Connection) -> None:
    run = runs.start(connection, "day", DAY, engine_version="1", policy_hash="abc")
    with connection.transaction(force_rollback=True):
        runs.complete(connection, run)
    assert verify(connection).anchors == 0


def test_the_clock_is_the_databases(connection: psycopg.Connection) -> None:
    (row,) = tell(connection, 1)
    moment: datetime = row["recorded_at"]
    assert moment.utcoffset() is not None
    assert moment <= audit.now(connection)


def test_an_operator_is_somebody() -> None:
    assert audit.operator().startswith("user:")
    assert len(audit.operator()) > len("user:")
