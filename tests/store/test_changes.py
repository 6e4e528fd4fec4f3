from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import psycopg
import pytest

from loanmetrics.errors import StoreError
from loanmetrics.store import changes
from loanmetrics.store.changes import LOAN_TABLES, WHOLE_TABLES, mark, prune, recall, touched, watch
from loanmetrics.store.migrate import migrate
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.session import connect
from loanmetrics.testing import Databases
from tests.store.changing import LATER, LEND, SPLIT, Reader, enable, pay, run, snapshot

MONTH = "repayments_2026_01"


@pytest.fixture
def lender(database: str) -> Iterator[psycopg.Connection]:
    """Two months of repayments, one row in each, and a loan."""
    with connect(database) as connection:
        ensure_partitions(connection, ["repayments"], [date(2026, 1, 1), date(2026, 2, 1)])
        run(connection, LEND, "L0")
        pay(connection, "R1", "L1")
        pay(connection, "R2", "L2", LATER)
        yield connection


@pytest.fixture
def other(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as connection:
        yield connection


@pytest.fixture
def reader(database: str, lender: psycopg.Connection) -> Reader:
    """One that has read what was there."""
    made = Reader(database)
    assert made.look().reason == "first run"
    return made


def test_nothing_changed_nothing_touched(reader: Reader) -> None:
    assert reader.look() == changes.Touched(frozenset(), frozenset())


def test_declared_tables_are_the_watched_ones(lender: psycopg.Connection) -> None:
    units: dict[str, str] = dict(lender.execute("SELECT * FROM loanmetrics_change_units()").fetchall())
    told = {"loan": LOAN_TABLES, "table": WHOLE_TABLES, "log": (changes.LOG,)}
    assert units == {table: unit for unit, tables in told.items() for table in tables}


COLUMNS = "(repayment_id, loan_id, payment_date, payment_amount)"
DML = (
    f"INSERT INTO {{}} {COLUMNS} VALUES ('R9', 'L1', '{SPLIT}', 1)",
    "UPDATE {} SET payment_amount = 11 WHERE loan_id = 'L1'",
    f"INSERT INTO {{}} {COLUMNS} VALUES ('R1', 'L1', '{SPLIT}', 1)"
    " ON CONFLICT (repayment_id, payment_date) DO UPDATE SET payment_amount = 12",
    "DELETE FROM {} WHERE repayment_id = 'R9'",
    "WITH gone AS (DELETE FROM {} WHERE loan_id = 'L1' RETURNING *) SELECT count(*) FROM gone",
)
MERGE = """
    MERGE INTO {} t USING (VALUES ('R1'), ('R9')) AS s (id) ON t.repayment_id = s.id
    WHEN MATCHED THEN DELETE
    WHEN NOT MATCHED THEN
        INSERT (repayment_id, loan_id, payment_date, payment_amount) VALUES (s.id, 'L9', '2026-01-31', 1)
"""


@pytest.mark.parametrize("table", ["repayments", MONTH])
def test_any_statement_to_the_table_or_a_leaf_is_told(
    reader: Reader, lender: psycopg.Connection, table: str
) -> None:
    for statement in DML:
        run(lender, statement.format(table))
        assert reader.look() == changes.Touched(frozenset({"L1"}), frozenset()), statement


@pytest.mark.parametrize("table", ["repayments", MONTH])
def test_merge_is_told(reader: Reader, lender: psycopg.Connection, table: str) -> None:
    if lender.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    run(lender, MERGE.format(table))
    assert reader.look().loans == {"L1", "L9"}


@pytest.mark.parametrize("table", ["repayments", MONTH, "repayments_default"])
def test_copy_is_told(reader: Reader, lender: psycopg.Connection, table: str) -> None:
    day = "2019-01-31" if table.endswith("default") else SPLIT
    with lender.cursor().copy(f"COPY {table} {COLUMNS} FROM STDIN".encode()) as copy:
        for number in range(3):
            copy.write_row([f"C{number}", f"L{number % 2}", day, 1])
    assert reader.look().loans == {"L0", "L1"}


def test_a_late_commit_with_an_older_stamp(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction():
        pay(lender, "R3", "L3")
        assert reader.look().loans == frozenset()
    assert reader.look().loans == {"L3"}


def test_an_older_transaction_that_writes_and_commits_late(
    reader: Reader, lender: psycopg.Connection, other: psycopg.Connection
) -> None:
    with lender.transaction():
        lender.execute("SELECT pg_current_xact_id()")
        pay(other, "R4", "L4")
        assert reader.look().loans == {"L4"}
        pay(lender, "R3", "L3")
    assert reader.look().loans == {"L3"}


def test_an_update_that_leaves_updated_at_alone(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "UPDATE loans SET officer_id = 'O9' WHERE loan_id = 'L0'")
    assert reader.look().loans == {"L0"}


def test_delete_and_reinsert_with_an_old_stamp(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "DELETE FROM repayments WHERE loan_id = 'L1'")
    pay(lender, "R1", "L1")
    assert reader.look().loans == {"L1"}


def test_a_row_that_moves_to_another_loan_touches_both(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "UPDATE repayments SET loan_id = 'L7' WHERE loan_id = 'L1'")
    assert reader.look().loans == {"L1", "L7"}


def test_a_row_that_moves_to_another_partition(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, f"UPDATE repayments SET payment_date = '{LATER}', loan_id = 'L7' WHERE loan_id = 'L1'")
    assert reader.look().loans == {"L1", "L7"}


def test_what_is_rolled_back_is_not_told(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction(force_rollback=True):
        pay(lender, "R3", "L3")
    assert reader.look().loans == frozenset()


def test_what_a_savepoint_takes_back_is_not_told(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction():
        with lender.transaction(force_rollback=True):
            pay(lender, "R3", "L3")
        with lender.transaction():
            pay(lender, "R4", "L4")
    assert reader.look().loans == {"L4"}


def test_two_writers_between_each_other_and_a_reader(
    reader: Reader, lender: psycopg.Connection, other: psycopg.Connection
) -> None:
    with other.transaction():
        with lender.transaction():
            pay(lender, "R3", "L3")
            pay(other, "R4", "L4")
            assert reader.look().loans == frozenset()
            pay(lender, "R5", "L5")
        assert reader.look().loans == {"L3", "L5"}
        pay(other, "R6", "L6")
        assert reader.look().loans == frozenset()
    assert reader.look().loans == {"L4", "L6"}
    assert reader.look().loans == frozenset()


def test_a_reader_that_fails_misses_nothing_later(reader: Reader, lender: psycopg.Connection) -> None:
    pay(lender, "R3", "L3")
    assert reader.look(finish=False).loans == {"L3"}
    assert reader.look().loans == {"L3"}


@pytest.mark.parametrize("table", ["repayments", MONTH, "repayments_default"])
def test_truncate_is_told(reader: Reader, lender: psycopg.Connection, table: str) -> None:
    run(lender, f"TRUNCATE {table}")
    assert reader.look() == changes.Touched(frozenset(), frozenset({"repayments"}))


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("officers", "INSERT INTO officers (officer_id) VALUES ('O1')"),
        ("holidays", "INSERT INTO holidays VALUES ('2026-01-01', 'New year')"),
        ("gl_balances", "INSERT INTO gl_balances VALUES ('Ikeja', '2026-01-31', 1)"),
        ("par15_snapshots", "INSERT INTO par15_snapshots VALUES ('2026-01-15', 'O1', 'r', 'b', 1, 1, 'run')"),
    ],
)
def test_small_tables_are_told_whole(
    reader: Reader, lender: psycopg.Connection, table: str, statement: str
) -> None:
    for change in (statement, f"UPDATE {table} SET {key(lender, table)}", f"DELETE FROM {table}"):
        run(lender, change)
        assert reader.look() == changes.Touched(frozenset(), frozenset({table})), change
    run(lender, f"DELETE FROM {table}")
    assert reader.look().tables == frozenset()
    run(lender, f"TRUNCATE {table}")
    assert reader.look().tables == {table}


def key(connection: psycopg.Connection, table: str) -> str:
    """An assignment that changes nothing, to any column."""
    found = connection.execute(f"SELECT * FROM {table}".encode()).description
    assert found
    return f"{found[0].name} = {found[0].name}"


@pytest.mark.parametrize(("loans", "whole"), [(50_000, False), (50_001, True)])
def test_too_many_loans_in_one_statement_speak_for_the_table(
    reader: Reader, lender: psycopg.Connection, loans: int, whole: bool
) -> None:
    run(
        lender,
        "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount)"
        f" SELECT n, n % {loans}, '{SPLIT}', 1 FROM generate_series(1, {loans + 5}) AS n",
    )
    found = reader.look()
    assert (len(found.loans), found.tables) == ((0, {"repayments"}) if whole else (loans, frozenset()))


def test_a_row_without_a_loan_speaks_for_the_table(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "ALTER TABLE repayments ALTER COLUMN loan_id DROP NOT NULL")
    run(lender, f"INSERT INTO repayments SELECT 'R9', NULL, '{SPLIT}', 1")
    assert reader.look().tables == {"repayments"}


def test_writers_need_no_rights_on_the_log(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction():
        run(lender, "CREATE ROLE loanmetrics_test_etl")
        run(lender, "GRANT INSERT ON repayments TO loanmetrics_test_etl")
        run(lender, "SET LOCAL ROLE loanmetrics_test_etl")
        run(lender, "CREATE TEMP TABLE change_log (source_table text, loan_id text)")
        pay(lender, "R3", "L3")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), lender.transaction():
            run(lender, "INSERT INTO public.change_log (source_table) VALUES ('loans')")
        run(lender, "RESET ROLE")
        run(lender, "DROP OWNED BY loanmetrics_test_etl")
        run(lender, "DROP ROLE loanmetrics_test_etl")
    assert reader.look().loans == {"L3"}


def test_readers_need_only_to_read(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction(force_rollback=True):
        run(lender, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        run(lender, "CREATE ROLE loanmetrics_test_reader")
        run(lender, "GRANT SELECT ON change_log, change_readers, change_horizon TO loanmetrics_test_reader")
        run(lender, "SET LOCAL ROLE loanmetrics_test_reader")
        assert touched(lender, reader.at).reason is None


@pytest.mark.parametrize("role", ["replica", "local"])
def test_writes_in_any_replication_role_are_told(
    reader: Reader, lender: psycopg.Connection, role: str
) -> None:
    run(lender, f"SET session_replication_role = {role}")
    pay(lender, "R3", "L3")
    assert reader.look().loans == {"L3"}


def test_a_new_partition_tells_from_the_start(reader: Reader, lender: psycopg.Connection) -> None:
    ensure_partitions(lender, ["repayments"], [date(2019, 5, 1)])
    assert reader.look() == changes.Touched(frozenset(), frozenset())
    run(lender, "INSERT INTO repayments_2019_05 SELECT 'R9', 'L9', '2019-05-05', 1")
    assert reader.look().loans == {"L9"}


def test_rows_that_move_into_a_new_partition_are_read_again(
    reader: Reader, lender: psycopg.Connection
) -> None:
    pay(lender, "R3", "L3", "2019-05-05")
    assert reader.look().loans == {"L3"}
    assert ensure_partitions(lender, ["repayments"]) == ["repayments_2019_05"]
    assert reader.look().loans == {"L3"}


def attach(connection: psycopg.Connection) -> None:
    run(connection, "CREATE TABLE by_hand (LIKE repayments INCLUDING ALL)")
    run(connection, "INSERT INTO by_hand SELECT 'R8', 'L8', '2018-05-05', 1")
    bounds = "FOR VALUES FROM ('2018-05-01') TO ('2018-06-01')"
    run(connection, f"ALTER TABLE repayments ATTACH PARTITION by_hand {bounds}")


def test_a_partition_attached_by_hand_is_found_and_mended(reader: Reader, lender: psycopg.Connection) -> None:
    attach(lender)
    assert reader.look().reason == "by_hand lacks its triggers"
    assert reader.look().reason == "by_hand lacks its triggers"
    run(lender, "DELETE FROM by_hand")
    assert watch(lender) == ["by_hand"]
    assert reader.look() == changes.Touched(frozenset(), frozenset({"repayments"}))
    run(lender, "INSERT INTO by_hand SELECT 'R8', 'L8', '2018-05-05', 1")
    assert reader.look().loans == {"L8"}


def test_a_partition_that_is_taken_away_and_brought_back(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, f"ALTER TABLE repayments DETACH PARTITION {MONTH}")
    assert reader.look() == changes.Touched(frozenset(), frozenset({"repayments"}))
    pay(lender, "R3", "L3", LATER)
    assert reader.look().loans == {"L3"}
    bounds = "FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
    try:
        run(lender, f"ALTER TABLE repayments ATTACH PARTITION {MONTH} {bounds}")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this release refuses it, because of the triggers")
    assert reader.look() == changes.Touched(frozenset({"L1"}), frozenset())


def test_a_partition_that_is_dropped(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, f"DROP TABLE {MONTH}")
    assert reader.look() == changes.Touched(frozenset(), frozenset({"repayments"}))


BLINDED = {
    "dropped": "DROP TRIGGER loanmetrics_log_{} ON {}",
    "disabled": "ALTER TABLE ONLY {1} DISABLE TRIGGER loanmetrics_log_{0}",
    "switched off by replication": "ALTER TABLE ONLY {1} ENABLE TRIGGER loanmetrics_log_{0}",
    "all disabled": "ALTER TABLE ONLY {1} DISABLE TRIGGER ALL",
}


@pytest.mark.parametrize(
    ("table", "happening", "statement"),
    [
        ("repayments", "insert", "dropped"),
        ("repayments", "update", "switched off by replication"),
        (MONTH, "delete", "disabled"),
        (MONTH, "truncate", "dropped"),
        (MONTH, "insert", "all disabled"),
        ("officers", "truncate", "disabled"),
    ],
)
def test_a_trigger_that_is_gone_or_disabled(
    reader: Reader, lender: psycopg.Connection, table: str, happening: str, statement: str
) -> None:
    run(lender, BLINDED[statement].format(happening, table))
    assert reader.look().reason == f"{table} lacks its triggers"
    assert watch(lender) == [table]
    assert reader.look() == changes.Touched(frozenset(), frozenset({table.removesuffix("_2026_01")}))
    assert reader.look() == changes.Touched(frozenset(), frozenset())


def test_migrating_mends_triggers(database: str, reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "DROP TRIGGER loanmetrics_log_insert ON loans")
    assert migrate(database) == ["loans_2026_01", "loans"]


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE TRIGGER loanmetrics_log_update AFTER UPDATE OF status ON loans"
        " FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_log_loans('loans')",
        "CREATE OR REPLACE TRIGGER loanmetrics_log_truncate AFTER TRUNCATE ON loans"
        " FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_refuse_change()",
        "CREATE OR REPLACE TRIGGER loanmetrics_log_truncate AFTER TRUNCATE ON loans"
        " FOR EACH STATEMENT EXECUTE FUNCTION loanmetrics_log_table('officers')",
    ],
)
def test_a_trigger_that_was_made_something_else(
    reader: Reader, lender: psycopg.Connection, change: str
) -> None:
    run(lender, change)
    enable(lender, "loans")
    assert reader.look().reason == "loans lacks its triggers"


def test_triggers_that_were_away_for_a_while(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, f"ALTER TABLE {MONTH} DISABLE TRIGGER ALL")
    run(lender, f"UPDATE {MONTH} SET payment_amount = 99")
    enable(lender, MONTH)
    assert reader.look() == changes.Touched(frozenset(), frozenset({"repayments"}))


def test_a_trigger_function_that_was_away_for_a_while(reader: Reader, lender: psycopg.Connection) -> None:
    row = lender.execute("SELECT pg_get_functiondef('loanmetrics_log_table'::regproc)").fetchone()
    assert row is not None
    mute = "AS 'BEGIN RETURN NULL; END'"
    run(lender, f"CREATE OR REPLACE FUNCTION loanmetrics_log_table() RETURNS trigger LANGUAGE plpgsql {mute}")
    run(lender, "INSERT INTO officers (officer_id) VALUES ('O1')")
    run(lender, row[0])
    assert "officers" in reader.look().tables


def test_rows_rewritten_by_a_change_of_type(reader: Reader, lender: psycopg.Connection) -> None:
    to = "numeric(18,2) USING payment_amount * 2"
    run(lender, f"ALTER TABLE repayments ALTER COLUMN payment_amount TYPE {to}")
    assert "repayments" in reader.look().tables


def test_a_column_replaced_by_another_of_its_name(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "ALTER TABLE loans DROP COLUMN channel CASCADE")
    run(lender, "ALTER TABLE loans ADD COLUMN channel text DEFAULT 'Agent'")
    assert reader.look().tables == {"loans"}


def test_vacuum_and_analyze_touch_nothing(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "VACUUM (ANALYZE) repayments")
    assert reader.look() == changes.Touched(frozenset(), frozenset())


def test_an_unlogged_partition_is_not_trusted(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, f"ALTER TABLE {MONTH} SET UNLOGGED")
    assert reader.look().reason == f"{MONTH} is unlogged: a crash would empty it unnoticed"


def test_a_table_fed_by_logical_replication_is_not_trusted(
    reader: Reader, lender: psycopg.Connection
) -> None:
    run(
        lender,
        "CREATE SUBSCRIPTION loanmetrics_test CONNECTION 'dbname=nowhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
    )
    try:
        run(
            lender,
            "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)"
            " SELECT oid, 'loans'::regclass, 'r' FROM pg_subscription WHERE subname = 'loanmetrics_test'",
        )
        found = reader.look()
    finally:
        run(lender, "DROP SUBSCRIPTION loanmetrics_test")
    assert found.reason == "loans is fed by logical replication, which fires no statement triggers"


def test_a_table_that_is_gone(database: str, reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "DROP TABLE gl_balances")
    with snapshot(lender):
        assert touched(lender, reader.at).reason == "gl_balances is missing"


def reason(reader: Reader, **altered: object) -> str | None:
    assert reader.at
    reader.at = replace(reader.at, **altered)  # type: ignore[arg-type]
    return reader.look().reason


def test_another_server(reader: Reader) -> None:
    assert reason(reader, system_identifier="1") == "another server"


def test_a_counter_that_went_back(reader: Reader) -> None:
    assert reason(reader, xmin=2**40) == "restored: the server's transaction counter went back"


FORGOTTEN = "the database does not remember this mark: restored, lagging, or its reader has moved on"


def name_of(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def copy(databases: Databases, source: str, target: str, options: str = "") -> None:
    stop = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
    databases.admin.execute(stop, [source])
    databases.admin.execute(f"CREATE DATABASE {target} TEMPLATE {source} {options}".encode())


@pytest.fixture
def backup(databases: Databases, database: str) -> Iterator[str]:
    """The name of a database that a test may make."""
    name = f"{name_of(database)}_backup"
    yield name
    databases.admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def test_a_copy_of_the_database(databases: Databases, database: str, backup: str) -> None:
    reader = Reader(database)
    reader.look()
    copy(databases, name_of(database), backup)
    reader.url = database.replace(name_of(database), backup)
    assert reader.look().reason == "another database of this server"


@pytest.mark.parametrize(("looks_since", "reason"), [(False, None), (True, FORGOTTEN)])
def test_a_restored_database(
    databases: Databases, database: str, backup: str, looks_since: bool, reason: str | None
) -> None:
    """Same server, same database, and the transaction counter far past the mark: only the mark can tell."""
    if databases.admin.info.server_version < 150000:
        pytest.skip("CREATE DATABASE ... OID came with PostgreSQL 15")
    reader, name = Reader(database), name_of(database)
    reader.look()
    once(database, "INSERT INTO officers (officer_id) VALUES ('O1')")
    copy(databases, name, backup)
    once(database, "INSERT INTO officers (officer_id) VALUES ('O2')")
    if looks_since:
        assert reader.look().tables == {"officers"}
    restore(databases, backup, name)
    once(database, "INSERT INTO holidays VALUES ('2026-01-01')")
    assert reader.look().reason == reason


def restore(databases: Databases, backup: str, name: str) -> None:
    row = databases.admin.execute("SELECT oid FROM pg_database WHERE datname = %s", [name]).fetchone()
    assert row
    databases.admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    copy(databases, backup, name, f"OID {row[0]}")


def once(url: str, statement: str) -> None:
    with connect(url) as connection:
        run(connection, statement)


def test_a_mark_survives_as_text(reader: Reader, lender: psycopg.Connection) -> None:
    assert reader.at
    assert recall(lender, reader.at.token) == reader.at
    assert recall(lender, "nonsense") is None


def test_pruning_waits_for_the_slowest_reader(
    database: str, reader: Reader, lender: psycopg.Connection
) -> None:
    slow = Reader(database, "slow")
    slow.look()
    for number in range(3):
        pay(lender, f"R1{number}", f"L1{number}")
        reader.look()
    prune(lender)
    assert needless(lender) == (0,)
    assert slow.look().loans == {"L10", "L11", "L12"}
    reader.look()
    prune(lender)
    assert needless(lender) == (0,)
    pay(lender, "R3", "L3")
    assert reader.look().loans == {"L3"}
    assert slow.look().loans == {"L3"}


def needless(connection: psycopg.Connection) -> tuple[int] | None:
    """How many log rows no reader needs."""
    return connection.execute(
        "SELECT count(*) FROM change_log WHERE xid < ALL (SELECT since FROM change_readers)"
    ).fetchone()


def test_pruning_leaves_transactions_under_way(
    reader: Reader, lender: psycopg.Connection, other: psycopg.Connection
) -> None:
    with lender.transaction():
        pay(lender, "R3", "L3")
        pay(other, "R4", "L4")
        reader.look()
        prune(other)
    assert reader.look().loans == {"L3"}


def test_a_reader_whose_first_run_was_overtaken_by_pruning(
    database: str, reader: Reader, lender: psycopg.Connection, other: psycopg.Connection
) -> None:
    with snapshot(other):
        late = mark(other)
        pay(lender, "R3", "L3")
        # As if the reader had read since: other databases' transactions may still hold its xmin back.
        run(lender, "UPDATE change_readers SET since = pg_current_xact_id()")
        assert prune(lender) > 0
    changes.advance(lender, "late", late)
    assert Reader(database, "late", late).look().reason == "the log was pruned past this mark"


def test_a_reader_long_idle_is_forgotten(reader: Reader, lender: psycopg.Connection) -> None:
    prune(lender, idle=timedelta(0))
    assert "does not remember" in (reader.look().reason or "")


def test_rows_deleted_from_the_log_by_hand(reader: Reader, lender: psycopg.Connection) -> None:
    pay(lender, "R3", "L3")
    run(lender, "SET session_replication_role = replica")
    run(lender, "DELETE FROM change_log")
    assert reader.look().reason == "the log was pruned past this mark"


@pytest.mark.parametrize("statement", ["TRUNCATE change_log", "UPDATE change_log SET loan_id = 'x'"])
def test_the_log_is_append_only(lender: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        run(lender, statement)


def test_a_log_emptied_by_force(reader: Reader, lender: psycopg.Connection) -> None:
    pay(lender, "R3", "L3")
    run(lender, "ALTER TABLE change_log DISABLE TRIGGER ALL")
    run(lender, "TRUNCATE change_log")
    assert reader.look().reason == "the log was emptied or rebuilt"
    assert reader.look().reason == "change_log lacks its triggers"
    assert watch(lender) == ["change_log"]
    assert reader.look().reason == "the log was emptied or rebuilt"
    assert reader.look().reason is None


def test_a_log_without_a_horizon(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "DELETE FROM change_horizon")
    assert reader.look().reason == "the log was pruned past this mark"


def test_changes_are_told_within_one_snapshot_only(lender: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match="REPEATABLE READ"):
        mark(lender)
