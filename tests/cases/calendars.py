"""Business days."""

from loanmetrics.policy import Policy
from tests.cases.case import Case
from tests.cases.rows import book, loan, march, p_schedule, paid

FRIDAY_LOAN = book([loan("P", "300")], p_schedule(dates=[march(6)]), holidays=[march(9)])
PAID_ON_SATURDAY = {**FRIDAY_LOAN, "repayments": [paid("P", march(14), "300")]}
BUSINESS = Policy(calendar="business")
INCLUSIVE = Policy(calendar="business", dpd_count="inclusive")

WORKED = [
    Case(
        "o: Fri 6 Mar", FRIDAY_LOAN, march(6), BUSINESS, loans={"P": {"current_dpd": 0, "arrears_amount": 0}}
    ),
    Case(
        "o: Sat 7 Mar",
        FRIDAY_LOAN,
        march(7),
        BUSINESS,
        loans={"P": {"current_dpd": 0, "arrears_amount": 300, "first_payment_missed": True}},
    ),
    Case("o: Sun 8 Mar", FRIDAY_LOAN, march(8), BUSINESS, loans={"P": {"current_dpd": 0}}),
    Case("o: Mon 9 Mar, a holiday", FRIDAY_LOAN, march(9), BUSINESS, loans={"P": {"current_dpd": 0}}),
    Case("o: Tue 10 Mar", FRIDAY_LOAN, march(10), BUSINESS, loans={"P": {"current_dpd": 1}}),
    Case("o: Fri 13 Mar", FRIDAY_LOAN, march(13), BUSINESS, loans={"P": {"current_dpd": 4}}),
]

EDGES = [
    Case("business days inclusive", FRIDAY_LOAN, march(9), INCLUSIVE, loans={"P": {"current_dpd": 1}}),
    Case(
        "business days without the holiday",
        {**FRIDAY_LOAN, "holidays": []},
        march(9),
        BUSINESS,
        loans={"P": {"current_dpd": 1}},
    ),
    Case(
        "seven business days before Wed 18 Mar is Fri 6",
        FRIDAY_LOAN,
        march(18),
        BUSINESS,
        loans={"P": {"current_dpd": 7}},
        book={"prev_dpd_1to6_balance": 0, "roll": None},
    ),
    Case(
        "seven business days before Thu 19 Mar is Tue 10",
        FRIDAY_LOAN,
        march(19),
        BUSINESS,
        loans={"P": {"current_dpd": 8}},
        book={"prev_dpd_1to6_balance": 300, "moved_to_7to30": 300, "roll": 1},
    ),
    Case(
        "seven business days before Tue 24 Mar is Fri 13, not the weekend after it",
        PAID_ON_SATURDAY,
        march(24),
        BUSINESS,
        book={"prev_dpd_1to6_balance": 300, "moved_to_7to30": 0, "roll": 0},
    ),
]

CASES = WORKED + EDGES
