"""Between any two days of any lender, what became of the loans sums exactly to the change, and nothing else moves.

LOANMETRICS_STATES=200 pytest tests/laws/test_rollforward.py looks at that many runs of states, other ones each time.
"""

import secrets
from dataclasses import replace
from datetime import timedelta

import polars as pl

from loanmetrics.engine.diff.figures import figures
from loanmetrics.engine.rollforward import CAME_TO_COUNT, CEASED_TO_COUNT, DISBURSED, PAID, rollforward
from tests.laws.changes import Two, fixed
from tests.laws.test_diff import MORE, Afresh, assert_sums_to_changes, book_of, numbers, of_day

SPANS = (1, 7, 30, 92)


def earlier(two: Two, place: int) -> Two:
    """The first state on a day before that of the second."""
    day = two.after.as_of - timedelta(SPANS[place % len(SPANS)])
    return two if two.before.as_of < two.after.as_of else Two(replace(two.before, as_of=day), two.after)


def test_moves_sum_exactly_to_every_change() -> None:
    seeds = range(secrets.randbelow(2**30), 2**31)[:MORE] if MORE else range(2)
    seen: set[str] = set()
    for place, given in enumerate(fixed(seeds)):
        two = earlier(given, place)
        before, after = book_of(two.before), book_of(two.after)
        made = rollforward(before, after)
        seen |= set(made.effects["cause"])
        by = ("officer", "branch", "region", "book")[place % 4]
        names = numbers(of_day(after))
        told = figures(made, by, names)
        sides = [Afresh(book, of_day(book)).figures(by, names) for book in (before, after)]
        assert_sums_to_changes(told, *(rows.filter(pl.col("figure").is_in(names)) for rows in sides))
        some = figures(made, "officer", names, {"officer_id": "A"})
        alone = figures(rollforward(before, after, ["A"]), "officer", names, {"officer_id": "A"})
        assert alone.equals(some)
    # Every kind there is, alone, is in the worked cases of tests/engine.
    assert {DISBURSED, PAID, CAME_TO_COUNT, CEASED_TO_COUNT} <= seen
