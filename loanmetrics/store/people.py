"""Whose loans they are: names and phone numbers, which stand in the lender's tables only."""

import polars as pl
import psycopg
from psycopg import sql

NAMES = ("customer_name", "customer_phone", "officer_name")
# One look-up by key for each row, however many rows there are: a subquery with OFFSET is not made a join over whole
# tables. The date leads to the loan's partition.
QUERY = """
    SELECT found.loan_id IS NOT NULL, found.customer_name, found.customer_phone,
        (SELECT officer_name FROM officers WHERE officers.officer_id = asked.officer_id)
    FROM unnest(%(loans)s::text[], %(days)s::date[], %(officers)s::text[])
        WITH ORDINALITY AS asked (loan_id, day, officer_id, place)
    LEFT JOIN LATERAL (
        SELECT loan_id,
            coalesce(customer_name, (SELECT c.customer_name FROM customers c
                WHERE c.customer_id = loans.customer_id)) AS customer_name,
            coalesce(customer_phone, (SELECT c.customer_phone FROM customers c
                WHERE c.customer_id = loans.customer_id)) AS customer_phone
        FROM loans WHERE loans.loan_id = asked.loan_id AND {which}
    ) found ON true
    ORDER BY place
"""
BY_KEY = sql.SQL(QUERY).format(which=sql.SQL("loans.disbursement_date = asked.day OFFSET 0"))
BY_LOAN = sql.SQL(QUERY).format(which=sql.SQL("true ORDER BY loans.disbursement_date LIMIT 1"))
SCHEMA = pl.Schema({"found": pl.Boolean(), **dict.fromkeys(NAMES, pl.String())})


def names(connection: psycopg.Connection, loans: pl.DataFrame) -> pl.DataFrame:
    """``NAMES`` of each loan, given its ``loan_id``, ``disbursement_date`` and ``officer_id``; null where unknown."""
    known = _ask(connection, BY_KEY, loans)
    missed = known.with_row_index("place").filter(~pl.col("found"))["place"]
    if len(missed):
        moved = _ask(connection, BY_LOAN, loans[missed]).with_columns(place=missed)
        known = known.with_row_index("place").update(moved, on="place")
    return known.select(NAMES)


def _ask(connection: psycopg.Connection, query: sql.Composed, loans: pl.DataFrame) -> pl.DataFrame:
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query, given(loans)).fetchall()
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def given(loans: pl.DataFrame) -> dict[str, list[object]]:
    """The parameters of a query."""
    return {
        "loans": loans["loan_id"].to_list(),
        "days": loans["disbursement_date"].to_list(),
        "officers": loans["officer_id"].cast(pl.String).to_list(),
    }
