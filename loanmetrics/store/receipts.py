"""What stands on receipts and in no fact: looked up by key, for the few payments that somebody asks about."""

from collections.abc import Sequence
from datetime import date

import psycopg

# One look-up by key for each row, however many rows there are; the date leads to the payment's partition.
QUERY = """
    SELECT nullif(btrim(found.payment_reference), '')
    FROM unnest(%(payments)s::text[], %(days)s::date[]) WITH ORDINALITY AS asked (payment, day, place)
    LEFT JOIN LATERAL (
        SELECT payment_reference FROM repayments
        WHERE repayment_id = asked.payment AND payment_date = asked.day OFFSET 0
    ) found ON true
    ORDER BY place
"""


def references(
    connection: psycopg.Connection, payments: Sequence[str], days: Sequence[date]
) -> list[str | None]:
    """The reference of each payment, given its id and date; None where it has none, or is not in this database."""
    rows = connection.execute(QUERY, {"payments": list(payments), "days": list(days)}).fetchall()
    return [reference for (reference,) in rows]
