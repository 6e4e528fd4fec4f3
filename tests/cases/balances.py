"""What is owed by part: overpayment, unsplit payments, contracts without a schedule or a fee."""

from datetime import date
from decimal import Decimal

from tests.cases.case import Case, Figures
from tests.cases.rows import book, february, loan, march, p_book, paid, q_book, unsplit, waiver

TOO_MUCH = p_book(paid("P", march(1), "1000"))
NO_BALANCE: Figures = {
    "total_outstanding": 0,
    "principal_outstanding": 0,
    "interest_outstanding": 0,
    "fees_outstanding": 0,
    "arrears_amount": 0,
    "overpaid": 100,
    "on_book": False,
    "closed_as": "paid",
    "current_dpd": 0,
}
TERMS = {"loan_term_days": 30, "interest_rate": Decimal("0.15"), "fee_amount": Decimal(25)}
SMALL = {"loan_term_days": 73, "interest_rate": Decimal("0.025")}
NO_SCHEDULE = book([loan("P", "1000", **TERMS)], [])

WORKED = [
    Case("e: on the book until 28 Feb", TOO_MUCH, february(28), loans={"P": {"on_book": True}}),
    Case("e: overpaid on 1 Mar", TOO_MUCH, march(1), loans={"P": NO_BALANCE}, book={"total_portfolio": 0}),
    Case("e: overpaid on 16 Mar", TOO_MUCH, march(16), loans={"P": NO_BALANCE}, book={"active_loans": 0}),
    Case(
        "q: 450 unsplit",
        q_book(unsplit("Q", march(1), "450")),
        march(1),
        loans={
            "Q": {
                "total_fees_paid": 40,
                "total_interest_paid": 160,
                "total_principal_paid": 250,
                "fees_outstanding": 20,
                "interest_outstanding": 80,
                "principal_outstanding": 350,
            }
        },
        findings={"unsplit_payment": 1},
    ),
]

UNSPLIT = [
    Case(
        "unsplit: the fee comes first, then interest",
        q_book(unsplit("Q", march(1), "50")),
        march(1),
        loans={"Q": {"total_fees_paid": 20, "total_interest_paid": 30, "total_principal_paid": 0}},
    ),
    Case(
        "unsplit: what is left over is principal",
        q_book(unsplit("Q", march(1), "1000")),
        march(1),
        loans={
            "Q": {
                "total_fees_paid": 60,
                "total_interest_paid": 240,
                "total_principal_paid": 700,
                "overpaid": 100,
            }
        },
    ),
    Case(
        "unsplit: after the waivers of its day",
        q_book(unsplit("Q", march(1), "100"), waiver("Q", march(1), "20", "Fee")),
        march(2),
        loans={"Q": {"total_fees_paid": 0, "total_interest_paid": 80, "total_principal_paid": 20}},
    ),
    Case(
        "unsplit: before the waivers of the next day",
        q_book(unsplit("Q", march(1), "100"), waiver("Q", march(2), "20", "Fee")),
        march(2),
        loans={"Q": {"total_fees_paid": 20, "total_interest_paid": 80, "total_principal_paid": 0}},
    ),
]

CONTRACTS = [
    Case(
        "a surplus of principal pays fees before interest",
        q_book(paid("Q", march(1), "670")),
        march(1),
        loans={"Q": {"principal_outstanding": 0, "fees_outstanding": 0, "interest_outstanding": 230}},
    ),
    Case(
        "a penalty paid is not credited",
        q_book(paid("Q", march(1), "300", "penalty")),
        march(2),
        loans={"Q": {"total_outstanding": 900, "current_dpd": 1, "first_payment_missed": True}},
        findings={"unsplit_payment": 0},
    ),
    Case(
        "no fee scheduled: fees paid and waived are not credited",
        p_book(paid("P", march(1), "50", "fees"), waiver("P", march(1), "20", "Fee"), fee_amount=Decimal(60)),
        march(2),
        loans={"P": {"total_outstanding": 900, "total_fees_paid": 50, "current_dpd": 1}},
        book={"fees_due": 40, "fees_collected": 40, "frr": 1, "total_fees_collected": 50},
    ),
    Case(
        "no schedule: one implied installment",
        NO_SCHEDULE,
        date(2026, 3, 23),
        loans={
            "P": {
                "schedule_source": "implied",
                "first_payment_due_date": march(22),
                "total_outstanding": "1037.33",
                "interest_outstanding": "12.33",
                "fees_outstanding": 25,
                "current_dpd": 1,
            }
        },
        findings={"principal_mismatch": 0},
    ),
    Case(
        "no schedule: interest of half a minor unit is rounded up",
        book([loan("P", "1", **SMALL)], []),
        march(1),
        loans={"P": {"interest_outstanding": "0.01"}},
    ),
    Case(
        "nothing due at all",
        book([loan("P", "0", maturity_date=march(1))], []),
        march(16),
        loans={
            "P": {"total_outstanding": 0, "current_dpd": 0, "first_payment_missed": None, "on_book": False}
        },
        book={"total_disbursed_count": 1, "active_loans": 0, "disbursed_count": 0},
    ),
]

CASES = WORKED + UNSPLIT + CONTRACTS
