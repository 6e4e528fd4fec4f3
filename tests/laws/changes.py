"""Two states of one lender: a book, and what became of its rows until it was looked at again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests import strategies
from tests.strategies import Case, Row, Rows

NUMBER = st.integers(0, 20)
PLACES: tuple[Row, ...] = (
    {"officer_id": "A", "region": "R", "branch": "X"},
    {"officer_id": "B", "region": "R", "branch": "Y"},
    {"officer_id": "B", "region": "S", "branch": "X"},
    {"officer_id": None, "region": None, "branch": None},
)


@dataclass(frozen=True)
class Two:
    """The same lender twice."""

    before: Case
    after: Case


@dataclass(frozen=True)
class Draw:
    """Choices for one change: some numbers, and a day near the as-of day."""

    one: int
    other: int
    day: date
    today: date

    def pick(self, rows: Sequence[Row]) -> Row:
        return rows[self.one % len(rows)] if rows else {}


def pay(rows: Rows, draw: Draw) -> None:
    loan = draw.pick(rows["loans"])
    amount = strategies.units(draw.other)
    rows["repayments"].append(
        {
            "repayment_id": f"new-{draw.one}-{draw.other}",
            "loan_id": loan.get("loan_id"),
            "payment_date": draw.day,
            "payment_amount": amount,
            "principal_paid": amount if draw.other % 2 else None,
            "payment_method": "Cash",
        }
    )


def pay_today(rows: Rows, draw: Draw) -> None:
    pay(rows, replace(draw, day=draw.today))


def reverse(rows: Rows, draw: Draw) -> None:
    day = draw.day if draw.other % 3 else None
    draw.pick(rows["repayments"]).update(is_reversed=True, reversal_date=day)


def undo_reversal(rows: Rows, draw: Draw) -> None:
    draw.pick(rows["repayments"]).update(is_reversed=False, reversal_date=None)


def edit_payment(rows: Rows, draw: Draw) -> None:
    amount = strategies.units(draw.other)
    parts = {"payment_amount": amount, "principal_paid": amount}
    draw.pick(rows["repayments"]).update(parts, interest_paid=None, fees_paid=None, penalty_paid=None)


def edit_and_reverse(rows: Rows, draw: Draw) -> None:
    edit_payment(rows, draw)
    reverse(rows, draw)


def redate_payment(rows: Rows, draw: Draw) -> None:
    draw.pick(rows["repayments"]).update(payment_date=draw.day)


def move_payment(rows: Rows, draw: Draw) -> None:
    loan = draw.pick(rows["loans"]).get("loan_id")
    if rows["repayments"]:
        rows["repayments"][draw.other % len(rows["repayments"])].update(loan_id=loan)


def drop_payment(rows: Rows, draw: Draw) -> None:
    gone = draw.pick(rows["repayments"])
    rows["repayments"] = [row for row in rows["repayments"] if row is not gone]


def reassign(rows: Rows, draw: Draw) -> None:
    draw.pick(rows["loans"]).update(PLACES[draw.other % len(PLACES)])


def edit_loan(rows: Rows, draw: Draw) -> None:
    draw.pick(rows["loans"]).update(disbursement_date=draw.day, channel=("Direct", "Agent")[draw.other % 2])


def close(rows: Rows, draw: Draw) -> None:
    day = draw.day if draw.other % 2 else None
    draw.pick(rows["loans"]).update(status=("Closed", "Written Off")[draw.other % 2], closed_date=day)


def pay_after_the_end(rows: Rows, draw: Draw) -> None:
    """A loan of a final status without a closing date ends with its last payment, however late that is dated."""
    ended = [
        row for row in rows["loans"] if row["status"] in ("Closed", "Written Off") and not row["closed_date"]
    ]
    if ended:
        late = replace(draw, day=draw.day + timedelta(days=100))
        pay(rows, replace(late, one=rows["loans"].index(draw.pick(ended))))


def drop_loan(rows: Rows, draw: Draw) -> None:
    gone = draw.pick(rows["loans"])
    rows["loans"] = [row for row in rows["loans"] if row is not gone]
    if draw.other % 2:
        for name in ("repayments", "loan_schedule"):
            rows[name] = [row for row in rows[name] if row["loan_id"] != gone.get("loan_id")]


def lend(rows: Rows, draw: Draw) -> None:
    loan = {"loan_id": f"new-{draw.one}", "loan_amount": strategies.units(draw.other), "loan_term_days": 7}
    blank = dict.fromkeys(("status", "closed_date"))
    given = {"disbursement_date": draw.day, "channel": "Web"}
    rows["loans"].append({**loan, **blank, **PLACES[draw.other % 3], **given})
    pay(rows, replace(draw, one=len(rows["loans"]) - 1))


def reschedule(rows: Rows, draw: Draw) -> None:
    draw.pick(rows["loan_schedule"]).update(due_date=draw.day)


def drop_installment(rows: Rows, draw: Draw) -> None:
    gone = draw.pick(rows["loan_schedule"])
    rows["loan_schedule"] = [row for row in rows["loan_schedule"] if row is not gone]


def spoil(rows: Rows, draw: Draw) -> None:
    """A row that was fine breaks a rule."""
    bad: dict[str, Row] = {
        "loans": {"status": "Lost"},
        "loan_schedule": {"principal_due": Decimal("-0.01")},
        "repayments": {"payment_amount": Decimal("9.99"), "principal_paid": Decimal("9.98")},
    }
    name = list(bad)[draw.other % len(bad)]
    draw.pick(rows[name]).update(bad[name])


def mend(rows: Rows, draw: Draw) -> None:
    """Rows that broke a rule are set right."""
    for row in rows["repayments"]:
        if row.get("principal_paid") == Decimal("9.98"):
            row.update(principal_paid=Decimal("9.99"))
    for row in rows["loans"]:
        if row.get("status") == "Lost":
            row.update(status="Active")
    for row in rows["loan_schedule"]:
        if row.get("principal_due") == Decimal("-0.01"):
            row.update(principal_due=Decimal("0.01"))


def hire(rows: Rows, draw: Draw) -> None:
    draw.pick(rows["officers"]).update(primary_channel=("Agent", "Direct", "Web")[draw.other % 3])


def celebrate(rows: Rows, draw: Draw) -> None:
    rows["holidays"] = [{"holiday_date": draw.today - timedelta(days=n)} for n in range(1, draw.other)]


CHANGES: tuple[Callable[[Rows, Draw], None], ...] = (
    *(pay, pay_today, reverse, undo_reversal, edit_payment, edit_and_reverse, redate_payment, move_payment),
    *(
        drop_payment,
        reassign,
        reassign,
        edit_loan,
        close,
        pay_after_the_end,
        drop_loan,
        lend,
        reschedule,
        drop_installment,
    ),
    *(spoil, mend, hire, celebrate),
)


def fixed(numbers: Iterable[int]) -> Iterator[Two]:
    """The same states for the same numbers; runs as short as these see more different ones."""
    for number in numbers:
        yield from _run(number)


def _run(number: int) -> list[Two]:
    found: list[Two] = []
    quiet = settings(
        max_examples=strategies.RUN,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    @seed(number)
    @quiet
    @given(states())
    def collect(two: Two) -> None:
        found.append(two)

    collect()
    return found


@st.composite
def states(draw: st.DrawFn) -> Two:
    """A book as it was and as it is: other rows, now and then another day, another policy, other frozen PAR15."""
    first: Case = draw(strategies.cases(loans=5))
    before = deepcopy(first.rows)
    if draw(strategies.RARE):
        Draw(draw(NUMBER), 0, first.as_of, first.as_of).pick(before["loans"]).update(
            status="Closed", closed_date=None
        )
    after = deepcopy(before)
    near = strategies.days(first.as_of, first.policy)
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=6)):
        change(after, Draw(draw(NUMBER), draw(NUMBER), draw(near), first.as_of))
    passed = draw(st.sampled_from([0, 0, 0, 1, 1, 15, -2]))
    policy = draw(strategies.POLICIES) if draw(strategies.RARE) else first.policy
    as_of = first.as_of + timedelta(days=passed)
    frozen = draw(strategies.frozen(as_of)) if draw(strategies.RARE) else first.frozen
    two = Two(replace(first, rows=before), Case(after, as_of, policy, frozen))
    return two if draw(st.booleans()) else Two(two.after, two.before)
