"""Whether the first installment was missed."""

from decimal import Decimal

from loanmetrics.policy import Policy
from tests.cases.case import Case
from tests.cases.rows import february, march, p_book, paid, waiver

UNPAID = p_book()
GRACE = Policy(first_payment_grace_days=3)
HALF = Policy(first_payment_share=Decimal("0.5"))

CASES = [
    Case(
        "grace: undecided on its last day",
        UNPAID,
        march(4),
        GRACE,
        loans={"P": {"first_payment_missed": None}},
    ),
    Case("grace: missed after it", UNPAID, march(5), GRACE, loans={"P": {"first_payment_missed": True}}),
    Case(
        "grace: paid on its last day",
        p_book(paid("P", march(4), "0.01")),
        march(5),
        GRACE,
        loans={"P": {"first_payment_missed": False, "current_dpd": 4}},
    ),
    Case(
        "share of a half: a kobo too little",
        p_book(paid("P", march(1), "149.99")),
        march(2),
        HALF,
        loans={"P": {"first_payment_missed": True}},
    ),
    Case(
        "share of a half: just enough",
        p_book(paid("P", march(1), "150")),
        march(2),
        HALF,
        loans={"P": {"first_payment_missed": False, "arrears_amount": 150}},
    ),
    Case(
        "paid before disbursement",
        p_book(paid("P", february(19), "300")),
        march(2),
        loans={"P": {"first_payment_missed": False, "current_dpd": 0, "total_outstanding": 600}},
    ),
    Case(
        "a waiver is no cash",
        p_book(waiver("P", march(1), "299.99", "Principal")),
        march(2),
        loans={"P": {"first_payment_missed": True, "current_dpd": 1, "arrears_amount": "0.01"}},
    ),
    Case(
        "never missed where all of it is waived",
        p_book(waiver("P", march(1), "300", "Principal")),
        march(2),
        loans={"P": {"first_payment_missed": False, "current_dpd": 0, "first_payment_received_date": None}},
    ),
]
