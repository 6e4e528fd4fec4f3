"""Formulas as expressions, for frames of one's own."""

import re

import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.metric import SQL_WORDS
from loanmetrics.engine.run import half_away, total
from loanmetrics.policy import Policy


def agg(names: tuple[str, ...], catalogue: Catalogue) -> list[pl.Expr]:
    """Sums of measure columns: every measure beneath ``names``, each officer counted once in distinct counts."""
    wanted = dict.fromkeys(measure for name in names for measure in catalogue.measures_of(name))
    return [total(catalogue.measures[name]) for name in wanted]


def expr(name: str, catalogue: Catalogue, policy: Policy) -> pl.Expr:
    """A metric as one expression over measure columns, named like the metric."""
    metric = catalogue.metric(name)
    if metric.unit == "money":
        return pl.sql_expr(metric.formula).cast(pl.Int64).alias(name)
    value = pl.sql_expr(expand(metric.formula, catalogue, policy)).cast(pl.Float64)
    return (half_away(value) if metric.rounded else value).alias(name)


def expand(formula: str, catalogue: Catalogue, policy: Policy) -> str:
    """A formula with every metric replaced by its own, down to measures and constants.

    >>> from loanmetrics.engine.catalogue import load
    >>> expand("porr", load(), Policy())
    '((CAST(overdue_15d_amount AS DOUBLE) / NULLIF(CAST(total_portfolio AS DOUBLE), 0)))'
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group()
        if name.startswith("policy_"):
            return str(getattr(policy, name.removeprefix("policy_"))).upper()
        if name in catalogue.measures:
            return f"CAST({name} AS DOUBLE)"
        base = catalogue.metrics.get(name.removesuffix("_raw"))
        return f"({expand(base.formula, catalogue, policy)})" if base else name

    return re.sub(
        r"[A-Za-z_][A-Za-z_0-9]*",
        lambda m: m.group() if m.group().upper() in SQL_WORDS else replace(m),
        formula,
    )
