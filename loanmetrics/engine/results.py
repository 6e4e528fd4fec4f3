"""The tables people read: one row per officer, branch, region or book, with names, figures, bands and rank."""

from datetime import date, timedelta

import polars as pl

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.run import evaluate, evaluated, group
from loanmetrics.policy import Policy
from loanmetrics.tables import UNKNOWN

RISK_PARTS, YIELD_PARTS = 6, 4


def officers(
    cell_table: pl.DataFrame, book: Book, catalogue: Catalogue, days: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per officer, the whole officer, with the home region and branch and the rank among all.

    Money is Int64 minor units, ratios Float64, scores Int32; null means no evidence. Cells of several ``days`` give
    all of this for each of them.
    """
    per = _names(days)
    figures = _evaluated(_every_officer(cell_table, book, catalogue, days), book, catalogue, days)
    home = book.facts.officers.select("officer_id", "officer_name", "region", "branch")
    named = figures.join(home, on="officer_id", how="left").with_columns(
        pl.col("region", "branch").fill_null(UNKNOWN)
    )
    places = rank(named, book.policy.min_rank_loans)
    ranked = named.with_columns(places.over(per) if per else places)
    front = [*per, "officer_id", "officer_name", "region", "branch"]
    return ranked.select(*front, pl.exclude(front)).sort(*per, "officer_id")


def branches(
    cell_table: pl.DataFrame,
    book: Book,
    catalogue: Catalogue,
    by: tuple[str, ...] = ("region", "branch"),
    days: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row per branch (or per region, or one for the book with ``by=()``), as sums of its cells.

    The book has a row on each of the ``days``, be it empty.
    """
    grouped = group(cell_table, [*_names(days), *by], catalogue)
    if days is not None and not by:
        grouped = _with_zeros(days, grouped, catalogue)
    return _evaluated(grouped, book, catalogue, days)


def whole(officer_rows: pl.DataFrame, policy: Policy, catalogue: Catalogue) -> pl.DataFrame:
    """The book from all its officers' rows, one row: what adds over cells adds over officers, heads included."""
    return evaluated(officer_rows.select(pl.col(*catalogue.measures).sum()), policy, catalogue)


def _evaluated(
    groups: pl.DataFrame, book: Book, catalogue: Catalogue, days: pl.DataFrame | None
) -> pl.DataFrame:
    """Every metric of the book's day; of several ``days``, each by the revisions in force on it."""
    if days is None or days.is_empty():
        return evaluate(groups, book, catalogue)
    day = days.to_series()
    every: list[date] = day.to_list()
    first, last = min(every), max(every)
    begins = [first, *book.policy.turns(first, last)]
    ends = [*(begin - timedelta(1) for begin in begins[1:]), last]
    parts = [
        evaluated(
            groups.filter(pl.col(day.name).is_between(begin, end)),
            book.policy,
            catalogue.on(book.policy, begin),
        )
        for begin, end in zip(begins, ends, strict=True)
    ]
    return pl.concat([part.select(parts[0].columns) for part in parts])


def _every_officer(
    cell_table: pl.DataFrame, book: Book, catalogue: Catalogue, days: pl.DataFrame | None
) -> pl.DataFrame:
    """Officers without a loan have a row too: counts 0, ratios null."""
    key = [*_names(days), "officer_id"]
    grouped = group(cell_table, key, catalogue)
    listed = book.facts.officers.select("officer_id")
    if days is not None:
        listed = days.join(listed, how="cross")
    every = pl.concat([grouped.select(key), listed.select(key)]).unique().sort(key)
    return _with_zeros(every, grouped, catalogue)


def _with_zeros(every: pl.DataFrame, grouped: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    found = every.join(grouped, on=every.columns, how="left", maintain_order="left")
    return found.with_columns(pl.col(*catalogue.measures).fill_null(0))


def _names(days: pl.DataFrame | None) -> tuple[str, ...]:
    return () if days is None else tuple(days.columns)


def rank(officer_rows: pl.DataFrame, min_loans: int) -> pl.Expr:
    """Dense rank of 0.6 rank(risk_score) + 0.4 rank(ayr), best first; few loans or no score: unranked.

    >>> rows = pl.DataFrame({"risk_score_norm": [0.95, 0.9, 0.8, 0.7], "ayr": [0.1, 0.3, 0.9, 0.5], "active_loans": 9})
    >>> rows.select(rank(rows, 5))["rank"].to_list()
    [1, 2, 1, 3]
    """
    eligible = pl.col("risk_score_norm").is_not_null() & (pl.col("active_loans") >= min_loans)
    risk = pl.when(eligible).then((pl.col("risk_score_norm") * 100).round(9))
    ayr = pl.when(eligible).then(pl.col("ayr").fill_null(float("inf")))
    places = [column.rank("min", descending=True).cast(pl.Int64) for column in (risk, ayr)]
    return (RISK_PARTS * places[0] + YIELD_PARTS * places[1]).rank("dense").cast(pl.Int32).alias("rank")
