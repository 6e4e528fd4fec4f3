from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import psycopg
import pytest

from loanmetrics.store.migrate import migrate
from loanmetrics.store.partitions import PARTITIONED, ensure_partitions
from loanmetrics.store.session import connect

INSERT = b"INSERT INTO loans (loan_id, loan_amount, disbursement_date) VALUES (%s, 100, %s)"
WAITING = (
    b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def homes(connection: psycopg.Connection) -> dict[str, str]:
    """Each loan's partition."""
    return dict(connection.execute("SELECT loan_id, tableoid::regclass::text FROM loans").fetchall())


def wait_until_blocked(connection: psycopg.Connection) -> None:
    while connection.execute(WAITING).fetchone() == (0,):
        pass


def test_this_month_and_the_next_three_are_always_there(connection: psycopg.Connection) -> None:
    today = connection.execute("SELECT current_date").fetchone()
    assert today is not None
    for table in PARTITIONED:
        for ahead in range(4):
            row = connection.execute(
                "SELECT to_regclass(%s || to_char(%s + make_interval(months => %s), '_YYYY_MM')) IS NOT NULL",
                [table, today[0], ahead],
            ).fetchone()
            assert row == (True,)


def test_days_get_their_months_and_no_others(connection: psycopg.Connection) -> None:
    made = ensure_partitions(connection, ["loans"], [date(2020, 2, 29), date(2020, 2, 1), date(2022, 12, 31)])
    assert made == ["loans_2020_02", "loans_2022_12"]
    connection.execute(INSERT, ["L1", date(2022, 12, 31)])
    assert homes(connection) == {"L1": "loans_2022_12"}


def test_rows_in_the_default_partition_move_into_their_months(connection: psycopg.Connection) -> None:
    for loan, day in (("L1", date(2020, 2, 29)), ("L2", date(2020, 3, 1)), ("L3", date(2020, 2, 1))):
        connection.execute(INSERT, [loan, day])
    assert set(homes(connection).values()) == {"loans_default"}
    assert ensure_partitions(connection) == ["loans_2020_02", "loans_2020_03"]
    assert homes(connection) == {"L1": "loans_2020_02", "L2": "loans_2020_03", "L3": "loans_2020_02"}
    assert ensure_partitions(connection) == []


def test_migrating_moves_them_too(database: str, connection: psycopg.Connection) -> None:
    connection.execute(INSERT, ["L1", date(2020, 2, 29)])
    assert migrate(database) == ["loans_2020_02"]


def test_impossible_days_stay_in_the_default_partition(connection: psycopg.Connection) -> None:
    for loan, day in (("L1", date(1, 1, 1)), ("L2", date(9999, 12, 31))):
        connection.execute(INSERT, [loan, day])
    assert ensure_partitions(connection, ["loans"], [date(1, 1, 1), date(9999, 12, 31)]) == []
    assert set(homes(connection).values()) == {"loans_default"}


def test_a_move_that_is_rolled_back_loses_nothing(connection: psycopg.Connection) -> None:
    connection.execute(INSERT, ["L1", date(2020, 2, 29)])
    with connection.transaction(force_rollback=True):
        assert ensure_partitions(connection) == ["loans_2020_02"]
    assert homes(connection) == {"L1": "loans_default"}


def test_an_insert_under_way_is_waited_for_and_moved(database: str, connection: psycopg.Connection) -> None:
    with connect(database) as lender, connect(database) as ours, ThreadPoolExecutor(1) as pool:
        with lender.transaction():
            lender.execute(INSERT, ["L1", date(2020, 2, 29)])
            moving = pool.submit(ensure_partitions, ours, ["loans"], [date(2020, 2, 1)])
            wait_until_blocked(connection)
            lender.execute(INSERT, ["L2", date(2020, 3, 1)])
        assert moving.result() == ["loans_2020_02", "loans_2020_03"]
    assert homes(connection) == {"L1": "loans_2020_02", "L2": "loans_2020_03"}


def test_an_insert_that_comes_while_rows_move_lands_in_the_new_month(
    database: str, connection: psycopg.Connection
) -> None:
    connection.execute(INSERT, ["L1", date(2020, 2, 29)])
    with connect(database) as lender, connect(database) as ours, ThreadPoolExecutor(1) as pool:
        with ours.transaction():
            ensure_partitions(ours, ["loans"])
            inserting = pool.submit(lender.execute, INSERT, ["L2", date(2020, 2, 3)])
            wait_until_blocked(connection)
        inserting.result()
    assert set(homes(connection).values()) == {"loans_2020_02"}


def test_a_table_that_stays_busy_is_left_for_the_next_time(
    database: str, connection: psycopg.Connection
) -> None:
    with connect(database) as lender, lender.transaction():
        lender.execute(INSERT, ["L1", date(2020, 2, 29)])
        assert ensure_partitions(connection, ["loans"], [date(2020, 2, 1)]) == []
    assert homes(connection) == {"L1": "loans_default"}
    assert ensure_partitions(connection, ["loans"]) == ["loans_2020_02"]


def test_two_at_once_make_each_month_once(database: str) -> None:
    days = [date(2018, 1, 1) + timedelta(days=31 * step) for step in range(12)]

    def ensure() -> list[str]:
        with connect(database) as opened:
            return ensure_partitions(opened, ["repayments"], days)

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(ensure) for _ in range(2))
    assert sorted(map(len, (first.result(), second.result()))) == [0, 12]


def test_new_months_have_keys_checks_and_indexes(connection: psycopg.Connection) -> None:
    ensure_partitions(connection, ["loans"], [date(2020, 2, 1)])
    insert = "INSERT INTO loans (loan_id, loan_amount, disbursement_date) VALUES ('L1', %s, '2020-02-29')"
    connection.execute(insert.encode(), [1])
    for error, amount in ((psycopg.errors.UniqueViolation, "2"), (psycopg.errors.CheckViolation, "NaN")):
        with pytest.raises(error):
            connection.execute(insert.encode(), [amount])
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'loans_2020_02'"
    assert connection.execute(indexes.encode()).fetchone() == (4,)


def test_a_role_that_does_not_own_the_table_may_be_allowed(connection: psycopg.Connection) -> None:
    role = "loanmetrics_test_loader"
    connection.execute(
        f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$".encode()
    )
    call = "SELECT loanmetrics_ensure_partitions('loans', ARRAY[date '2020-02-01'])"
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL ROLE {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(call.encode())
        connection.execute("RESET ROLE")
        connection.execute(f"GRANT EXECUTE ON FUNCTION loanmetrics_ensure_partitions TO {role}".encode())
        connection.execute(f"SET LOCAL ROLE {role}".encode())
        assert connection.execute(call.encode()).fetchone() == (["loans_2020_02"],)


def test_other_tables_are_not_touched(connection: psycopg.Connection) -> None:
    with pytest.raises(
        psycopg.errors.RaiseException, match=r"not a table partitioned by loanmetrics: .*officers"
    ):
        ensure_partitions(connection, ["officers"])
