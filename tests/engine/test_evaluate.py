"""What a group's figures are does not depend on who stands beside it."""

from datetime import timedelta

import polars as pl
from polars.testing import assert_frame_equal

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from tests import support

CATALOGUE = load()


def test_a_group_alone_has_the_figures_it_has_among_others() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    cells = [run.cells(Book(book.facts, book.as_of - timedelta(ago)), CATALOGUE) for ago in range(0, 180, 60)]
    groups = pl.concat(run.group(table, ("branch",), CATALOGUE) for table in cells)
    among_others = run.evaluate(groups, book, CATALOGUE)
    alone = pl.concat(run.evaluate(group, book, CATALOGUE) for group in groups.iter_slices(1))
    assert_frame_equal(alone, among_others, check_exact=True)
