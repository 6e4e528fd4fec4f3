"""Figures of the sample, kept as text: LOANMETRICS_GOLDEN=write pytest tests/test_golden.py writes them anew."""

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import states
from tests import support

GOLDEN = Path(__file__).parent / "golden"
DAYS = (date(2025, 12, 31), support.SAMPLE_DAY)


def _text(table: pl.DataFrame) -> str:
    return table.write_csv(float_precision=None, null_value="")


def _tables(day: date) -> dict[str, pl.DataFrame]:
    book, catalogue = Book(support.sample_facts(), day), load()
    cells = run.cells(book, catalogue)
    worst = states(book).sort(
        "loan_risk_score", "total_outstanding", "loan_id", descending=[True, True, False], nulls_last=True
    )
    return {
        "officers": results.officers(cells, book, catalogue),
        "branches": results.branches(cells, book, catalogue),
        "loans": worst.head(50),
    }


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_the_sample_gives_the_figures_on_file(day: date) -> None:
    for name, table in _tables(day).items():
        path = GOLDEN / f"{name}-{day}.csv"
        if os.environ.get("LOANMETRICS_GOLDEN") == "write":
            path.write_text(_text(table))
        assert path.read_text() == _text(table), path.name
