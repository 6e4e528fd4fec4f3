"""Rows that are held back, and rows that are odd but used."""

from decimal import Decimal

from tests.cases.case import Case
from tests.cases.rows import book, loan, march, p_book, p_loan, p_schedule, paid, unsplit, waiver

ONCE = paid("P", march(1), "300")

CASES = [
    Case(
        "parts that do not add up",
        p_book(unsplit("P", march(1), "300", principal_paid=Decimal(200))),
        march(2),
        loans={"P": {"current_dpd": 1, "total_principal_paid": 0}},
        book={"total_entries": 0},
        quarantine={("repayments", "split_mismatch"): 1},
    ),
    Case(
        "a payment delivered twice",
        p_book(ONCE, ONCE),
        march(9),
        loans={"P": {"total_principal_paid": 300, "current_dpd": 1}},
        book={"total_entries": 1},
        quarantine={("repayments", "duplicate_id"): 1},
    ),
    Case(
        "two equal payments on one day",
        p_book(ONCE, {**ONCE, "repayment_id": "another"}),
        march(9),
        loans={"P": {"total_principal_paid": 600, "current_dpd": 0}},
        book={"total_entries": 2},
    ),
    Case(
        "a waiver of unknown type",
        p_book(waiver("P", march(1), "300", "Goodwill")),
        march(2),
        loans={"P": {"total_outstanding": 900}},
        quarantine={("repayments", "unknown_waiver_type"): 1},
    ),
    Case(
        "a negative part",
        p_book(paid("P", march(1), "-300")),
        march(2),
        loans={"P": {"total_outstanding": 900, "overpaid": 0}},
        quarantine={("repayments", "negative_amount"): 1},
    ),
    Case(
        "a loan of which nobody knows when it falls due",
        book([p_loan(), loan("N", "500")], p_schedule(), [paid("N", march(1), "500")]),
        march(2),
        book={"total_disbursed_count": 1, "total_portfolio": 900, "fimr": 1},
        quarantine={("loans", "no_due_date"): 1, ("repayments", "orphan"): 1},
    ),
    Case(
        "a schedule that contradicts the loan and itself",
        book([p_loan(loan_amount=Decimal(1000))], [{**row, "total_due": Decimal(1)} for row in p_schedule()]),
        march(1),
        loans={"P": {"total_outstanding": 900}},
        book={"total_disbursed_amount": 1000},
        findings={"principal_mismatch": 1, "schedule_total_mismatch": 3},
    ),
    Case(
        "a payment after the day",
        p_book(paid("P", march(9), "900")),
        march(8),
        loans={"P": {"current_dpd": 7, "total_outstanding": 900, "last_payment_date": None}},
        book={"total_entries": 0},
    ),
]
