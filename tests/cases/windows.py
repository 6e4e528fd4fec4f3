"""What moved, fell due or came in over a stretch of days."""

from datetime import UTC, date, datetime
from fractions import Fraction

from loanmetrics.policy import Policy
from tests.cases.case import Case
from tests.cases.rows import april, march, p_book, paid, q_book, waiver

UNPAID = p_book()
LATE_SECOND = p_book(paid("P", march(1), "300"), paid("P", march(15), "600"))
LATE_INTEREST = q_book(paid("Q", april(5), "80", "interest"))
FEES = paid("Q", march(1), "50", "fees")
AT_MIDNIGHT = datetime(2026, 3, 3, 23, 30, tzinfo=UTC)
CASH = p_book(paid("P", march(2), "300", payment_method="Cash", created_at=AT_MIDNIGHT))

WORKED = [
    Case("f: on 9 Mar", UNPAID, march(9), loans={"P": {"current_dpd": 8}}),
    Case(
        "f: not in the cohort on 16 Mar",
        UNPAID,
        march(16),
        book={"prev_dpd_1to6_balance": 0, "moved_to_7to30": 0, "roll": None},
    ),
    Case("f: on 6 Mar", UNPAID, march(6), loans={"P": {"current_dpd": 5, "total_outstanding": 900}}),
    Case(
        "f: rolled on 13 Mar",
        UNPAID,
        march(13),
        loans={"P": {"current_dpd": 12}},
        book={"prev_dpd_1to6_balance": 900, "moved_to_7to30": 900, "roll": 1, "roll_band": "Flag"},
    ),
    Case("h: due after 1 Mar", UNPAID, march(1), book={"amount_due_7d": 300}),
    Case("h: due after 8 Mar", UNPAID, march(8), book={"amount_due_7d": 300}),
    Case(
        "h: due after 8 Mar, 750 paid",
        p_book(paid("P", march(1), "750")),
        march(8),
        loans={"P": {"next_payment_due": march(15)}},
        book={"amount_due_7d": 150},
    ),
    Case(
        "j: two of three on time",
        LATE_SECOND,
        march(16),
        book={"due_installments": 3, "on_time_installments": 2, "on_time_rate": Fraction(2, 3)},
    ),
    Case("k: on 15 Mar", LATE_INTEREST, march(15), loans={"Q": {"current_dpd": 14}}),
    Case(
        "k: no exposure on 10 Apr",
        LATE_INTEREST,
        april(10),
        book={"par15_mid_month": 0, "interest_collected": 80, "ayr": None, "ayr_band": "n/a"},
    ),
    Case("k: on 15 Apr", LATE_INTEREST, april(15), loans={"Q": {"current_dpd": 45}}),
    Case(
        "k: 4/41 on 20 Apr",
        LATE_INTEREST,
        april(20),
        book={"par15_mid_month": 820, "total_yield": 80, "ayr": Fraction(4, 41), "ayr_band": "Flag"},
    ),
    Case(
        "l: fees without a waiver",
        q_book(FEES),
        march(9),
        book={"fees_due": 40, "fees_collected": 40, "frr": 1},
    ),
    Case(
        "l: fees with a waiver of 10",
        q_book(FEES, waiver("Q", march(1), "10", "Fee")),
        march(9),
        book={"fees_due": 30, "fees_collected": 30, "frr": 1},
    ),
]

EDGES = [
    Case(
        "paid off since: stays in the roll's denominator",
        p_book(paid("P", march(10), "900")),
        march(13),
        book={"prev_dpd_1to6_balance": 900, "moved_to_7to30": 0, "roll": 0},
    ),
    Case(
        "slippage may exceed one",
        UNPAID,
        march(2),
        book={"dpd_1to6_balance": 900, "amount_due_7d": 300, "d06_slippage": 3, "d06_slippage_band": "Flag"},
    ),
    Case(
        "installments after the closing date are not counted",
        p_book(paid("P", march(1), "900"), status="Closed", closed_date=march(1)),
        march(16),
        book={"due_installments": 1, "on_time_installments": 1},
    ),
    Case(
        "month-to-date starts on the first",
        LATE_INTEREST,
        april(30),
        book={"interest_collected": 80, "yield_30d": 80},
    ),
    Case(
        "last month's interest is in the 30 days only",
        LATE_INTEREST,
        date(2026, 5, 1),
        book={"interest_collected": 0, "yield_30d": 80, "ayr": 0, "ayr_30d": Fraction(4, 41)},
    ),
    Case("cash recorded late, by UTC", CASH, march(4), book={"float_gap_count": 0, "had_float_gap": False}),
    Case(
        "cash recorded late, by the lender's clock",
        CASH,
        march(4),
        Policy(time_zone="Africa/Lagos"),
        book={"float_gap_count": 1, "float_gap_share": 1, "risk_score": 75},
    ),
]

CASES = WORKED + EDGES
