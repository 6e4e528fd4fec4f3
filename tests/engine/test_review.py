"""Nobody is accused by chance: how often those who are like everybody stand high, and that those who are not do."""

from datetime import date
from decimal import Decimal
from math import comb

import msgspec
import numpy as np
import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.evidence import RARE, SUMS, floats, so_many
from loanmetrics.engine.review.hits import hits
from loanmetrics.engine.review.rule import chosen, rules
from loanmetrics.engine.review.tally import _bunched, _judged
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy
from tests import support

DICE = 11
DAY = date(2026, 6, 30)


def officers(found: list[np.ndarray]) -> pl.DataFrame:
    """Sums of officers, given each loan's (hits, opportunities)."""
    rows = []
    for loans in found:
        h, n = loans[:, 0], loans[:, 1]
        rows.append((h.sum(), n.sum(), (h * h).sum(), (h * n).sum(), (n * n).sum(), len(loans)))
    return pl.DataFrame(rows, schema=list(SUMS), orient="row").cast(pl.Int64)


def alike(dice: np.random.Generator, rate: float, loans: int) -> np.ndarray:
    count = dice.integers(1, 6, loans)
    return np.stack([dice.binomial(count, rate), count], axis=1)


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05, 0.4])
def test_those_who_are_like_the_book_hardly_ever_stand_high(rate: float) -> None:
    dice = np.random.default_rng(DICE)
    found = officers([alike(dice, rate, int(loans)) for loans in dice.integers(5, 200, 4_000)])
    stands = _judged(found, 5)["stands"]
    assert (stands == "high").sum() <= 3 * RARE * len(found)


def test_hits_that_come_in_bunches_by_loan_accuse_nobody() -> None:
    """Every tenth loan has nothing but hits: as payments, most officers would look odd."""
    dice = np.random.default_rng(DICE)
    found = []
    for _ in range(2_000):
        count = np.full(30, 12)
        found.append(np.stack([count * (dice.random(30) < 0.1), count], axis=1))
    sums = officers(found)
    assert _bunched(floats(sums.sum())) == pytest.approx(12, rel=0.05)
    assert (_judged(sums, 5)["stands"] == "high").sum() <= 3 * RARE * len(found)


def test_one_who_is_not_like_the_book_stands_high_and_few_loans_say_nothing() -> None:
    dice = np.random.default_rng(DICE)
    found = [alike(dice, 0.01, 100) for _ in range(60)]
    found += [alike(dice, 0.12, 100), np.array([[1, 1]] * 4)]
    table = _judged(officers(found), 5)
    assert table["stands"].to_list()[-2:] == ["high", "too few"]
    assert table["chance"].to_list()[-1] is None
    assert table["chance"][-2] < RARE
    assert (table["low"] <= table["rate"] + 1e-12).all() and (table["rate"] <= table["high"] + 1e-12).all()


def test_chance_is_the_binomial_tail() -> None:
    cases = ((1, 7, 0.01), (3, 40, 0.02), (40, 40, 0.5), (9, 300, 0.01), (2, 300, 0.01), (150, 300, 0.5))
    for hits_, count, rate in cases:
        exact = sum(comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in range(hits_, count + 1))
        assert so_many(hits_, count, rate) == pytest.approx(exact, rel=1e-9)


def test_chance_of_a_whole_book_is_told_too() -> None:
    """Thirty million payments: about half the time there are more than the mean, and hardly ever six sigma more."""
    count, rate = 30_000_000, 0.02
    assert so_many(600_000, count, rate) == pytest.approx(0.5, abs=0.001)
    assert so_many(600_000 + 6 * 767, count, rate) == pytest.approx(9.9e-10, rel=0.1)


def test_every_rule_says_what_it_is_and_unknown_ones_are_refused() -> None:
    for name, rule in rules().items():
        assert rule.name == name
        assert rule.title and rule.about.endswith((".", ")")) and rule.counted
    assert chosen("duplicate") == ("duplicate",)
    with pytest.raises(UsageError, match="unknown review rule: duplicat"):
        chosen("duplicat")


LOAN = {"loan_id": "L", "officer_id": "O", "loan_amount": Decimal(700), "disbursement_date": date(2026, 4, 1)}
DUES = [
    {"loan_id": "L", "installment_number": n, "due_date": date(2026, 4, 7 * n), "principal_due": Decimal(100)}
    for n in (1, 2, 3, 4)
] + [{"loan_id": "L", "installment_number": 5, "due_date": date(2026, 8, 1), "principal_due": Decimal(300)}]


def paid(number: int, day: date, amount: str, **more: object) -> dict[str, object]:
    return {
        "repayment_id": f"R{number}",
        "loan_id": "L",
        "payment_date": day,
        "payment_amount": Decimal(amount),
        **more,
    }


def sentences(*payments: dict[str, object], rule: str, policy: Policy = Policy()) -> list[str]:
    rows: support.Rows = {"loans": [LOAN], "loan_schedule": DUES, "repayments": list(payments)}
    book, _ = support.book_of(rows, DAY, policy)
    return hits(Book(book.facts, DAY, policy), (rule,))["seen"].to_list()


def test_a_little_that_completes_an_installment_is_a_token() -> None:
    """Of 400 due, 95 were paid; 5 more settle the first installment, and a week is gone from the days past due."""
    early = paid(1, date(2026, 4, 20), "95")
    told = sentences(early, paid(2, date(2026, 5, 29), "5"), rule="month_end_token")
    assert told == [
        "5.00 credited on 2026-05-29, 1.6 % of the 305.00 in arrears the day before, "
        "and days past due went from 51 to 45."
    ]
    assert sentences(early, paid(2, date(2026, 5, 28), "5"), rule="month_end_token") == []
    assert sentences(early, paid(2, date(2026, 5, 29), "105"), rule="month_end_token") == []
    loose = msgspec.structs.replace(Policy(), review_token_share=Decimal("0.5"))
    assert len(sentences(early, paid(2, date(2026, 5, 29), "105"), rule="month_end_token", policy=loose)) == 1


def test_the_others_say_what_they_saw() -> None:
    undone = {"is_reversed": True, "reversal_date": date(2026, 6, 2)}
    assert sentences(paid(1, date(2026, 5, 30), "50", **undone), rule="reversed_after_month_end") == [
        "Dated 2026-05-30, reversed on 2026-06-02, 2 days after the month had ended."
    ]
    twice = (paid(1, date(2026, 5, 30), "1250.5"), paid(2, date(2026, 5, 31), "1250.5"))
    assert sentences(*twice, rule="duplicate") == [
        "1250.50 on 2026-05-31, and the same amount on 2026-05-30 as R1."
    ]
    assert sentences(paid(1, date(2026, 5, 30), "50", is_backdated=True), rule="backdated") == [
        "Dated 2026-05-30 and marked as backdated; when it was recorded is not known."
    ]
