"""The second revisions of the risk score and of the index: what they rest on, their formulas, the days they count on.

P falls due on 1, 8 and 15 March and was disbursed on 20 February: on 16 March it is 24 days old.
"""

from datetime import date
from fractions import Fraction

from loanmetrics.policy import Policy
from tests.cases.case import Case, Formula, Row
from tests.cases.formulas import ALL_BAD, PUNCTUAL
from tests.cases.rows import book, february, march, p_book, p_loan, p_schedule, paid, waiver

TODAY = march(16)
BEGUN = Policy(revisions={"risk_score": {2: TODAY}, "dqi": {2: TODAY}})
TOMORROW = Policy(revisions={"risk_score": {2: march(17)}, "dqi": {2: march(17)}})
REVERSED: Row = {"is_reversed": True, "reversal_date": march(12)}


def ages(loan_age: int, since: int) -> dict[str, int]:
    return {"loan_age_days": loan_age, "days_since_repayment": since}


CASES = [
    Case("a loan that paid nothing is as silent as it is old", p_book(), TODAY, BEGUN, book=ages(24, 24)),
    Case("silent since the last payment", p_book(paid("P", march(10), "1")), TODAY, BEGUN, book=ages(24, 6)),
    Case("paid today", p_book(paid("P", TODAY, "1")), TODAY, BEGUN, book=ages(24, 0)),
    Case("a payment to come", p_book(paid("P", march(17), "1")), TODAY, BEGUN, book=ages(24, 24)),
    Case(
        "a payment before disbursement begins no earlier",
        p_book(paid("P", february(10), "1")),
        TODAY,
        BEGUN,
        book=ages(24, 24),
        findings={"payment_before_disbursement": 1},
    ),
    Case(
        "a reversed payment leaves the one before",
        p_book(paid("P", march(4), "1"), paid("P", march(10), "2", **REVERSED)),
        TODAY,
        BEGUN,
        book=ages(24, 12),
    ),
    Case(
        "on the day before its reversal it counts",
        p_book(paid("P", march(4), "1"), paid("P", march(10), "2", **REVERSED)),
        march(11),
        Policy(revisions={"risk_score": {2: march(1)}}),
        book=ages(19, 1),
    ),
    Case(
        "a waiver and a penalty are no repayment",
        p_book(waiver("P", march(10), "5", "Interest"), paid("P", march(11), "5", "penalty")),
        TODAY,
        BEGUN,
        book=ages(24, 24),
    ),
    Case("off the book nothing ages", p_book(paid("P", march(10), "900")), TODAY, BEGUN, book=ages(0, 0)),
    Case(
        "sums over loans: 14 and 24 days of 24 and 24",
        book([p_loan("P"), p_loan("R")], [*p_schedule("P"), *p_schedule("R")], [paid("P", march(2), "1")]),
        TODAY,
        BEGUN,
        book={**ages(48, 38), "risk_score": 45, "risk_band": "Amber"},
    ),
    Case("on the day it begins", p_book(), TODAY, BEGUN, book={"risk_score": 45, "dqi": 23}),
    Case("on the day before", p_book(), TODAY, TOMORROW, book={**ages(24, 24), "risk_score": 85}),
]

SAMPLE_DAY = date(2026, 6, 30)
SECOND = Policy(revisions={"risk_score": {2: SAMPLE_DAY}, "dqi": {2: SAMPLE_DAY}})
NOT_YET = Policy(revisions={"risk_score": {2: date(2026, 7, 1)}, "dqi": {2: date(2026, 7, 1)}})
LATE = {**PUNCTUAL, **ages(100, 10), "interest_collected": 4, "par15_mid_month": 10}
FORMULAS = [
    Formula(
        "revision 2: 100 - 2 - 3 - 5 - 16 - 9",
        LATE,
        {"risk_score": 65, "risk_band": "Watch", "risk_score_norm": Fraction(65, 100), "dqi": 76},
        SECOND,
    ),
    Formula("revision 2: the day before it begins", LATE, {"risk_score": 86, "dqi": 69}, NOT_YET),
    Formula(
        "revision 2: the index without its score's",
        LATE,
        {"risk_score": 86, "dqi": 86, "dqi_band": "Green"},
        Policy(revisions={"dqi": {2: SAMPLE_DAY}}),
    ),
    Formula(
        "revision 2: silent for a quarter of their age, and no more than all is lost",
        {"total_officers": 1, **ages(100, 25)},
        {"risk_score": 60, "risk_band": "Watch"},
        SECOND,
    ),
    Formula(
        "revision 2: an eighth of their age costs half",
        {"total_officers": 1, **ages(80, 10)},
        {"risk_score": 80, "risk_band": "Green"},
        SECOND,
    ),
    Formula(
        "revision 2: more yield than arrears is no bonus, no loans are no silence",
        {"total_officers": 1, "interest_collected": 30, "par15_mid_month": 10},
        {"risk_score": 100, "risk_band": "Green", "dqi": 100},
        SECOND,
    ),
    Formula(
        "revision 2: everything bad",
        {**ALL_BAD, **ages(10, 10), "par15_mid_month": 1},
        {"risk_score": 0, "risk_band": "Red", "dqi": 0},
        SECOND,
    ),
    Formula(
        "revision 2: no evidence of anything",
        {},
        {"risk_score": None, "risk_band": "n/a", "dqi": None, "dqi_band": "n/a"},
        SECOND,
    ),
]
