from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.engine import loans, results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from tests import support

CATALOGUE = load()


def _cells(book: Book) -> pl.DataFrame:
    return run.cells(book, CATALOGUE)


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(support.sample_facts(), support.SAMPLE_DAY)


@pytest.mark.parametrize("size", [700, 2500, 10_000])
def test_shard_size_does_not_matter(book: Book, size: int) -> None:
    split = replace(book, facts=support.resharded(book.facts, size))
    assert_frame_equal(_cells(split), _cells(book))
    assert_frame_equal(loans.states(split), loans.states(book))


@pytest.mark.parametrize("seed", [1, 2])
def test_row_order_does_not_matter(book: Book, seed: int) -> None:
    stirred = replace(book, facts=support.shuffled(support.resharded(book.facts, 3000), seed))
    assert_frame_equal(_cells(stirred), _cells(book))
    assert_frame_equal(loans.states(stirred), loans.states(book))


def test_threads_do_not_matter(book: Book) -> None:
    split = replace(book, facts=support.resharded(book.facts, 1500))
    with ThreadPoolExecutor(2) as pool:
        assert_frame_equal(run.cells(split, CATALOGUE, pool), _cells(book))


def test_raw_row_order_does_not_matter(book: Book) -> None:
    tables = {
        path.stem: pl.read_parquet(path)
        for path in support.SAMPLE.glob("*.parquet")
        if path.stem != "customers"
    }
    stirred = {name: frame.sample(fraction=1.0, shuffle=True, seed=5) for name, frame in tables.items()}
    again, _ = support.prepared(stirred, book.policy)
    assert_frame_equal(_cells(replace(book, facts=again)), _cells(book))


@pytest.mark.parametrize("by", [("officer_id",), ("region", "branch"), ("region",), ()])
def test_any_grouping_ties_out_to_the_book(book: Book, by: tuple[str, ...]) -> None:
    cells = _cells(book)
    grouped = run.group(cells, by, CATALOGUE)
    whole = run.group(cells, (), CATALOGUE)
    sums = [measure.name for measure in CATALOGUE.measures.values() if measure.kind == "sum"]
    assert_frame_equal(grouped.select(pl.col(*sums).sum()), whole.select(sums))


@pytest.mark.parametrize("metric", list(CATALOGUE.metrics))
def test_contributions_sum_exactly_to_the_figure(book: Book, metric: str) -> None:
    names = list(CATALOGUE.measures_of(metric))
    behind = loans.contributions(book, metric, CATALOGUE)
    for by in (["officer_id"], ["region", "branch"]):
        added = behind.group_by(by).agg(run.total(CATALOGUE.measures[name]) for name in names).sort(by)
        stored = run.group(_cells(book), by, CATALOGUE).select(*by, *names)
        assert_frame_equal(added, stored.filter(pl.any_horizontal(pl.col(name) != 0 for name in names)))


def test_every_officer_has_a_row_even_without_loans(book: Book) -> None:
    rows = results.officers(_cells(book), book, CATALOGUE)
    assert set(book.facts.officers["officer_id"]) == set(rows["officer_id"])
    idle = rows.filter(pl.col("total_disbursed_count") == 0)
    assert len(idle) > 0 and idle["fimr"].null_count() == len(idle) and idle["active_loans"].sum() == 0


def test_no_figure_is_infinite_or_nan(book: Book) -> None:
    for day in (date(2025, 1, 1), date(2025, 8, 15), support.SAMPLE_DAY, date(2030, 1, 1), date(1970, 1, 1)):
        dated = replace(book, as_of=day)
        for table in (
            results.officers(_cells(dated), dated, CATALOGUE),
            results.branches(_cells(dated), dated, CATALOGUE),
        ):
            floats = table.select(pl.selectors.float())
            assert floats.select(pl.all().is_finite().all()).row(0) == (True,) * floats.width or not len(
                table
            )
            scores = table["risk_score"].drop_nulls()
            assert scores.is_between(0, 100).all()
