"""Whom loans were taken from is recorded by every statement that gives one away, and by no other."""

from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from loanmetrics.store.changes import watch
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.session import connect
from tests.store.changing import run

LEND = (
    "INSERT INTO loans (loan_id, officer_id, region, branch, loan_amount, disbursement_date)"
    " VALUES ('{}', {}, 'West', 'Ikeja', 100, '{}')"
)
DAYS = {"L1": "2026-01-31", "L2": "2026-02-28", "L3": "2026-03-31", "L4": "2019-05-05"}
MONTHS = [date(2026, month, 1) for month in (1, 2, 3)]
LEAF = "loans_2026_01"
A = ("A", "West", "Ikeja")
MERGE = """
    MERGE INTO loans t USING (VALUES ('L1'), ('L9')) AS s (id) ON t.loan_id = s.id
    WHEN MATCHED THEN UPDATE SET officer_id = 'B'
    WHEN NOT MATCHED THEN INSERT (loan_id, loan_amount, disbursement_date) VALUES (s.id, 1, '2026-01-31')
"""


@pytest.fixture
def lender(database: str) -> Iterator[psycopg.Connection]:
    """Four loans of one officer, three in partitions of their month and one in the default partition."""
    with connect(database) as connection:
        ensure_partitions(connection, ["loans"], MONTHS)
        for loan, day in DAYS.items():
            run(connection, LEND.format(loan, "'A'", day))
        yield connection


def recorded(lender: psycopg.Connection) -> list[tuple[object, ...]]:
    query = "SELECT loan_id, officer_id, region, branch FROM loan_reassignments"
    return lender.execute(
        f"{query} WHERE loan_id IS NOT NULL ORDER BY 1, reassignment_id".encode()
    ).fetchall()


def beginnings(lender: psycopg.Connection) -> int:
    (row,) = lender.execute("SELECT count(*) FROM loan_reassignments WHERE loan_id IS NULL").fetchall()
    return int(row[0])


def upsert(officer: str) -> str:
    return (
        LEND.format("L1", f"'{officer}'", DAYS["L1"])
        + " ON CONFLICT (loan_id, disbursement_date) DO UPDATE SET officer_id = EXCLUDED.officer_id"
    )


@pytest.mark.parametrize(
    ("statements", "who"),
    [
        (["UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'"], [("L1", *A)]),
        (["UPDATE loans SET officer_id = NULL WHERE loan_id = 'L1'"], [("L1", *A)]),
        (["UPDATE loans SET branch = 'Yaba' WHERE loan_id = 'L1'"], [("L1", *A)]),
        (["UPDATE loans SET region = NULL WHERE loan_id = 'L1'"], [("L1", *A)]),
        ([f"UPDATE {LEAF} SET officer_id = 'B'"], [("L1", *A)]),
        (["UPDATE loans_default SET officer_id = 'B'"], [("L4", *A)]),
        (["UPDATE loans SET officer_id = 'B' WHERE loan_id <> 'L4'"], [(loan, *A) for loan in ("L1", "L2", "L3")]),
        ([upsert("B")], [("L1", *A)]),
        (["DELETE FROM loans WHERE loan_id = 'L1'", LEND.format("L1", "'B'", DAYS["L1"])], [("L1", *A)]),
        ([f"DELETE FROM {LEAF}", LEND.format("L1", "'B'", DAYS["L1"])], [("L1", *A)]),
        (["DELETE FROM loans_default", LEND.format("L4", "'B'", DAYS["L4"])], [("L4", *A)]),
        (
            ["WITH gone AS (DELETE FROM loans WHERE loan_id = 'L1' RETURNING *) SELECT count(*) FROM gone"],
            [("L1", *A)],
        ),
        (["UPDATE loans SET loan_id = 'L9' WHERE loan_id = 'L1'"], [("L1", *A)]),
        (["UPDATE loans SET officer_id = 'B', disbursement_date = '2026-02-01' WHERE loan_id = 'L1'"], [("L1", *A)]),
        (
            [f"UPDATE loans SET officer_id = '{who}' WHERE loan_id = 'L1'" for who in ("B", "C", "A", "B")],
            [("L1", who, *A[1:]) for who in ("A", "B", "C", "A")],
        ),
    ],
)  # fmt: skip
def test_whoever_a_loan_was_with_is_recorded(
    lender: psycopg.Connection, statements: list[str], who: list[tuple[str, ...]]
) -> None:
    for statement in statements:
        run(lender, statement)
    assert recorded(lender) == who


def test_merge_is_recorded(lender: psycopg.Connection) -> None:
    if lender.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    run(lender, MERGE)
    assert recorded(lender) == [("L1", *A)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE loans SET officer_id = officer_id",
        "UPDATE loans SET loan_amount = 5, status = 'Closed'",
        "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'nobody'",
        "DELETE FROM loans WHERE loan_id = 'nobody'",
        f"UPDATE {LEAF} SET officer_id = 'A'",
        "UPDATE loans SET disbursement_date = '2026-02-01' WHERE loan_id = 'L1'",
        upsert("A"),
        LEND.format("L8", "NULL", "2026-01-01"),
    ],
)
def test_what_gives_no_loan_away_is_not_recorded(lender: psycopg.Connection, statement: str) -> None:
    run(lender, statement)
    assert recorded(lender) == []


def test_a_null_officer_is_one_like_any_other(lender: psycopg.Connection) -> None:
    run(lender, "UPDATE loans SET officer_id = NULL WHERE loan_id = 'L1'")
    run(lender, "UPDATE loans SET officer_id = NULL WHERE loan_id = 'L1'")
    run(lender, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'")
    assert recorded(lender) == [("L1", *A), ("L1", None, *A[1:])]


def test_what_is_rolled_back_is_not_recorded(lender: psycopg.Connection) -> None:
    with lender.transaction(force_rollback=True):
        run(lender, "UPDATE loans SET officer_id = 'B'")
        assert len(recorded(lender)) == 4
    with lender.transaction():
        with lender.transaction(force_rollback=True):
            run(lender, "UPDATE loans SET officer_id = 'B'")
        run(lender, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L2'")
    assert recorded(lender) == [("L2", *A)]


def test_rows_that_get_a_partition_of_their_month_stay_with_whom_they_are(lender: psycopg.Connection) -> None:
    assert ensure_partitions(lender, ["loans"]) == ["loans_2019_05"]
    assert recorded(lender) == []


def test_a_book_that_is_replaced_every_night_leaves_one_record_of_each_loan(
    lender: psycopg.Connection,
) -> None:
    lasted = []
    for _ in range(3):
        run(lender, "DELETE FROM loans")
        for loan, day in DAYS.items():
            run(lender, LEND.format(loan, "'A'", day))
        assert recorded(lender) == [(loan, *A) for loan in sorted(DAYS)]
        lasted += lender.execute(
            "SELECT min(reassigned_at) FROM loan_reassignments WHERE loan_id = 'L1'"
        ).fetchall()
    assert lasted == sorted(set(lasted))
    run(lender, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'")
    run(lender, "UPDATE loans SET officer_id = 'A' WHERE loan_id = 'L1'")
    assert recorded(lender)[:2] == [("L1", *A), ("L1", "B", *A[1:])]


def test_records_bear_the_time_they_were_made_at(lender: psycopg.Connection) -> None:
    within = "reassigned_at BETWEEN transaction_timestamp() AND clock_timestamp()"
    with lender.transaction():
        run(lender, "SELECT FROM pg_current_xact_id()")
        run(lender, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'")
        made = lender.execute(
            f"SELECT {within} FROM loan_reassignments WHERE loan_id = 'L1'".encode()
        ).fetchall()
    assert made == [(True,)]


def test_other_tables_are_still_logged_and_not_recorded(lender: psycopg.Connection) -> None:
    run(
        lender,
        "INSERT INTO loan_schedule (loan_id, installment_number, due_date) VALUES ('L1', 1, '2026-02-01')",
    )
    run(lender, "UPDATE loan_schedule SET loan_id = 'L2'")
    run(lender, "DELETE FROM loan_schedule")
    assert recorded(lender) == []
    named = "source_table = 'loan_schedule' AND loan_id IS NOT NULL"
    told = lender.execute(f"SELECT DISTINCT loan_id FROM change_log WHERE {named} ORDER BY 1".encode())
    assert told.fetchall() == [("L1",), ("L2",)]


def test_writers_without_any_right_to_the_records_leave_them(
    database: str, lender: psycopg.Connection
) -> None:
    role = f"{lender.info.dbname}_writes"
    run(lender, f"CREATE ROLE {role}")
    try:
        run(lender, f"GRANT SELECT, UPDATE ON loans TO {role}")
        with connect(database) as writer:
            run(writer, f"SET ROLE {role}")
            run(writer, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
                run(writer, "SELECT FROM loan_reassignments")
        assert recorded(lender) == [("L1", *A)]
    finally:
        run(lender, f"DROP OWNED BY {role}")
        run(lender, f"DROP ROLE {role}")


def test_a_session_of_replication_is_recorded_too(lender: psycopg.Connection) -> None:
    run(lender, "SET session_replication_role = replica")
    run(lender, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'")
    assert recorded(lender) == [("L1", *A)]


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM loan_reassignments",
        "TRUNCATE loan_reassignments",
        "UPDATE loan_reassignments SET officer_id = 'B'",
        "UPDATE loan_reassignments SET officer_id = NULL",
        "UPDATE loan_reassignments SET loan_id = 'L2'",
        "UPDATE loan_reassignments SET reassigned_at = reassigned_at - interval '1 day'",
    ],
)
def test_records_stay_as_they_are(lender: psycopg.Connection, statement: str, role: str) -> None:
    run(lender, "UPDATE loans SET officer_id = 'B' WHERE loan_id = 'L1'")
    run(lender, f"SET session_replication_role = {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        run(lender, statement)
    assert recorded(lender) == [("L1", *A)]


@pytest.mark.parametrize("table", ["loans", LEAF, "loans_default"])
def test_after_loans_were_swept_away_records_begin_anew(lender: psycopg.Connection, table: str) -> None:
    assert beginnings(lender) == 1
    run(lender, "TRUNCATE repayments")
    assert beginnings(lender) == 1
    run(lender, f"TRUNCATE {table}")
    assert beginnings(lender) > 1


def test_after_a_while_without_triggers_records_begin_anew(lender: psycopg.Connection) -> None:
    run(lender, f"DROP TRIGGER loanmetrics_log_update ON {LEAF}")
    run(lender, f"UPDATE {LEAF} SET officer_id = 'B'")
    assert recorded(lender) == []
    assert watch(lender) == [LEAF]
    assert beginnings(lender) == 2
    run(lender, "DROP TRIGGER loanmetrics_log_update ON repayments")
    assert watch(lender) == ["repayments"]
    assert beginnings(lender) == 2
