"""What other conventions would say: who changes band, on one day or on every day of a stretch. Nothing is published."""

from datetime import date
from typing import Final

import polars as pl

from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.history import by_day
from loanmetrics.engine.history.sums import sums
from loanmetrics.errors import UsageError, unknown
from loanmetrics.policy import Policy

SCHEMA: Final = pl.Schema(
    {
        by_day.DAY: pl.Date(),
        "officer_id": pl.String(),
        "officer_name": pl.String(),
        "branch": pl.String(),
        "metric": pl.String(),
        "before": pl.Float64(),
        "band_before": pl.String(),
        "after": pl.Float64(),
        "band_after": pl.String(),
    }
)
# They decided which rows are used, when the facts were read.
OF_THE_FACTS: Final = ("max_amount", "time_zone")


def whatif(
    book: Book, policy: Policy, metrics: tuple[str, ...] = (), first: date | None = None
) -> pl.DataFrame:
    """Officers whose band would be another one under ``policy``, by day, metric and officer.

    ``before`` and ``after`` are the values under the book's own policy and under the other. Rows that were held back
    when the facts were read stay held back, so policies that differ in what is held back are refused.
    """
    names = _banded(load(), metrics)
    for name in OF_THE_FACTS:
        if getattr(book.policy, name) != getattr(policy, name):
            raise UsageError(f"{name} decides which rows are used: load them under the other policy")
    books = [Book(book.facts, book.as_of, it) for it in (book.policy, policy)]
    catalogues = (load(each.policy, each.as_of) for each in books)
    who = [by_day.DAY, "officer_id", "officer_name", "branch"]
    then, now = (
        by_metric(_officers(each, catalogue, first), who, names, catalogue)
        for each, catalogue in zip(books, catalogues, strict=True)
    )
    key = [by_day.DAY, "officer_id", "metric"]
    both = then.rename({"value": "before", "band": "band_before"}).join(
        now.select(*key, pl.col("value").alias("after"), pl.col("band").alias("band_after")), on=key
    )
    order = pl.col("metric").cast(pl.Enum(names))
    changed = both.filter(pl.col("band_before") != pl.col("band_after"))
    return changed.sort(by_day.DAY, order, "officer_id").select(SCHEMA.names())


def _banded(catalogue: Catalogue, asked: tuple[str, ...]) -> list[str]:
    banded = [metric.name for metric in catalogue.metrics.values() if metric.bands]
    for name in asked:
        if name not in banded:
            raise unknown("metric with bands", name, banded)
    return [name for name in banded if not asked or name in asked]


def _officers(book: Book, catalogue: Catalogue, first: date | None) -> pl.DataFrame:
    if first is None:
        rows = results.officers(run.cells(book, catalogue), book, catalogue)
        return rows.with_columns(pl.lit(book.as_of).alias(by_day.DAY))
    if first > book.as_of:
        raise UsageError(f"{first} is after {book.as_of}", "the first day comes first")
    totals = sums(book.facts, book.policy, first, book.as_of, catalogue)
    cells = by_day.cells(book.facts, totals, first, book.as_of, catalogue)
    return results.officers(cells, book, catalogue, by_day.calendar(first, book.as_of))


def by_metric(rows: pl.DataFrame, who: list[str], names: list[str], catalogue: Catalogue) -> pl.DataFrame:
    """A row for each metric of each of the rows, which ``who`` tells apart: its value, and its band if it has any."""
    parts = [
        rows.select(
            *who,
            pl.lit(name).alias("metric"),
            pl.col(name).cast(pl.Float64).alias("value"),
            _band(name, catalogue).alias("band"),
        )
        for name in names
    ]
    return pl.concat(parts)


def _band(name: str, catalogue: Catalogue) -> pl.Expr:
    metric = catalogue.metrics[name]
    return pl.col(metric.band_column) if metric.bands else pl.lit(None, pl.String)
