"""Evidence that grew old is told apart from what was done: on books that fit in the head."""

from datetime import date, timedelta
from decimal import Decimal

from loanmetrics.engine.book import Book
from loanmetrics.engine.diff.figures import figures
from loanmetrics.engine.diff.told import Changed, changed
from loanmetrics.engine.rollforward import rollforward
from loanmetrics.engine.window import grew_old
from loanmetrics.policy import Policy
from tests import support
from tests.engine.test_diff import day, lender, paid

MONTH = Policy(cohort_days=31)


def with_another(disbursed: date, due: date) -> support.Rows:
    """B's second loan, whose first installment is paid on its day."""
    rows = lender()
    rows["loans"].append({**rows["loans"][1], "loan_id": "L3", "disbursement_date": disbursed})
    rows["loan_schedule"] += [
        {
            "loan_id": "L3",
            "installment_number": k + 1,
            "due_date": due + timedelta(7 * k),
            "principal_due": 300,
        }
        for k in range(3)
    ]
    rows["repayments"].append(paid("R3", "L3", due, 300))
    return rows


def fimr(rows: support.Rows, first: date, last: date) -> Changed:
    after, _ = support.book_of(rows, last, MONTH)
    made = rollforward(Book(after.facts, first, after.policy), after)
    (found,) = changed(figures(made, "officer", ["fimr"]).filter(of="B"))
    return found


def test_a_miss_that_is_long_ago_is_no_progress() -> None:
    found = fimr(with_another(date(2026, 2, 10), day(1)), day(2), day(4))
    assert (found.before, found.after) == (Decimal("0.5"), Decimal(0))
    assert grew_old(found) == Decimal("-0.5")


def test_a_new_loan_that_is_paid_in_time_is_progress() -> None:
    found = fimr(with_another(date(2026, 2, 20), day(2)), day(2), day(3))
    assert (found.before, found.after) == (Decimal(1), Decimal("0.5"))
    assert [cause.name for cause in found.causes] == ["came_to_count"]
    assert grew_old(found) is None


def test_the_largest_of_a_cause_is_one_loans() -> None:
    found = fimr(with_another(date(2026, 2, 10), day(1)), day(2), day(4))
    (cause,) = found.causes
    assert (cause.loan_id, cause.largest) == ("L2", Decimal("-0.5"))
