"""A drilldown's rows beside other ways to the same figures."""

from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.engine import drilldown, loans
from loanmetrics.engine.book import Book
from loanmetrics.engine.history.transitions import transitions
from loanmetrics.policy import Policy
from loanmetrics.tables import DPD_BUCKETS
from tests import support
from tests.support import Rows

DAYS = [support.SAMPLE_DAY, date(2025, 12, 12)]
BEGINNING = date(2024, 1, 1)


def rows_of(book: Book) -> pl.DataFrame:
    """Every loan of the book, by its id."""
    parts = [
        drilldown.named(drilldown.stand(shard, book), shard.in_order().loans, book.facts.cells, book)
        for shard in book.facts.shards
    ]
    made = pl.concat(drilldown.scored([part.with_columns(stands=True) for part in parts]))
    return made.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)).sort("loan_id")


@pytest.fixture(scope="module", params=DAYS, ids=str)
def book(request: pytest.FixtureRequest) -> Book:
    return Book(support.sample_facts(), request.param)


def test_the_score_is_that_of_the_loan_states(book: Book) -> None:
    columns = ["loan_id", "loan_risk_score"]
    assert_frame_equal(
        rows_of(book).select(columns), loans.states(book).select(columns).sort("loan_id"), check_exact=True
    )


def test_the_bucket_before_is_what_the_transitions_replay(book: Book) -> None:
    then = book.as_of - timedelta(days=book.policy.roll_days)
    last = (
        transitions(book.facts, book.policy, BEGINNING, then).group_by("loan_id", maintain_order=True).last()
    )
    replayed = {
        loan: bucket if bucket in DPD_BUCKETS else None
        for loan, bucket in last.select("loan_id", "to_dpd_bucket").iter_rows()
    }
    found = dict(rows_of(book).select("loan_id", "previous_dpd_bucket").iter_rows())
    assert found == {loan: replayed.get(loan) for loan in found}
    assert set(found.values()) == {None, *DPD_BUCKETS}


def test_the_direction_follows_the_order_of_buckets(book: Book) -> None:
    seen = set()
    columns = ("on_book", "previous_dpd_bucket", "dpd_bucket", "roll_direction")
    for on_book, before, now, direction in rows_of(book).select(columns).iter_rows():
        step = DPD_BUCKETS.index(now) - DPD_BUCKETS.index(before or "0")
        expected = "worsening" if step > 0 else "improving" if step < 0 else "stable"
        assert direction == (expected if on_book else None)
        seen.add(direction)
    assert seen == {None, "worsening", "improving", "stable"}


@pytest.mark.parametrize("size", [700, 10_000])
def test_shards_and_their_row_order_do_not_matter(size: int) -> None:
    book = Book(support.sample_facts(), DAYS[0])
    split = Book(support.resharded(book.facts, size), DAYS[0])
    assert_frame_equal(
        rows_of(split).drop(drilldown.KEYS), rows_of(book).drop(drilldown.KEYS), check_exact=True
    )


P = (date(2026, 3, 1), date(2026, 3, 8), date(2026, 3, 15))


def lent(*payments: tuple[date, int, date | None]) -> Rows:
    """Worked case P: 900 in three installments of 300, with payments of (day, amount, reversed on)."""
    return {
        "loans": [
            {
                **{"loan_id": "P", "officer_id": "O", "loan_amount": 900, "status": "Active"},
                "disbursement_date": date(2026, 2, 1),
            }
        ],
        "loan_schedule": [
            {"loan_id": "P", "installment_number": number, "due_date": due, "principal_due": 300}
            for number, due in enumerate(P, 1)
        ],
        "repayments": [
            {
                **{"repayment_id": f"R{number}", "loan_id": "P", "payment_date": day},
                **{"payment_amount": amount, "principal_paid": amount},
                **{"is_reversed": undone is not None, "reversal_date": undone},
            }
            for number, (day, amount, undone) in enumerate(payments)
        ],
    }


LATE = [
    # Before it is due nothing is late; from then on every day is, until the first cash comes.
    ([], date(2026, 2, 20), 0),
    ([], date(2026, 3, 1), 0),
    ([], date(2026, 3, 16), 15),
    ([(date(2026, 2, 20), 10, None)], date(2026, 3, 16), 0),
    ([(date(2026, 3, 6), 10, None)], date(2026, 3, 16), 5),
    # A payment that was taken back on the 10th counts until the 9th.
    ([(date(2026, 3, 6), 10, date(2026, 3, 10))], date(2026, 3, 9), 5),
    ([(date(2026, 3, 6), 10, date(2026, 3, 10))], date(2026, 3, 10), 9),
]


@pytest.mark.parametrize(("payments", "day", "late"), LATE)
def test_days_late(payments: list[tuple[date, int, date | None]], day: date, late: int) -> None:
    book, _ = support.book_of(lent(*payments), day, Policy())
    assert rows_of(book)["days_late"].to_list() == [late]


def test_nothing_due_is_never_late() -> None:
    rows = lent()
    nothing = [{**due, "principal_due": 0} for due in rows["loan_schedule"]]
    loan = [{**rows["loans"][0], "loan_amount": 0, "maturity_date": P[-1]}]
    book, _ = support.book_of({"loans": loan, "loan_schedule": nothing}, date(2026, 3, 16), Policy())
    assert rows_of(book).select("first_payment_due_date", "days_late").rows() == [(None, None)]


def test_a_loan_off_the_book_has_no_direction_and_no_bucket_before() -> None:
    """Written off on the 10th: on the book a week before the 13th, off it a week before the 20th."""
    rows = lent()
    gone = {"status": "Written Off", "closed_date": date(2026, 3, 10)}
    loan = {**rows, "loans": [{**rows["loans"][0], **gone}]}
    columns = ("previous_dpd_bucket", "dpd_bucket", "roll_direction", "closed_as", "status")
    for day, before in ((date(2026, 3, 13), "1-6"), (date(2026, 3, 20), None)):
        book, _ = support.book_of(loan, day, Policy())
        [found] = rows_of(book).select(columns).rows()
        assert found == (before, "0", None, "written_off", "Written Off")


def test_a_loan_lent_this_week_is_held_against_a_current_one() -> None:
    rows = lent()
    book, _ = support.book_of(
        {**rows, "loans": [{**rows["loans"][0], "disbursement_date": date(2026, 2, 28)}]},
        date(2026, 3, 3),
        Policy(),
    )
    columns = ("previous_dpd_bucket", "dpd_bucket", "roll_direction")
    assert rows_of(book).select(columns).rows() == [(None, "1-6", "worsening")]
