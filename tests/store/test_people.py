"""Names are found by key, in the one partition of each loan's date."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import polars as pl
import psycopg
import pytest

from loanmetrics.store import people
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.people import names
from loanmetrics.store.session import connect

BOOK = """
    INSERT INTO customers (customer_id, customer_name, customer_phone)
        SELECT 'C' || n, 'Customer ' || n, '+23480' || n FROM generate_series(1, 6000) n;
    INSERT INTO officers (officer_id, officer_name) VALUES ('O1', 'Ada'), ('O2', 'Obi');
    INSERT INTO loans (loan_id, customer_id, customer_name, customer_phone, officer_id, loan_amount, disbursement_date)
        SELECT 'L' || n, 'C' || n, 'Borrower ' || n, CASE WHEN n % 2 = 0 THEN '+23490' || n END, 'O1', 100,
            DATE '2026-01-01' + n % 90
        FROM generate_series(1, 6000) n;
    ANALYZE loans; ANALYZE customers;
"""


@pytest.fixture
def lender(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as connection:
        ensure_partitions(connection, ["loans"], [date(2026, month, 1) for month in (1, 2, 3)])
        connection.execute(BOOK)
        yield connection


def lent(number: int) -> date:
    return date(2026, 1, 1) + timedelta(days=number % 90)


def asked(*loans: tuple[str | None, date | None, str | None]) -> pl.DataFrame:
    schema = {"loan_id": pl.String(), "disbursement_date": pl.Date(), "officer_id": pl.Categorical()}
    return pl.DataFrame(loans, schema=schema, orient="row")


def test_each_loan_has_its_names_in_its_place(lender: psycopg.Connection) -> None:
    """As the loan says, else as its customer's row does; the officer is the one asked for."""
    found = names(lender, asked(("L8", lent(8), "O2"), ("L7", lent(7), "O1"), ("L8", lent(8), "O9")))
    assert found.columns == list(people.NAMES)
    assert found.rows() == [
        ("Borrower 8", "+234908", "Obi"),
        ("Borrower 7", "+234807", "Ada"),
        ("Borrower 8", "+234908", None),
    ]


def test_a_loan_whose_date_is_another_now_is_found_all_the_same(lender: psycopg.Connection) -> None:
    found = names(lender, asked(("L1", lent(2), "O1"), ("L2", lent(2), "O1"), ("L3", None, "O1")))
    assert found["customer_name"].to_list() == ["Borrower 1", "Borrower 2", "Borrower 3"]


def test_what_the_lender_does_not_have_has_no_names(lender: psycopg.Connection) -> None:
    found = names(lender, asked(("L0", lent(0), "O1"), (None, None, None), ("L1", lent(1), "O1")))
    assert found.rows() == [(None, None, "Ada"), (None, None, None), ("Borrower 1", "+234801", "Ada")]
    assert names(lender, asked()).rows() == []
    assert names(lender, asked()).schema == dict.fromkeys(people.NAMES, pl.String())


def looked_into(lender: psycopg.Connection, loans: pl.DataFrame) -> dict[str, str]:
    """Tables and partitions with loans or customers that were read at all, and by which index."""
    query = f"EXPLAIN (ANALYZE, FORMAT json) {people.BY_KEY.as_string(lender)}"
    [([whole],)] = lender.execute(query.encode(), people.given(loans)).fetchall()
    scans = [node for node in _nodes(whole["Plan"]) if node["Actual Loops"] and "Relation Name" in node]
    return {
        node["Relation Name"]: node.get("Index Name", node["Node Type"])
        for node in scans
        if node["Relation Name"] != "officers"
    }


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


@pytest.mark.parametrize("rows", [1, 50, 5_000])
def test_keys_lead_to_them_however_many_are_asked_for(lender: psycopg.Connection, rows: int) -> None:
    """Of the partitions, those of other dates than the loans' are never looked into."""
    january = [number for number in range(2, 6001, 2) if lent(number).month == 1]
    loans = asked(*((f"L{number}", lent(number), "O1") for number in (january * 5)[:rows]))
    assert len(loans) == rows
    assert looked_into(lender, loans) == {"loans_2026_01": "loans_2026_01_pkey"}


def test_a_missing_name_is_looked_up_by_the_customers_key(lender: psycopg.Connection) -> None:
    march = [number for number in range(1, 6001, 2) if lent(number).month == 3]
    loans = asked(*((f"L{number}", lent(number), "O1") for number in march))
    found = {"loans_2026_03": "loans_2026_03_pkey", "customers": "customers_pkey"}
    assert looked_into(lender, loans) == found
