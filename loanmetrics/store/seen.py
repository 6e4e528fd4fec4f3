"""What an auditor saw when he acted: the officer's figures and the loans most at risk, of one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from loanmetrics.store.canonical import parse
from loanmetrics.tables import UNASSIGNED

CENT = Decimal("0.01")
KNOWN = """
    SELECT EXISTS (SELECT FROM officers WHERE officer_id = %(officer)s)
        OR EXISTS (SELECT FROM officer_metrics_daily WHERE officer_id = %(officer)s)
"""
# One statement sees one moment. The loan risk score is computed in the engine's own steps and types
# (engine.loans.with_risk), so that both give the same bits: Polars divides by 90 by multiplying with its reciprocal.
SEEN = """
    WITH theirs AS (
        SELECT loan_id, loan_amount, total_outstanding, current_dpd, max_dpd_ever, fimr_tagged,
            total_outstanding * 100 AS minor
        FROM loan_state JOIN loans USING (loan_id, disbursement_date)
        WHERE on_book AND (officer_id = %(officer)s OR (%(officer)s = %(nobody)s AND officer_id IS NULL))
    ),
    riskiest AS (
        SELECT loan_id, loan_amount, total_outstanding AS outstanding_balance, current_dpd,
            (50 * least(current_dpd, 90))::float8 * (1 / 90::float8)
                + (25 * minor)::float8 / (max(minor) OVER ())::float8
                + (15 * fimr_tagged::int)::float8
                + (10 * least(max_dpd_ever, 90))::float8 * (1 / 90::float8) AS loan_risk_score
        FROM theirs ORDER BY loan_risk_score DESC, total_outstanding DESC, loan_id COLLATE "C" LIMIT %(top)s
    )
    SELECT
        (SELECT run_id FROM metric_calculation_log WHERE status = 'Completed' ORDER BY log_id DESC LIMIT 1),
        (SELECT to_jsonb(figures)::text FROM officer_metrics_daily figures
         WHERE officer_id = %(officer)s ORDER BY calculation_date DESC LIMIT 1),
        (SELECT coalesce(jsonb_agg(to_jsonb(riskiest) ORDER BY loan_risk_score DESC, outstanding_balance DESC,
            loan_id COLLATE "C"), '[]')::text FROM riskiest)
"""
NAMES = "SELECT loan_id, max(customer_name) FROM loans WHERE loan_id = ANY(%s) GROUP BY loan_id"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest run, every column of the officer's newest published row (None without one), and the riskiest loans.

    Loans are told without the customer's name, which the lender may have to remove one day.
    """

    run_id: str | None
    figures: Mapping[str, Any] | None
    loans: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RiskLoan:
    """A loan among the officer's riskiest, amounts in units; the score goes from 0 to 100, the worst."""

    loan_id: str
    customer_name: str | None
    loan_amount: Decimal
    outstanding_balance: Decimal
    current_dpd: int
    loan_risk_score: float


def known(connection: psycopg.Connection, officer_id: str) -> bool:
    """Whether there is such an officer: listed, or with published figures."""
    row = connection.execute(KNOWN, {"officer": officer_id}).fetchone()
    return row == (True,)


def seen(connection: psycopg.Connection, officer_id: str, top: int = 0) -> Seen:
    """What is published of the officer now, with the ``top`` loans on the book by risk score, the worst first."""
    given = {"officer": officer_id, "nobody": UNASSIGNED, "top": top}
    row = connection.execute(SEEN, given).fetchone()
    assert row is not None
    run_id, figures, loans = row
    return Seen(run_id, parse(figures) if figures else None, parse(loans))


def named(connection: psycopg.Connection, loans: Sequence[Mapping[str, Any]]) -> list[RiskLoan]:
    """Loans as they were seen, with their customers' names as they are now."""
    names: dict[str, str | None] = dict(
        connection.execute(NAMES, [[loan["loan_id"] for loan in loans]]).fetchall()
    )
    return [
        RiskLoan(
            loan["loan_id"],
            names.get(loan["loan_id"]),
            Decimal(str(loan["loan_amount"])).quantize(CENT),
            Decimal(str(loan["outstanding_balance"])).quantize(CENT),
            loan["current_dpd"],
            float(loan["loan_risk_score"]),
        )
        for loan in loans
    ]
