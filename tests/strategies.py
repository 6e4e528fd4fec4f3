"""Small books for Hypothesis, built so that the rules of the definitions meet, and meet at their edges.

Every date is a few days, or the width of some window, away from the as-of day; money is a few cents. So equal
dates, exact settlement and the last day inside a window are common, and a failing book shrinks to a short one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from loanmetrics.policy import Policy
from loanmetrics.tables import LOAN_STATUSES, UNASSIGNED, UNKNOWN, WAIVER_TYPES

Row = dict[str, Any]
Rows = dict[str, list[Row]]
DueParts = tuple[int, int, int]

TABLES = ("loans", "loan_schedule", "repayments", "officers", "holidays")
DUE = ("principal_due", "interest_due", "fee_due")
PAID = ("principal_paid", "interest_paid", "fees_paid", "penalty_paid")
AS_OF = tuple(
    date(2026, month, day) for month, day in ((3, 16), (3, 15), (3, 14), (3, 1), (3, 31), (2, 28), (5, 15))
)
BUCKET_EDGES = (1, 2, 6, 7, 15, 16, 30, 31, 60, 61, 90, 91)
TOO_LARGE = Decimal("1000000000000.01")
PRICELESS = Decimal("-0.01")
TOO_EARLY, TOO_LATE = date(1899, 12, 31), date(2200, 1, 1)

# What turns a sound row into one that breaks the rule.
BREAKS: dict[tuple[str, str], Row] = {
    ("loans", "missing_value"): {"loan_amount": None},
    ("loans", "date_out_of_range"): {"closed_date": TOO_LATE},
    ("loans", "negative_amount"): {"interest_rate": PRICELESS},
    ("loans", "amount_too_large"): {"fee_amount": TOO_LARGE},
    ("loans", "unknown_status"): {"status": "Lost"},
    ("loans", "term_out_of_range"): {"loan_term_days": -1},
    ("loans", "duplicate_id"): {"loan_amount": Decimal("0.07")},
    ("loans", "no_due_date"): {"loan_id": "endless", "maturity_date": None, "loan_term_days": None},
    ("loan_schedule", "missing_value"): {"due_date": None},
    ("loan_schedule", "date_out_of_range"): {"due_date": TOO_EARLY},
    ("loan_schedule", "negative_amount"): {"principal_due": PRICELESS},
    ("loan_schedule", "amount_too_large"): {"interest_due": TOO_LARGE},
    ("loan_schedule", "duplicate_id"): {"principal_due": Decimal("0.07")},
    ("loan_schedule", "orphan"): {"loan_id": "nobody"},
    ("repayments", "missing_value"): {"payment_date": None},
    ("repayments", "date_out_of_range"): {"reversal_date": TOO_EARLY},
    ("repayments", "negative_amount"): {"waiver_amount": PRICELESS},
    ("repayments", "amount_too_large"): {"payment_amount": TOO_LARGE},
    ("repayments", "unknown_waiver_type"): {"waiver_type": "Favour"},
    ("repayments", "split_mismatch"): {"payment_amount": Decimal("9.99"), "principal_paid": Decimal("9.98")},
    ("repayments", "duplicate_id"): {"payment_method": "Cheque"},
    ("repayments", "orphan"): {"loan_id": "nobody", "repayment_id": "stray"},
    ("officers", "missing_value"): {"officer_id": None},
    ("officers", "duplicate_id"): {"primary_channel": "Web"},
    ("holidays", "missing_value"): {"holiday_date": None},
    ("holidays", "date_out_of_range"): {"holiday_date": TOO_LATE},
    ("holidays", "duplicate_id"): {},
    ("loans", "interest_too_large"): {
        "loan_amount": Decimal("1000000000000.00"),
        "interest_rate": Decimal("1.000001"),
        "loan_term_days": 365,
    },
}
# Hypothesis varies what it has after ten books; runs as short as this see more different ones.
RUN = 9
ADDED = ("duplicate_id", "orphan", "no_due_date")


@dataclass(frozen=True)
class Case:
    """Raw rows, and how they are to be looked at."""

    rows: Rows
    as_of: date
    policy: Policy
    frozen: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Life:
    """One loan with its installments and payments, ids still to be given."""

    loan: Row
    installments: list[Row]
    payments: list[Row]


def units(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


@st.composite
def rarely(draw: st.DrawFn, strategy: st.SearchStrategy[Any]) -> Any:
    return draw(strategy) if draw(RARE) else None


NONE = st.none()
RARE = st.sampled_from([False] * 5 + [True])
FEW = st.integers(0, 9)
MONEY = FEW.map(units)
LENT = st.one_of(st.integers(1, 9), st.integers(10, 60), st.sampled_from([5, 100, 1_234_567_89]))
DUE_MINOR = st.one_of(FEW, st.just(5), LENT)
SOON = st.integers(-2, 9)
# Later revisions that count on all, on some or on none of the days looked at.
REVISIONS: list[dict[str, dict[int, date]]] = [
    {},
    {"risk_score": {2: date(2026, 3, 15)}},
    {"dqi": {2: date(2026, 1, 1)}},
    {},
    {"risk_score": {2: date(2026, 2, 1)}, "dqi": {2: date(2026, 3, 16)}},
    {"risk_score": {2: date(2027, 1, 1)}},
]


def revised(policy: Policy) -> Policy:
    """The policy with revisions that follow from all else it says."""
    chosen = REVISIONS[int(policy.hash, 16) % len(REVISIONS)]
    return msgspec.structs.replace(policy, revisions=chosen)


POLICIES = st.builds(
    Policy,
    time_zone=st.sampled_from(["UTC", "Africa/Lagos", "America/New_York"]),
    arrears_tolerance=st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.05"), Decimal("0.50")]),
    dpd_count=st.sampled_from(["exclusive", "inclusive"]),
    calendar=st.sampled_from(["calendar", "business"]),
    weekend=st.sampled_from([(6, 7), (), (5,)]),
    final_statuses=st.sampled_from([("Closed", "Written Off"), ("Closed",), (), ("Defaulted",)]),
    first_payment_grace_days=st.sampled_from([0, 3]),
    first_payment_share=st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1), Decimal("0.333333")]),
    cohort_days=st.sampled_from([90, 20]),
    frr_days=st.sampled_from([365, 25]),
    flow_days=st.sampled_from([30, 10]),
    roll_days=st.sampled_from([7, 3, 30]),
    due_days=st.sampled_from([7, 20]),
    waiver_days=st.sampled_from([7, 30]),
    float_gap_window_days=st.sampled_from([7, 20]),
    float_gap_days=st.sampled_from([1, 0]),
    cash_methods=st.sampled_from([("Cash",), ("Cash", "Transfer"), ()]),
    pure_channels=st.sampled_from([("Direct",), ("Agent", "Web"), ()]),
    dqi_uses_channel_purity=st.sampled_from([True, False]),
    min_rank_loans=st.sampled_from([5, 1, 0]),
).map(revised)
TERMS = st.fixed_dictionaries(
    {
        "officer_id": st.sampled_from(["A", "B", "C", None]),
        "region": st.sampled_from(["R", "S", None]),
        "branch": st.sampled_from(["X", "Y", None]),
        "loan_amount": st.one_of(LENT, st.just(0)).map(units),
        "loan_term_days": st.sampled_from([73, 0, 7, 30, None]),
        "interest_rate": st.sampled_from([None, Decimal("0.5"), Decimal("1.234567"), Decimal(0)]),
        "fee_amount": st.one_of(NONE, MONEY),
        "channel": st.sampled_from(["Direct", "Agent", "Web", None]),
        "status": st.sampled_from(["Active", None, "Restructured", "Active", *LOAN_STATUSES]),
    }
)
MARKS = st.fixed_dictionaries(
    {
        "payment_method": st.sampled_from(["Cash", "Transfer", None]),
        "is_backdated": st.sampled_from([False, None, True]),
        "is_reversed": st.sampled_from([False, None, False, True]),
        "waiver_amount": rarely(MONEY),
        "waiver_type": st.sampled_from([None, *WAIVER_TYPES]),
    }
)
OFFICERS = st.fixed_dictionaries(
    {
        "officer_name": st.sampled_from([None, "Ada"]),
        "region": st.sampled_from(["R", None]),
        "branch": st.sampled_from(["X", None]),
        "primary_channel": st.sampled_from([None, "Agent", "Direct", "Nowhere"]),
    }
)
SCHEDULES = st.sampled_from(["with fee", "with fee", "without fee", "all zero", "none"])
AMOUNTS = st.sampled_from(
    ["installment", "anything", "unsplit", "installment", "anything", "unsplit", "everything", "waived"]
)
NOTHING = st.sampled_from([None, Decimal(0)])
ABSENT = st.sampled_from([None, *DUE])
ENTERED = st.one_of(
    NONE, st.tuples(st.integers(-1, 4), st.sampled_from([time(12), time(0, 30), time(23, 30)]))
)
BREAKING = st.lists(st.sampled_from(list(BREAKS)), max_size=5)


def fixed(count: int) -> list[Case]:
    """The same books every time."""
    return [case for number in range(0, count, RUN) for case in _run(number, min(RUN, count - number))]


def _run(number: int, count: int) -> list[Case]:
    found: list[Case] = []
    quiet = settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    @seed(number)
    @quiet
    @given(cases())
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


def edges(as_of: date, policy: Policy) -> list[int]:
    """Days back from the as-of day at which something begins or ends; negative ones lie ahead."""
    middle = past_15th(as_of)
    windows = [policy.cohort_days, policy.frr_days, policy.flow_days, policy.waiver_days, policy.roll_days]
    windows.append(policy.float_gap_window_days)
    early = [policy.roll_days + late for late in (0, 1, 6, 7)]
    inside = {n + step for n in windows for step in (-1, 0)}
    monthly = {as_of.day - 1, as_of.day, middle, middle + 1, middle + 15, middle + 16}
    ahead = {-1, -policy.due_days, -policy.due_days - 1}
    return sorted({0, *BUCKET_EDGES, *early, *inside, *monthly, *ahead})


def past_15th(as_of: date) -> int:
    """Days since the latest 15th."""
    last_month = as_of.replace(day=1) - timedelta(days=1)
    return (as_of - (as_of if as_of.day >= 15 else last_month).replace(day=15)).days


def days(as_of: date, policy: Policy) -> st.SearchStrategy[date]:
    """Days near the as-of day, or at the edge of something."""
    back = st.one_of(st.integers(-2, 20), st.sampled_from(edges(as_of, policy)))
    return back.map(lambda n: as_of - timedelta(days=n))


def due_dates(as_of: date, policy: Policy, day: st.SearchStrategy[date]) -> st.SearchStrategy[date]:
    """Days at which a bucket begins, today or on the 15th, or the days ahead end, more often than others."""
    on_15th = [past_15th(as_of) + n for n in (15, 16)]
    back = [*BUCKET_EDGES, *BUCKET_EDGES, *on_15th, 0, 0, -1, -policy.due_days, -policy.due_days - 1]
    return st.one_of(day, st.sampled_from([as_of - timedelta(days=n) for n in back]))


@st.composite
def schedules(draw: st.DrawFn, due_date: st.SearchStrategy[date]) -> list[Row]:
    """Installments in any order of dates, without their loan; none, all zero, or without a fee now and then."""
    kind = draw(SCHEDULES)
    if kind == "none":
        return []
    due = draw(st.lists(due_date, min_size=1, max_size=4))
    return [draw(installments(number, on, kind)) for number, on in enumerate(due, start=1)]


@st.composite
def installments(draw: st.DrawFn, number: int, due_date: date, kind: str) -> Row:
    principal, interest, fee = (
        0 if kind == "all zero" or (part == "fee_due" and kind == "without fee") else draw(DUE_MINOR)
        for part in DUE
    )
    parts: Row = dict(zip(DUE, map(units, (principal, interest, fee)), strict=True))
    absent = draw(ABSENT)
    parts |= {absent: None} if absent and not parts[absent] else {}
    total = draw(st.sampled_from([None, units(principal + interest + fee), units(1)]))
    return {"installment_number": number, "due_date": due_date, **parts, "total_due": total}


def split(values: Sequence[int], nothing: Decimal | None) -> Row:
    """A payment of these parts; what is 0 or not given is ``nothing``."""
    parts = {name: units(value) for name, value in zip(PAID, values, strict=False) if value}
    return {"payment_amount": units(sum(values)), **dict.fromkeys(PAID, nothing), **parts}


@st.composite
def amounts(draw: st.DrawFn, due: Sequence[DueParts]) -> Row:
    """What a payment says it paid: an installment, everything and more, anything, or not what for; or a waiver."""
    kind, nothing = draw(AMOUNTS), draw(NOTHING)
    if kind == "unsplit":
        return {"payment_amount": units(draw(DUE_MINOR)), **dict.fromkeys(PAID, nothing)}
    if kind == "anything":
        return split([draw(FEW) for _ in PAID], nothing)
    if kind == "waived":
        return split([], nothing) | {"waiver_amount": units(sum(draw(st.sampled_from(due))))}
    chosen: Sequence[DueParts] = ()
    if kind == "installment":
        chosen = [draw(st.sampled_from(due))]
    elif kind == "everything":
        chosen = [*due, (draw(st.integers(0, 3)), 0, 0)]
    return split([sum(each[part] for each in chosen) for part in range(3)], nothing)


@st.composite
def payments(
    draw: st.DrawFn,
    amount: st.SearchStrategy[Row],
    paid: st.SearchStrategy[date],
    day: st.SearchStrategy[date],
) -> Row:
    """A repayment row, without its ids."""
    paid_on, entered = draw(paid), draw(ENTERED)
    created = datetime.combine(paid_on, entered[1], UTC) + timedelta(days=entered[0]) if entered else None
    return {
        "payment_date": paid_on,
        **draw(MARKS),
        **draw(amount),
        "reversal_date": draw(st.one_of(NONE, later(paid_on), day)),
        "created_at": created,
    }


def later(day: date) -> st.SearchStrategy[date]:
    return SOON.map(lambda n: day + timedelta(days=n))


@st.composite
def diligent(draw: st.DrawFn, rows: Sequence[Row], day: st.SearchStrategy[date]) -> list[Row]:
    """A payment for every installment, about when it fell due."""
    return [
        draw(payments(st.just(split(due, None)), later(row["due_date"]), day))
        for row, due in zip(rows, due_parts(rows), strict=True)
    ]


def due_parts(rows: Sequence[Row]) -> list[DueParts]:
    """Principal, interest and fee of every installment."""
    found = [tuple(int((row[part] or 0) * 100) for part in DUE) for row in rows]
    return [(a, b, c) for a, b, c in found]


@st.composite
def lives(draw: st.DrawFn, day: st.SearchStrategy[date], due_date: st.SearchStrategy[date]) -> Life:
    dates = {"disbursement_date": draw(day), "maturity_date": draw(st.one_of(NONE, due_date))}
    loan = draw(TERMS) | dates | {"closed_date": draw(rarely(day))}
    rows = draw(schedules(due_date))
    due = due_parts(rows) or [(int(loan["loan_amount"] * 100), 0, 0)]
    on_due_dates = st.sampled_from([row["due_date"] for row in rows] or [loan["disbursement_date"]])
    anyhow = st.lists(payments(amounts(due), st.one_of(day, on_due_dates), day), max_size=4)
    return Life(loan, rows, draw(st.one_of(anyhow, diligent(rows, day))))


@st.composite
def turning(draw: st.DrawFn, as_of: date, policy: Policy) -> Life:
    """A loan a little late when the roll began, that paid since; or of which a payment was reversed since."""
    began, lately = policy.roll_days, as_of - timedelta(days=draw(st.integers(0, policy.roll_days - 1)))
    back = (began + draw(st.integers(31, 40)), began + draw(st.integers(1, 6)), -1)
    due = [as_of - timedelta(days=n) for n in back]
    dates = {"disbursement_date": due[0], "maturity_date": due[-1], "closed_date": None}
    loan = draw(TERMS) | dates | {"status": "Active"}
    rows = [draw(installments(number, on, "with fee")) for number, on in enumerate(due, start=1)]
    first, second, _ = (st.just(split(parts, None)) for parts in due_parts(rows))
    then = st.just(lately)
    paid = [draw(payments(first, st.just(due[0]), then)), draw(payments(second, then, then))]
    return Life(loan, rows, paid)


@st.composite
def any_life(draw: st.DrawFn, as_of: date, policy: Policy) -> Life:
    day = days(as_of, policy)
    usual = lives(day, due_dates(as_of, policy, day))
    return draw(turning(as_of, policy) if draw(RARE) else usual)


def numbered(found: Sequence[Life], order: Sequence[int]) -> Rows:
    """Ids for loans and payments; payment ids sort otherwise than the rows stand."""
    rows: Rows = {name: [] for name in TABLES}
    for number, life in enumerate(found):
        own = {"loan_id": f"L{number}"}
        rows["loans"].append(own | life.loan)
        rows["loan_schedule"] += [own | row for row in life.installments]
        for place, row in enumerate(life.payments):
            rows["repayments"].append({"repayment_id": f"{order[place]}-{number}", **own, **row})
    return rows


@st.composite
def broken(draw: st.DrawFn, rows: Rows) -> Rows:
    """The rows with some of them broken, or broken ones added beside them."""
    for table, rule in draw(BREAKING):
        own = rows[table]
        if own:
            place = draw(st.integers(0, len(own) - 1))
            bad = own[place] | BREAKS[table, rule]
            if rule in ADDED or draw(st.booleans()):
                own.append(bad)
            else:
                own[place] = bad
    return rows


@st.composite
def frozen(draw: st.DrawFn, as_of: date) -> tuple[Row, ...]:
    """PAR15 frozen at the latest 15th, or at another day, for cells that need not be of the book."""
    this_month = as_of.replace(day=15)
    last_month = (as_of.replace(day=1) - timedelta(days=1)).replace(day=15)
    row = st.fixed_dictionaries(
        {
            "snapshot_date": st.sampled_from([this_month, last_month]),
            "officer_id": st.sampled_from(["A", "gone", UNASSIGNED]),
            "region": st.sampled_from(["R", UNKNOWN]),
            "branch": st.sampled_from(["X", "gone"]),
            "par15_exposure": MONEY,
            "par15_count": st.integers(0, 2),
        }
    )
    return tuple(draw(st.one_of(st.just([]), st.lists(row, max_size=3, unique_by=frozen_key))))


def frozen_key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("snapshot_date", "officer_id", "region", "branch"))


@st.composite
def cases(
    draw: st.DrawFn,
    policy: st.SearchStrategy[Policy] = POLICIES,
    loans: int = 8,
    whole: bool = False,
) -> Case:
    """A book with a policy and an as-of day; ``whole`` leaves out rows that break a rule, and frozen PAR15."""
    lender = draw(policy)
    as_of = draw(st.sampled_from(AS_OF))
    day = days(as_of, lender)
    life = any_life(as_of, lender)
    few, many = (st.lists(life, min_size=least, max_size=loans) for least in (1, loans // 2))
    found = draw(st.one_of(few, many))
    rows = numbered(found, draw(st.permutations(range(4))))
    rows["officers"] = [{"officer_id": name, **draw(OFFICERS)} for name in ("A", "B", "idle")]
    rows["holidays"] = [{"holiday_date": on} for on in draw(st.lists(day, max_size=4, unique=True))]
    if whole:
        return Case(rows, as_of, lender)
    return Case(draw(broken(rows)), as_of, lender, draw(frozen(as_of)))
