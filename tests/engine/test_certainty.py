"""Intervals hold what they promise, counted; values of few loans are drawn to the book's, those of many stay."""

from math import comb

import numpy as np
import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.certainty import SCHEMA, certainty
from loanmetrics.engine.evidence import RARE, error, measures, shrunk, wilson, yes_or_no
from loanmetrics.engine.loans import frame
from loanmetrics.engine.mix import ratio_of
from loanmetrics.engine.run import GROUPS
from loanmetrics.errors import UsageError
from tests import support

CATALOGUE = load()
RATIOS = [
    name
    for name, metric in CATALOGUE.metrics.items()
    if (both := ratio_of(metric, CATALOGUE)) and all(CATALOGUE.measures[it].kind == "sum" for it in both)
]
DICE = 7


@pytest.fixture(scope="module")
def sample() -> Book:
    return Book(support.sample_facts(), support.SAMPLE_DAY)


def test_wilsons_interval_covers_the_truth_as_often_as_it_says() -> None:
    dice = np.random.default_rng(DICE)
    for truth, count in ((0.03, 200), (0.2, 40), (0.5, 12)):
        share = dice.binomial(count, truth, 20_000) / count
        low, high = wilson(share, np.full(20_000, float(count)))
        assert 0.92 < ((low <= truth) & (truth <= high)).mean() < 0.975


def test_the_interval_of_balances_covers_the_truth_as_often_as_it_says() -> None:
    """Loans of very different sizes, a tenth of them late, with what they owe."""
    dice, covered = np.random.default_rng(DICE), []
    for _ in range(2_000):
        owed = dice.lognormal(0, 0.6, 150)
        late = owed * (dice.random(150) < 0.1)
        sums = {
            "above_above": np.array([(late * late).sum()]),
            "above_below": np.array([(late * owed).sum()]),
            "below_below": np.array([(owed * owed).sum()]),
            "below": np.array([owed.sum()]),
        }
        ratio = np.array([late.sum() / owed.sum()])
        covered.append(abs(ratio[0] - 0.1) <= 1.96 * error(ratio, sums)[0])
    assert 0.91 < np.mean(covered) < 0.97


def test_few_loans_are_drawn_to_the_book_and_many_stay() -> None:
    value, spread = np.array([0.4, 0.4, 0.1, 0.1, 0.12, 0.08]), np.array([0.3, 0.01, 0.01, 0.01, 0.01, 0.01])
    drawn = shrunk(value, spread, 0.1)
    assert abs(drawn[0] - 0.1) < abs(drawn[1] - 0.1) * 0.5
    assert drawn[1] == pytest.approx(0.4, abs=0.01)
    alike = np.full(5, 0.2)
    assert shrunk(alike, np.full(5, 0.05), 0.2).tolist() == alike.tolist()


@pytest.mark.parametrize("metric", RATIOS)
def test_every_ratio_of_the_sample(sample: Book, metric: str) -> None:
    table = certainty(sample, metric)
    assert table.schema == {"officer_id": pl.String, **SCHEMA}
    both = ratio_of(CATALOGUE.metric(metric), CATALOGUE)
    assert both is not None
    above, below = both
    loans = frame(sample, CATALOGUE).filter((pl.col(above) != 0) | (pl.col(below) != 0))
    sums = loans.group_by("officer_id").agg(pl.col(above, below).sum(), pl.len().alias("n"))
    known = {row[0]: row[1:] for row in sums.filter(pl.col(below) > 0).rows()}
    whole = [float(loans[name].sum()) for name in (above, below)]
    book, flags = whole[0] / whole[1], yes_or_no(measures(CATALOGUE, metric))
    assert set(table["officer_id"]) == set(known)
    for row in table.iter_rows(named=True):
        top, bottom, count = known[row["officer_id"]]
        assert row["value"] == pytest.approx(top / bottom)
        assert row["loans"] == count
        if row["low"] is not None:
            assert row["low"] <= row["value"] + 1e-12
            assert row["value"] <= row["high"] + 1e-12
        few = count < max(sample.policy.min_rank_loans, 2)
        assert (row["stands"] == "too few") == few
        if not few:
            beyond = row["value"] > row["funnel_high"] * (1 + 1e-9)
            rare = not flags or tail(top, count, book * bottom / count) <= RARE
            assert (row["stands"] == "high") == (beyond and rare)


def tail(hits: int, count: int, rate: float) -> float:
    """How likely so many or more of ``count`` are."""
    return sum(comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in range(hits, count + 1))


def test_by_branch_and_of_the_whole_book(sample: Book) -> None:
    by_branch = certainty(sample, "fimr", GROUPS["branch"])
    assert by_branch.columns[:2] == ["region", "branch"]
    whole = certainty(sample, "fimr", GROUPS["book"])
    assert len(whole) == 1
    assert whole["stands"][0] == "inside"


def test_what_has_no_interval(sample: Book) -> None:
    with pytest.raises(UsageError, match="risk_score is no ratio of two sums over loans"):
        certainty(sample, "risk_score")
    with pytest.raises(UsageError, match="unknown metric: fmir"):
        certainty(sample, "fmir")
