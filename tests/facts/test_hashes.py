"""Whatever happens to the lender's tables, their content tells which loans to read again; no trigger does."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psycopg
import pytest

from loanmetrics.facts import hashes
from loanmetrics.facts.extract import snapshot
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.store.changes import LOAN_TABLES, Touched
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.session import connect
from loanmetrics.tables import FACT_COLUMNS
from tests.store.changing import LATER, LEND, SPLIT, Rows, pay, run

MONTH = "repayments_2026_01"
NOTHING = Touched(frozenset(), frozenset())
REPAYMENTS = Touched(frozenset(), frozenset({"repayments"}))


def loans(*names: str) -> Touched:
    return Touched(frozenset(names), frozenset())


@dataclass
class Reader:
    """Keeps a copy of the lender's tables up to date by reading again only what was touched."""

    url: str
    lake: Lake
    last: Version | None = None
    mirror: dict[str, Rows] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def look(self, finish: bool = True) -> Touched:
        run_id = f"{next(self.numbers):03}"
        with snapshot(self.url) as held:
            found = hashes.find(held, self.lake, self.last, run_id, 2, None)
            mirror = {table: self._copied(held.leader, table, found.touched) for table in LOAN_TABLES}
            assert mirror == {table: read(held.leader, table) for table in LOAN_TABLES}
            assert found.rows == {table: count(held.leader, table) for table in LOAN_TABLES}
        if finish:
            self.last, self.mirror = version(run_id, found), mirror
            self.lake.leaves.prune(found.leaves)
        return found.touched

    def _copied(self, connection: psycopg.Connection, table: str, found: Touched) -> Rows:
        if found.reason or table in found.tables:
            return read(connection, table)
        kept = {row for row in self.mirror[table] if row[0] not in found.loans}
        return kept | {row for row in read(connection, table) if row[0] in found.loans}


def read(connection: psycopg.Connection, table: str) -> Rows:
    """What the engine reads of a table, the loan first."""
    columns = ", ".join(("loan_id", *FACT_COLUMNS[table]))
    return set(connection.execute(f"SELECT {columns} FROM {table}".encode()))


def version(run_id: str, found: hashes.Found) -> Version:
    return Version(
        run_id=run_id,
        engine="",
        policy={},
        shards=(),
        small={},
        next_loan=0,
        rows=found.rows,
        sums=found.sums,
        leaves=found.leaves,
    )


def count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row
    return int(row[0])


@pytest.fixture
def lender(database: str) -> Iterator[psycopg.Connection]:
    """Two months of repayments, one row in each, and a loan; no trigger fires."""
    with connect(database) as connection:
        ensure_partitions(connection, ["repayments"], [date(2026, 1, 1), date(2026, 2, 1)])
        run(connection, LEND, "L0")
        pay(connection, "R1", "L1")
        pay(connection, "R2", "L2", LATER)
        for table in LOAN_TABLES:
            run(connection, f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield connection


@pytest.fixture
def reader(database: str, lender: psycopg.Connection, tmp_path: Path) -> Reader:
    """One that has read what was there."""
    made = Reader(database, Lake(tmp_path))
    assert made.look().reason == "the last run took no hashes"
    return made


def test_nothing_changed_nothing_touched(reader: Reader) -> None:
    before = sorted(reader.lake.leaves.folder.iterdir())
    assert reader.look() == NOTHING
    assert sorted(reader.lake.leaves.folder.iterdir()) == before


COLUMNS = "(repayment_id, loan_id, payment_date, payment_amount)"
DML = (
    f"INSERT INTO {{}} {COLUMNS} VALUES ('R9', 'L1', '{SPLIT}', 1)",
    "UPDATE {} SET payment_amount = 11 WHERE loan_id = 'L1'",
    "UPDATE {} SET is_reversed = true, reversal_date = '2026-02-01' WHERE repayment_id = 'R9'",
    "DELETE FROM {} WHERE repayment_id = 'R9'",
    "DELETE FROM {} WHERE loan_id = 'L1'",
)


@pytest.mark.parametrize("table", ["repayments", MONTH])
def test_any_statement_to_the_table_or_a_leaf_is_found(
    reader: Reader, lender: psycopg.Connection, table: str
) -> None:
    for statement in DML:
        run(lender, statement.format(table))
        assert reader.look() == loans("L1"), statement


def test_an_update_that_leaves_updated_at_alone(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "UPDATE loans SET officer_id = 'O9' WHERE loan_id = 'L0'")
    assert reader.look() == loans("L0")
    run(lender, "UPDATE loans SET officer_id = NULL, branch = 'O9' WHERE loan_id = 'L0'")
    assert reader.look() == loans("L0")


def test_columns_that_nobody_reads_touch_nobody(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "UPDATE loans SET customer_phone = '0', updated_at = now()")
    assert reader.look() == NOTHING


def test_delete_and_reinsert_with_an_old_stamp(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "DELETE FROM repayments WHERE loan_id = 'L1'")
    pay(lender, "R1", "L1")
    # created_at is read: the row is not the one that stood there.
    assert reader.look() == loans("L1")
    run(lender, "CREATE TEMP TABLE kept AS SELECT * FROM repayments WHERE loan_id = 'L1'")
    run(lender, "DELETE FROM repayments WHERE loan_id = 'L1'")
    run(lender, "INSERT INTO repayments SELECT * FROM kept")
    assert reader.look() == NOTHING


def test_a_late_commit_with_an_older_stamp(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction():
        pay(lender, "R3", "L3")
        assert reader.look() == NOTHING
    assert reader.look() == loans("L3")


def test_what_is_rolled_back_is_not_told(reader: Reader, lender: psycopg.Connection) -> None:
    with lender.transaction(force_rollback=True):
        pay(lender, "R3", "L3")
    assert reader.look() == NOTHING


def test_a_reader_that_fails_misses_nothing_later(reader: Reader, lender: psycopg.Connection) -> None:
    pay(lender, "R3", "L3")
    assert reader.look(finish=False) == loans("L3")
    assert reader.look() == loans("L3")


def test_the_same_row_twice_and_once_more(reader: Reader, lender: psycopg.Connection) -> None:
    """Rows that are alike must not cancel out."""
    run(lender, "ALTER TABLE repayments DROP CONSTRAINT repayments_pkey")
    for times in (1, 2):
        run(lender, f"INSERT INTO {MONTH} SELECT r.* FROM {MONTH} r, generate_series(1, {times})")
        assert reader.look() == loans("L1"), times


def test_amounts_that_change_places(reader: Reader, lender: psycopg.Connection) -> None:
    pay(lender, "R3", "L3")
    run(lender, "UPDATE repayments SET payment_amount = 20, interest_paid = 5 WHERE loan_id = 'L3'")
    reader.look()
    run(lender, "UPDATE repayments SET payment_amount = 30 - payment_amount WHERE loan_id IN ('L1', 'L3')")
    assert reader.look() == loans("L1", "L3")
    run(lender, "UPDATE repayments SET interest_paid = fees_paid, fees_paid = interest_paid")
    assert reader.look() == loans("L3")


def test_amounts_that_change_places_within_a_loan(reader: Reader, lender: psycopg.Connection) -> None:
    """The sum of the rows' hashes must not be a sum over their columns: there, the two would be the same."""
    pay(lender, "R3", "L1")
    run(lender, "UPDATE repayments SET payment_amount = 20 WHERE repayment_id = 'R3'")
    reader.look()
    run(lender, "UPDATE repayments SET payment_amount = 30 - payment_amount WHERE loan_id = 'L1'")
    assert reader.look() == loans("L1")


@pytest.mark.parametrize("table", ["repayments", MONTH])
def test_truncate_is_found(reader: Reader, lender: psycopg.Connection, table: str) -> None:
    run(lender, f"TRUNCATE {table}")
    assert reader.look() == loans(*(["L1", "L2"] if table == "repayments" else ["L1"]))


def test_a_row_that_moves_to_another_loan_touches_both(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "UPDATE repayments SET loan_id = 'L7' WHERE loan_id = 'L1'")
    assert reader.look() == loans("L1", "L7")


def test_a_row_that_moves_to_another_partition(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, f"UPDATE repayments SET payment_date = '{LATER}', loan_id = 'L7' WHERE loan_id = 'L1'")
    assert reader.look() == loans("L1", "L7")
    run(lender, f"UPDATE repayments SET payment_date = '{SPLIT}' WHERE loan_id = 'L7'")
    assert reader.look() == loans("L7")


def test_rows_that_move_into_a_new_partition_touch_nobody(reader: Reader, lender: psycopg.Connection) -> None:
    pay(lender, "R3", "L3", "2019-05-05")
    assert reader.look() == loans("L3")
    assert ensure_partitions(lender, ["repayments"]) == ["repayments_2019_05"]
    assert reader.look() == NOTHING
    run(lender, "INSERT INTO repayments_2019_05 SELECT 'R9', 'L9', '2019-05-05', 1")
    assert reader.look() == loans("L9")


def test_a_partition_that_comes_and_goes(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "CREATE TABLE by_hand (LIKE repayments INCLUDING ALL)")
    run(lender, "INSERT INTO by_hand SELECT 'R8', 'L8', '2018-05-05', 1")
    bounds = "FOR VALUES FROM ('2018-05-01') TO ('2018-06-01')"
    run(lender, f"ALTER TABLE repayments ATTACH PARTITION by_hand {bounds}")
    assert reader.look() == loans("L8")
    run(lender, "ALTER TABLE repayments DETACH PARTITION by_hand")
    assert reader.look() == loans("L8")
    run(lender, f"DROP TABLE {MONTH}")
    assert reader.look() == loans("L1")


def test_a_row_without_a_loan_speaks_for_the_table(reader: Reader, lender: psycopg.Connection) -> None:
    run(lender, "ALTER TABLE repayments ALTER COLUMN loan_id DROP NOT NULL")
    run(lender, f"INSERT INTO repayments SELECT 'R9', NULL, '{SPLIT}', 1")
    assert reader.look() == REPAYMENTS
    pay(lender, "R3", "L3")
    assert reader.look() == loans("L3")


def test_rows_rewritten_by_a_change_of_type(reader: Reader, lender: psycopg.Connection) -> None:
    to = "numeric(20,4) USING payment_amount"
    run(lender, f"ALTER TABLE repayments ALTER COLUMN payment_amount TYPE {to}")
    assert reader.look() == NOTHING
    run(
        lender,
        "ALTER TABLE repayments ALTER COLUMN payment_amount TYPE numeric(18,2) USING payment_amount * 2",
    )
    assert reader.look() == loans("L1", "L2")


def test_texts_that_a_collation_holds_for_the_same(reader: Reader, lender: psycopg.Connection) -> None:
    loose = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
    try:
        run(lender, f"CREATE COLLATION loose ({loose})")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server knows no such collations")
    run(lender, "ALTER TABLE loans ALTER COLUMN channel TYPE text COLLATE loose")
    run(lender, "UPDATE loans SET channel = 'direct'")
    reader.look()
    run(lender, "UPDATE loans SET channel = 'Direct'")
    assert reader.look() == loans("L0")


def test_sums_that_were_lost(reader: Reader) -> None:
    next(reader.lake.leaves.folder.iterdir()).unlink()
    assert reader.look().reason == "hashes of the last run are missing"
    assert reader.look() == NOTHING


def test_a_hash_that_does_not_notice_is_caught_by_the_other(
    reader: Reader, lender: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the sums by loan had collided."""
    run(lender, "UPDATE repayments SET payment_amount = 11 WHERE loan_id = 'L1'")
    monkeypatch.setattr(hashes, "LOW_BITS", 0)
    assert reader.look() == REPAYMENTS


def test_the_right_to_read_is_enough(reader: Reader, lender: psycopg.Connection) -> None:
    role = lender.info.dbname + "_reads"
    run(lender, f"CREATE ROLE {role}")
    try:
        run(lender, f"GRANT SELECT ON {', '.join(LOAN_TABLES)} TO {role}")
        reader.url += f"&options=-c%20role%3D{role}"
        assert reader.look() == NOTHING
        pay(lender, "R3", "L3")
        assert reader.look() == loans("L3")
        run(lender, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        run(lender, f"REVOKE SELECT ON change_log FROM {role}")
        pay(lender, "R4", "L4")
        assert reader.look() == loans("L4")
        with psycopg.connect(reader.url) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(session, "SELECT * FROM change_log")
    finally:
        run(lender, f"DROP OWNED BY {role}")
        run(lender, f"DROP ROLE {role}")
