"""A notebook's book read from PostgreSQL."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import loanmetrics as lm
from loanmetrics.errors import StoreError
from loanmetrics.notebook import By
from tests.jobs.stored import told
from tests.support import SAMPLE_DAY


@pytest.mark.parametrize("by", ["officer", "branch"])
def test_it_is_the_book_of_the_files(published_sample: str, by: By) -> None:
    found, expected = (
        lm.compute(book, by=by).collect()
        for book in (lm.Book.scan(published_sample, as_of=SAMPLE_DAY), lm.Book.sample())
    )
    assert_frame_equal(found, expected, check_exact=True)


def test_it_outlives_the_reading(small: str) -> None:
    book = lm.Book.scan(small, as_of=SAMPLE_DAY)
    assert lm.sql(book, "FROM loans")["loan_id"].to_list() == ["L1", "L2", "L3", "L4", "L5"]
    assert (
        lm.loans(book, "total_portfolio").select(pl.col("total_portfolio").sum()).collect().item() == 310_000
    )


def test_an_empty_database_says_to_migrate(empty_database: str) -> None:
    with pytest.raises(StoreError, match=r"the database has no table .* \(run: loanmetrics migrate\)"):
        lm.Book.scan(empty_database, as_of=SAMPLE_DAY)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("DROP TABLE par15_snapshots", 'relation "par15_snapshots" does not exist'),
        ("ALTER TABLE officers DROP COLUMN primary_channel", 'column "primary_channel" does not exist'),
    ],
)
def test_a_database_that_is_not_up_to_date_says_so(small: str, gone: str, said: str) -> None:
    told(small, gone)
    with pytest.raises(StoreError, match=f"^the database cannot be read: {said}"):
        lm.Book.scan(small, as_of=SAMPLE_DAY)
