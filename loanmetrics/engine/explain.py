"""Why a score is what it is: the points each term costs."""

import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.errors import UsageError


def points(rows: pl.DataFrame, score: str, catalogue: Catalogue) -> pl.DataFrame:
    """Points lost per term, one column each, for rows that hold the measures and metrics of the day.

    100 less their sum is the unrounded score.
    """
    terms = catalogue.metric(score).terms
    if not terms:
        raise UsageError(f"{score} has no terms to explain", "risk_score has")
    floats = rows.select(pl.col(name).cast(pl.Float64) for name in (*catalogue.measures, *catalogue.metrics))
    return floats.select(pl.sql_expr(term.points).cast(pl.Float64).alias(term.name) for term in terms)


def costliest(rows: pl.DataFrame, score: str, catalogue: Catalogue, count: int = 2) -> pl.Series:
    """The terms that cost each row most, as text: ``porr -12.4, fimr -9.0``; empty where nothing costs a tenth."""
    return pl.Series(
        "why",
        [_said(row, count) for row in points(rows, score, catalogue).iter_rows(named=True)],
        dtype=pl.String,
    )


def _said(lost: dict[str, float], count: int) -> str:
    worst = sorted(lost.items(), key=lambda term: -term[1])[:count]
    return ", ".join(f"{name} -{value:.1f}" for name, value in worst if value >= 0.05)
