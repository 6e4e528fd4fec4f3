"""History in one pass gives what looking at every day by itself gives, bit for bit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from loanmetrics.engine import run
from loanmetrics.engine.book import Book, Facts
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.history.sums import sums
from loanmetrics.engine.metric import Measure
from loanmetrics.policy import Policy
from tests import support
from tests.strategies import Case, cases

CATALOGUE = load()
SPAN = 60
EXTRA = Measure("over_45", "CASE WHEN dpd > 45 THEN 1 ELSE 0 END", "", unit="count")


def law(examples: int) -> Callable[[Any], Any]:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=quiet
    )


def looped(book: Book, catalogue: Catalogue) -> pl.DataFrame:
    """One day's sums by themselves; cells without any left out."""
    parts = run.each_shard(book, partial(run.shard_cells, catalogue=catalogue))
    table = run.add_up(catalogue, parts)
    return table.filter(pl.any_horizontal(pl.exclude("cell") != 0))


def days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(number) for number in range((last - first).days + 1))


def assert_history(
    facts: Facts, policy: Policy, first: date, last: date, catalogue: Catalogue = CATALOGUE
) -> None:
    table = sums(facts, policy, first, last, catalogue)
    loops = [
        looped(Book(facts, day, policy), catalogue).select(pl.lit(day).alias("calculation_date"), pl.all())
        for day in days(first, last)
    ]
    assert_frame_equal(table, pl.concat(loops), check_exact=True)


@law(25)
@given(cases(), st.integers(-20, SPAN + 10))
def test_history_is_the_loop(case: Case, ago: int) -> None:
    book, _ = support.book_of(case.rows, case.as_of, case.policy)
    first = case.as_of - timedelta(ago)
    assert_history(book.facts, case.policy, first, first + timedelta(SPAN - 1))
