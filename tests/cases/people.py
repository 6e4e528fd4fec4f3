"""Officers, branches, channels, frozen sets."""

from decimal import Decimal
from fractions import Fraction

from loanmetrics.policy import Policy
from tests.cases.case import Case, Row
from tests.cases.rows import april, book, march, officer, p_book, p_loan, p_schedule, paid

CLEAN = paid("C", march(1), "900")
TWO_BRANCHES = book(
    [p_loan("P"), p_loan("R", branch="Zaria"), p_loan("S", officer_id="O2")],
    [*p_schedule("P"), *p_schedule("R"), *p_schedule("S")],
)
RANKED = book(
    [p_loan("P", officer_id="O2"), p_loan("C"), p_loan("D")],
    [*p_schedule("P"), *p_schedule("C"), *p_schedule("D", [april(22)])],
    [CLEAN],
    [officer("O1"), officer("O2"), officer("O3")],
)
LARGE_AND_SMALL = book([p_loan("P"), p_loan("R")], [*p_schedule("P"), *p_schedule("R", [march(1)])])


def frozen(day: int, officer_id: str, branch: str, exposure: str) -> Row:
    return {
        "snapshot_date": april(day),
        "officer_id": officer_id,
        "region": "North",
        "branch": branch,
        "par15_exposure": Decimal(exposure),
        "par15_count": 1,
    }


WORKED = [
    Case(
        "g: a clean book",
        p_book(paid("P", march(1), "300")),
        march(2),
        book={
            "par15_mid_month": 0,
            "ayr": None,
            "ayr_band": "n/a",
            "risk_score": 100,
            "risk_band": "Green",
        },
    ),
    Case(
        "g: a clean officer ranks first",
        RANKED,
        april(20),
        Policy(min_rank_loans=1),
        officers={
            "O1": {"ayr": None, "rank": 1},
            "O2": {"par15_mid_month": 900, "ayr": 0, "ayr_band": "Flag", "rank": 2},
            "O3": {"risk_score": None, "risk_band": "n/a", "active_loans": 0, "rank": None},
        },
    ),
]

EDGES = [
    Case(
        "too few loans to be ranked",
        RANKED,
        april(20),
        officers={"O1": {"risk_score": 100, "rank": None}, "O2": {"rank": None}},
    ),
    Case(
        "no officer, no branch",
        p_book(officer_id=None, region=None, branch=None),
        march(2),
        officers={
            "UNASSIGNED": {"active_loans": 1, "officer_name": None, "region": "Unknown", "branch": "Unknown"},
            "O1": {"active_loans": 0, "fimr": None, "branch": "Kano"},
        },
        branches={"Unknown": {"total_portfolio": 900}},
        book={"total_officers": 1},
    ),
    Case(
        "an officer of two branches is one officer",
        TWO_BRANCHES,
        march(2),
        officers={"O1": {"active_loans": 2, "total_officers": 1, "branch": "Kano"}},
        branches={"Kano": {"total_officers": 2}, "Zaria": {"total_officers": 1}},
        book={"total_officers": 2, "active_loans": 3},
    ),
    Case(
        "a frozen 15th is used whole",
        p_book(),
        april(20),
        frozen_par15=[frozen(15, "O9", "Jos", "450.50")],
        officers={"O1": {"par15_mid_month": 0}, "O9": {"par15_mid_month": "450.50", "total_officers": 0}},
        branches={"Jos": {"par15_mid_month": "450.50", "risk_score": None}},
        book={"par15_mid_month": "450.50", "overdue_15d_amount": 900},
    ),
    Case(
        "another 15th frozen is not used",
        p_book(),
        april(14),
        frozen_par15=[frozen(15, "O1", "Kano", "450.50")],
        book={"par15_mid_month": 0},
    ),
    Case(
        "an officer's own channel",
        {**p_book(channel="Agent"), "officers": [officer(primary_channel="Agent")]},
        march(2),
        book={"channel_known_count": 1, "pure_channel_count": 1, "channel_purity": 1},
        findings={"channel_unknown": 0},
    ),
    Case(
        "the policy's channels do not stand in for an officer's own",
        book(
            [p_loan("P", channel="Direct"), p_loan("R", channel="Agent")],
            [*p_schedule("P"), *p_schedule("R")],
            [],
            [officer("O1", primary_channel="Agent")],
        ),
        march(2),
        book={"channel_known_count": 2, "pure_channel_count": 1},
        findings={"channel_unknown": 0},
    ),
    Case(
        "a channel that no loan uses",
        {**p_book(), "officers": [officer(primary_channel="Agent")]},
        march(2),
        book={"channel_known_count": 1, "pure_channel_count": 1},
        findings={"channel_unknown": 1},
    ),
    Case(
        "no reference channel at all",
        p_book(channel="Agent"),
        march(2),
        book={"channel_known_count": 0, "channel_purity": None},
    ),
    Case(
        "loan risk by days, size and first payment",
        LARGE_AND_SMALL,
        march(19),
        loans={"P": {"loan_risk_score": 52}, "R": {"loan_risk_score": Fraction(106, 3)}},
    ),
]

CASES = WORKED + EDGES
