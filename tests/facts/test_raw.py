"""Scanning: the rows that a load would store, and held back what it would hold back."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

import loanmetrics as lm
from loanmetrics.errors import DataError, UsageError
from loanmetrics.facts import prepare, raw
from loanmetrics.policy import Policy
from loanmetrics.tables import FACT_COLUMNS
from tests.bad_input.files import LOAN_CELLS, PARQUET_CELLS
from tests.facts.test_load import (
    L1,
    LOANS,
    REPAYMENTS,
    SAMPLE,
    SCHEDULE,
    csv,
    judged,
    load,
    parquet,
    rows,
    select,
)

DAY = date(2024, 1, 5)
WHOLE = "SELECT table_name, rule, row_key, loan_id, amount FROM raw_held"
HELD = "SELECT table_name, rule, row_key FROM {} ORDER BY ALL"


@pytest.fixture(name="connection")
def scanning() -> Iterator[duckdb.DuckDBPyConnection]:
    with raw.connect() as connection:
        yield connection


def held(connection: duckdb.DuckDBPyConnection, name: str = "raw_held") -> list[tuple[Any, ...]]:
    return connection.execute(HELD.format(name)).fetchall()


ALL_HELD = """
    SELECT table_name, rule, count(*) FROM (
        SELECT table_name, rule, row_key FROM held UNION SELECT table_name, rule, row_key FROM raw_held
    ) GROUP BY ALL
"""


def all_held(folder: Path) -> dict[tuple[str, str], int]:
    """Rows held back by a scan, by table and rule."""
    with raw.connect() as connection:
        raw.from_folder(connection, folder)
        prepare.prepare(connection, Policy())
        return {(table, rule): count for table, rule, count in kept(connection, ALL_HELD)}


def kept(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def by_row(folder: Path, cells: Sequence[Mapping[str, str]]) -> None:
    names = list(dict.fromkeys(name for row in cells for name in row))
    lines = [",".join(row.get(name, "") for name in names) for row in cells]
    csv(folder, "loans.csv", ",".join(names), *lines)


READ_CELLS = [cell for cell in LOAN_CELLS if cell[0] in FACT_COLUMNS["loans"] and cell[0] != "loan_id"]


def test_a_scan_holds_back_the_rows_of_a_csv_file_that_a_load_does(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    by_row(
        tmp_path,
        [
            {"loan_id": f"L{place}", "loan_amount": "1", "disbursement_date": "2024-01-05", column: value}
            for place, (column, value, _) in enumerate(READ_CELLS)
        ],
    )
    raw.from_folder(connection, tmp_path)
    prepare.prepare(connection, Policy())
    told = {key: rule for _, rule, key in held(connection)}
    assert {**{key: rule for _, rule, key in held(connection, "held")}, **told} == {
        f"L{number - 1}": rule for number, rule, _ in judged(tmp_path / "loans.csv")
    }
    assert kept(connection, "SELECT count(*) FROM raw.loans") == [(len(READ_CELLS) - len(told),)]


@pytest.mark.parametrize(
    ("column", "value", "rule"), [cell for cell in PARQUET_CELLS if cell[0] in FACT_COLUMNS["loans"]]
)
def test_a_scan_holds_back_the_row_of_a_parquet_file_that_a_load_does(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, column: str, value: str, rule: str
) -> None:
    cells = {"loan_id": "'L1'", "loan_amount": "1", "disbursement_date": "DATE '2024-01-05'", column: value}
    parquet(tmp_path, "loans.parquet", select(cells))
    raw.from_folder(connection, tmp_path)
    prepare.prepare(connection, Policy())
    assert ("loans", rule, "L1") in [*held(connection), *held(connection, "held")]


def test_nothing_is_rounded_or_guessed_in_frames(connection: duckdb.DuckDBPyConnection) -> None:
    officers = [" ", " Ada\t", "", "O 1", None]
    loans = pl.DataFrame(
        {
            "Loan_ID ": ["L1", "L2", "L3", "L4", "L5"],
            "loan_amount": [100.005, 0.1 + 0.2, 5.0, 5.0, float("nan")],
            "disbursement_date": ["2024-01-05", "2024-01-05", "2024-01-05", "2026-02-30", "2024-01-05"],
            "loan_term_days": [30.0, 30.0, 30.0, 30.0, 30.0],
            "officer_id": officers,
            "branch": pl.Series(["a", " b ", "", None, "a"], dtype=pl.Categorical()),
            "fee_amount": [None] * 5,
            "interest_rate": [0.15, 0.15, 0.1234567, 0.15, 0.15],
        }
    )
    raw.from_frames(connection, {"loans": loans})
    assert connection.execute(f"{WHOLE} ORDER BY ALL").fetchall() == [
        ("loans", "bad_date", "L4", "L4", 500),
        ("loans", "bad_money", "L5", "L5", 0),
        ("loans", "too_many_decimals", "L1", "L1", 10001),
        ("loans", "too_many_decimals", "L3", "L3", 500),
    ]
    assert kept(
        connection, "SELECT loan_amount, disbursement_date, loan_term_days, officer_id, branch FROM raw.loans"
    ) == [(Decimal("0.30"), DAY, 30, "Ada", "b")]


def test_one_bad_cell_does_not_refuse_the_book() -> None:
    loans = pl.DataFrame(
        {
            "loan_id": ["L1", "L2"],
            "loan_amount": ["100", "abc"],
            "disbursement_date": [DAY, DAY],
            "loan_term_days": ["30", "30"],
        }
    )
    book = lm.Book.scan({"loans": loans}, as_of=DAY)
    assert lm.compute(book, "total_portfolio", by="book").collect().item() == 10_000


def test_files_as_the_database_would_have_them_are_read_in_place(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    raw.from_folder(connection, SAMPLE)
    assert kept(connection, "SELECT table_name FROM duckdb_tables() WHERE NOT temporary") == [("raw_held",)]
    assert held(connection) == []


@pytest.mark.parametrize(("zone", "hour"), [("UTC", 12), ("Africa/Lagos", 11)], ids=["UTC", "one hour ahead"])
def test_times_without_a_zone_are_in_the_lenders(zone: str, hour: int) -> None:
    given = ["2024-01-05 12:00:00", "2024-01-05 12:00:00+00:00"]
    repayments = pl.DataFrame(
        {
            "repayment_id": ["R1", "R2", "R3"],
            "loan_id": ["L1"] * 3,
            "payment_date": [DAY] * 3,
            "payment_amount": [1] * 3,
            "created_at": [*given, "2024-01-05"],
        }
    )
    with raw.connect(time_zone=zone) as connection:
        raw.from_frames(connection, {"repayments": repayments})
        found = kept(
            connection, "SELECT created_at AT TIME ZONE 'UTC' FROM raw.repayments ORDER BY repayment_id"
        )
        naive = repayments.head(1).with_columns(created_at=datetime(2024, 1, 5, 12))
        connection.register("naive", naive.to_arrow())
        typed = connection.execute("SELECT created_at::TIMESTAMPTZ AT TIME ZONE 'UTC' FROM naive").fetchall()
    assert found[:2] == [(datetime(2024, 1, 5, hour),), (datetime(2024, 1, 5, 12),)]
    assert typed == found[:1]


def messy(folder: Path) -> Path:
    """Parts, repeats within and between them, rows of every kind of fault."""
    loans = [L1, "L1,5,2024-01-05", "L2,abc,2024-01-05", "L3,7,2024-01-06", "L4,7", "L5,-1,2024-01-05"]
    csv(folder, "loans-1.csv", LOANS + ",maturity_date", *(f"{line},2024-06-01" for line in loans))
    parquet(
        folder,
        "loans-2.parquet",
        "SELECT * FROM (VALUES ('L3', 1, DATE '2024-01-05', DATE '2024-06-01'), "
        "('L5', 1, '2024-01-05', '2024-06-01'), ('L6', 1, '2024-01-05', '2024-06-01')) "
        "AS t (loan_id, loan_amount, disbursement_date, maturity_date)",
    )
    first = ["R1,L1,2024-02-01,5", "R2,L9,2024-02-01,5", "R3,L1,2024-02-01,5.001", "R4,L2,2024-02-01,5"]
    csv(folder, "repayments-0001.csv", REPAYMENTS, *first)
    csv(
        folder,
        "repayments-0002.csv",
        REPAYMENTS,
        "R1,L3,2024-01-31,6",
        "R2,L1,2024-02-01,6",
        "R3,L1,2024-02-01,5",
    )
    csv(folder, "loan_schedule.csv", SCHEDULE, "L1,1,2024-02-01", "L1,1.5,2024-02-01", "L1,1,2024-02-02")
    csv(folder, "customers.csv", "customer_id", "C1")
    return folder


def test_a_folder_in_parts_is_scanned_as_it_is_loaded(database: str, tmp_path: Path) -> None:
    made = load(database, messy(tmp_path))
    loaded = {(name, rule): n for name, it in made.tables.items() for rule, n in it.quarantined.items()}
    assert all_held(tmp_path) == loaded
    with raw.connect() as connection:
        raw.from_folder(connection, tmp_path)
        prepare.prepare(connection, Policy())
        for name, key in (("loans", "loan_id"), ("repayments", "repayment_id")):
            columns = "loan_id, loan_amount" if name == "loans" else "repayment_id, loan_id, payment_amount"
            usable = f"SELECT {columns} FROM usable_{name} SEMI JOIN loan_keys USING (loan_id) ORDER BY {key}"
            assert kept(connection, usable) == rows(database, f"SELECT {columns} FROM {name} ORDER BY {key}")


def test_the_first_part_stays_whatever_the_second_says(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    csv(tmp_path, "loans-1.csv", LOANS, L1)
    csv(tmp_path, "loans-2.csv", LOANS, "L1,1,2024-01-01", "L2,3,2024-01-01")
    raw.from_folder(connection, tmp_path)
    assert kept(connection, "SELECT loan_id, loan_amount FROM raw.loans ORDER BY 1") == [
        ("L1", 1000),
        ("L2", 3),
    ]
    assert connection.execute(WHOLE).fetchall() == [("loans", "duplicate_id", "L1", "L1", 100)]


def test_a_file_in_two_formats_is_refused(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    csv(tmp_path, "loans.csv", LOANS, L1)
    parquet(tmp_path, "loans.parquet", "SELECT 'L1' AS loan_id")
    with pytest.raises(UsageError, match=r"holds both loans\.csv and loans\.parquet \(keep one of them\)"):
        raw.from_folder(connection, tmp_path)


def test_a_folder_without_loans_is_refused(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    csv(tmp_path, "officers.csv", "officer_id", "O1")
    with pytest.raises(DataError, match=r"holds no loans\.parquet or loans\.csv"):
        raw.from_folder(connection, tmp_path)


def test_an_error_of_reading_quotes_no_cell(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    secret = "08031234567"
    csv(tmp_path, "loans.csv", f"{LOANS},branch", f'{secret},{secret},{secret},"{secret}"x', L1)
    with pytest.raises(DataError) as caught:
        raw.from_folder(connection, tmp_path)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("text", ["\ta", "a\r", "a ", " a", " ", "a\n"])
def test_a_blank_at_either_end_of_a_text_is_cut(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    one = {"loan_id": ["L1"], "loan_amount": [1], "disbursement_date": [DAY], "channel": [text]}
    raw.from_frames(connection, {"loans": pl.DataFrame(one)})
    assert kept(connection, "SELECT channel FROM raw.loans") == [(text.strip() or None,)]
