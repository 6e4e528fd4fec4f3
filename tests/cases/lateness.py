"""Days past due and arrears."""

from decimal import Decimal

from loanmetrics.policy import Policy
from tests.cases.case import Case
from tests.cases.rows import book, february, installment, march, p_book, p_loan, p_schedule, paid

UNPAID = p_book()
AHEAD = p_book(paid("P", march(1), "600"))
SHORT = [paid("P", day, "299.70") for day in (march(1), march(8), march(15))]
FORGIVING = Policy(arrears_tolerance=Decimal("1.00"))
STRICTER = Policy(arrears_tolerance=Decimal("0.50"))
INCLUSIVE = Policy(dpd_count="inclusive")
ZERO_FIRST = book([p_loan()], [installment("P", 9, february(22), 0, 0, 0), *p_schedule()])

WORKED = [
    Case(
        "a: unpaid on 1 Mar",
        UNPAID,
        march(1),
        loans={"P": {"current_dpd": 0, "first_payment_missed": None, "arrears_amount": 0}},
        book={"disbursed_count": 0, "all_time_decided_count": 0, "fimr": None, "fimr_band": "n/a"},
    ),
    Case(
        "a: unpaid on 2 Mar",
        UNPAID,
        march(2),
        loans={"P": {"current_dpd": 1, "first_payment_missed": True, "arrears_amount": 300}},
        book={"first_miss_count": 1, "disbursed_count": 1, "fimr": 1, "fimr_band": "Flag"},
    ),
    Case(
        "a: unpaid on 16 Mar",
        UNPAID,
        march(16),
        loans={"P": {"current_dpd": 15, "dpd_bucket": "7-30", "arrears_amount": 900}},
        book={"overdue_15d_amount": 0, "overdue_15d_count": 0, "par15_principal": 0, "par7": 1},
    ),
    Case(
        "a: unpaid on 17 Mar",
        UNPAID,
        march(17),
        loans={"P": {"current_dpd": 16}},
        book={"overdue_15d_amount": 900, "overdue_15d_count": 1, "par15_principal": 900, "porr": 1},
    ),
    Case("c: paid ahead on 14 Mar", AHEAD, march(14), loans={"P": {"current_dpd": 0, "arrears_amount": 0}}),
    Case("c: paid ahead on 16 Mar", AHEAD, march(16), loans={"P": {"current_dpd": 1, "arrears_amount": 300}}),
    Case(
        "d: short under tolerance 0",
        p_book(*SHORT),
        march(16),
        loans={"P": {"total_principal_paid": "899.10", "current_dpd": 1, "arrears_amount": "0.90"}},
    ),
    Case(
        "d: short under tolerance 1",
        p_book(*SHORT),
        march(16),
        FORGIVING,
        loans={"P": {"current_dpd": 0, "on_book": False, "total_outstanding": "0.90", "arrears_amount": 0}},
        book={"active_loans": 0, "total_portfolio": 0},
    ),
]

EDGES = [
    Case(
        "tolerance 1 with 0.60 behind: no DPD, no arrears",
        p_book(*SHORT[:2]),
        march(9),
        FORGIVING,
        loans={"P": {"current_dpd": 0, "on_book": True, "arrears_amount": 0, "total_outstanding": "300.60"}},
    ),
    Case(
        "tolerance 0.50 is cumulative: 0.30 and 0.30 behind",
        p_book(*SHORT[:2]),
        march(9),
        STRICTER,
        loans={"P": {"current_dpd": 1, "arrears_amount": "0.60"}},
    ),
    Case(
        "inclusive: overdue on the due date",
        UNPAID,
        march(1),
        INCLUSIVE,
        loans={"P": {"current_dpd": 1, "arrears_amount": 300, "first_payment_missed": None}},
    ),
    Case(
        "inclusive: PAR15 a day earlier",
        UNPAID,
        march(16),
        INCLUSIVE,
        loans={"P": {"current_dpd": 16}},
        book={"overdue_15d_amount": 900},
    ),
    Case(
        "a zero installment is no installment",
        ZERO_FIRST,
        march(2),
        loans={"P": {"first_payment_due_date": march(1), "current_dpd": 1, "schedule_source": "schedule"}},
        book={"due_installments": 1},
    ),
]

CASES = WORKED + EDGES
