"""Odd but usable rows that show without any day: never dropped, counted by loan under the finding's name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from loanmetrics.tables import PARTS_GIVEN

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DUE = "COALESCE(principal_due, 0) + COALESCE(interest_due, 0) + COALESCE(fee_due, 0)"
KEPT = "usable_{} JOIN loan_keys USING (loan_id)"
# By table, what is odd about a row; ``begins`` is when its loan was disbursed.
ODD_ROWS = {
    "loans": {"end_before_disbursement": "maturity_date < begins OR closed_date < begins"},
    "loan_schedule": {
        "schedule_total_mismatch": f"total_due <> {DUE}",
        "due_before_disbursement": "due_date < begins",
    },
    "repayments": {
        "unsplit_payment": f"payment_amount > 0 AND {PARTS_GIVEN} = 0",
        "payment_before_disbursement": "payment_date < begins",
        "reversal_before_payment": "is_reversed AND reversal_date < payment_date",
    },
}
PRINCIPAL = f"""
    SELECT 'principal_mismatch' AS finding, loan, 1 AS times FROM (
        SELECT loan_id, sum(COALESCE(principal_due, 0)) AS scheduled
        FROM usable_loan_schedule GROUP BY loan_id HAVING sum({DUE}) > 0
    ) JOIN {KEPT.format("loans")} USING (loan_id) WHERE scheduled <> loan_amount
"""


def note(connection: "DuckDBPyConnection") -> None:
    """Make the table ``odd`` of usable rows: finding, loan, how many times."""
    parts = [PRINCIPAL, *(_by_row(KEPT.format(name), odd) for name, odd in ODD_ROWS.items())]
    connection.execute(f"CREATE TABLE odd AS {' UNION ALL '.join(parts)}")


def counted(connection: "DuckDBPyConnection") -> dict[str, int]:
    """How often each finding was made."""
    rows = connection.execute(
        "SELECT finding, sum(times)::BIGINT FROM odd GROUP BY finding ORDER BY finding"
    ).fetchall()
    return dict(rows)


def _by_row(rows: str, odd: Mapping[str, str]) -> str:
    """Each row is looked at once, whatever may be odd about it."""
    named = ", ".join(f"CASE WHEN {condition} THEN '{name}' END" for name, condition in odd.items())
    some = " OR ".join(f"({condition})" for condition in odd.values())
    found = f"SELECT loan, unnest([{named}]) AS finding FROM {rows} WHERE {some}"
    return f"SELECT finding, loan, count(*) AS times FROM ({found}) WHERE finding IS NOT NULL GROUP BY ALL"
