"""One loan's account: installments settled first in, first out, payments with what of them counts."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.loans import states
from loanmetrics.engine.statement import statement
from loanmetrics.errors import NotFoundError
from loanmetrics.policy import Policy
from tests import support
from tests.engine.test_diff import day, paid, with_payment

DAY = day(16)


def account(*payments: dict[str, Any], on: date = DAY, policy: Policy | None = None) -> Any:
    book, _ = support.book_of(with_payment(*payments), on, policy or Policy())
    return statement(book, "L2")


def settled(*payments: dict[str, Any], **more: Any) -> list[tuple[date | None, int]]:
    return list(account(*payments, **more).installments.select("settled_on", "days_late").iter_rows())


def test_an_installment_is_settled_when_everything_up_to_it_is() -> None:
    assert settled(paid("R2", "L2", day(3), 300), paid("R3", "L2", day(15), 400)) == [
        (day(3), 2),
        (day(15), 7),
        (None, 1),
    ]


def test_paying_ahead() -> None:
    assert settled(paid("R2", "L2", day(1), 650), on=day(2)) == [(day(1), 0), (day(1), 0), (None, 0)]


def test_a_reversal_unsettles_and_a_later_payment_settles_again() -> None:
    undone = {**paid("R2", "L2", day(1), 300), "is_reversed": True, "reversal_date": day(10)}
    assert settled(undone, on=day(9))[0] == (day(1), 0)
    assert settled(undone)[0] == (None, 15)
    assert settled(undone, paid("R3", "L2", day(12), 300))[0] == (day(12), 11)


def test_tolerance() -> None:
    payment = paid("R2", "L2", day(1), 299)
    assert settled(payment)[0] == (None, 15)
    assert settled(payment, policy=Policy(arrears_tolerance=Decimal(1)))[0] == (day(1), 0)


def test_payments_and_what_counts_of_them() -> None:
    undone = {**paid("R3", "L2", day(2), 50), "is_reversed": True, "reversal_date": day(10)}
    made = account(paid("R2", "L2", day(1), 100), undone, paid("R4", "L2", day(17), 10))
    told = made.payments.select(
        "repayment_id", "payment_date", "amount", "counts", "credited", "reversal_date"
    )
    assert told.rows() == [
        ("R2", day(1), 10_000, True, 10_000, None),
        ("R3", day(2), 5_000, False, 0, day(10)),
    ]
    assert made.loan["total_outstanding"] == 80_000


def test_every_loan_of_the_sample_ties_to_its_state() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    stood = states(book)
    for row in stood.sample(60, seed=7).iter_rows(named=True):
        made = statement(book, row["loan_id"])
        assert {name: row[name] for name in made.loan if name in row} == {
            name: made.loan[name] for name in made.loan if name in row
        }
        due, paid_in = int(made.installments["amount"].sum()), int(made.payments["credited"].sum())
        assert max(0, due - paid_in) == row["total_outstanding"]
        if row["current_dpd"]:
            oldest = min(made.installments.filter(~pl.col("settled"))["due_date"].to_list())
            assert (support.SAMPLE_DAY - oldest).days == row["current_dpd"]


def test_a_loan_that_is_not_there() -> None:
    with pytest.raises(NotFoundError, match="no loan L9"):
        statement(Book(support.sample_facts(), support.SAMPLE_DAY), "L9")
    book, _ = support.book_of(with_payment(), date(2026, 1, 1), Policy())
    with pytest.raises(NotFoundError, match="not disbursed by 2026-01-01"):
        statement(book, "L2")
