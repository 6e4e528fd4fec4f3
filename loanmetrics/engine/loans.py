"""Loans behind a figure: what each one adds, and its published state."""

from concurrent.futures import Executor
from functools import partial

import polars as pl

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.loan_state import loan_state
from loanmetrics.engine.metric import Measure
from loanmetrics.engine.run import PLACE, each_shard
from loanmetrics.engine.state import Channels, State
from loanmetrics.tables import LOAN_STATE


def contributions(
    book: Book,
    name: str,
    catalogue: Catalogue,
    executor: Executor | None = None,
    reference: Channels | None = None,
) -> pl.DataFrame:
    """Every loan that adds to a metric or measure, with what it adds to each measure beneath it.

    The columns of any group's loans sum exactly to that group's measures. Distinct counts are flags: 1 on each loan
    whose (officer, region, branch) cell makes its officer count. Where PAR15 was frozen, its rows stand without a
    loan_id.
    """
    names = catalogue.measures_of(name)
    rows = frame(book, catalogue, executor, reference).select("loan_id", *PLACE, *names)
    return rows.filter(pl.any_horizontal(pl.col(each) != 0 for each in names))


def frame(
    book: Book,
    catalogue: Catalogue,
    executor: Executor | None = None,
    reference: Channels | None = None,
) -> pl.DataFrame:
    """One row per loan with what it adds to every measure; ``reference`` as in ``each_shard``."""
    loan_level = [measure for measure in catalogue.measures.values() if measure.kind != "distinct_cell"]
    parts = each_shard(book, partial(_added, measures=loan_level), executor, reference)
    shards = zip(parts, book.facts.shards, strict=True)
    rows = pl.concat([_identified(part, shard.in_order().loans, book) for part, shard in shards])
    if not book.frozen_par15.is_empty():
        rows = _with_frozen(rows, book)
    return _flagged(rows, catalogue, loan_level)


def _added(state: State, measures: list[Measure]) -> pl.DataFrame:
    values = [pl.sql_expr(measure.sql).cast(pl.Int64).alias(measure.name) for measure in measures]
    return state.frame().select("cell", *values)


def _flagged(rows: pl.DataFrame, catalogue: Catalogue, loan_level: list[Measure]) -> pl.DataFrame:
    """Flags of whole cells, laid on each of the cell's loans."""
    flags = [measure for measure in catalogue.measures.values() if measure.kind == "distinct_cell"]
    totals = rows.group_by(PLACE).agg(pl.col(measure.name).sum() for measure in loan_level)
    marked = totals.select(*PLACE, *(pl.sql_expr(flag.sql).cast(pl.Int64).alias(flag.name) for flag in flags))
    return rows.join(marked, on=PLACE, how="left", maintain_order="left")


def _identified(part: pl.DataFrame, loans: pl.LazyFrame, book: Book) -> pl.DataFrame:
    named = pl.concat([loans.select("loan_id").collect(), part], how="horizontal")
    placed = named.join(
        book.facts.cells.cast({"cell": pl.Int64}), on="cell", how="left", maintain_order="left"
    )
    return placed.select("loan_id", *PLACE, pl.exclude("loan_id", "cell", *PLACE))


def _with_frozen(rows: pl.DataFrame, book: Book) -> pl.DataFrame:
    frozen = book.frozen_par15.select(*PLACE, par15_mid_month=pl.col("exposure").cast(pl.Int64))
    live = rows.with_columns(par15_mid_month=pl.lit(0, pl.Int64))
    padded = pl.concat([live, frozen], how="diagonal")
    return padded.with_columns(pl.selectors.numeric().fill_null(0))


def states(book: Book, executor: Executor | None = None) -> pl.DataFrame:
    """Every loan disbursed by the as-of day: identity, officer, branch and the columns of ``loan_state``.

    Adds ``loan_risk_score`` (0 to 100, higher is riskier, null off the book).
    """
    shards = zip(each_shard(book, loan_state, executor), book.facts.shards, strict=True)
    parts = [named_states(part, shard.in_order().loans, book.facts.cells) for part, shard in shards]
    return with_risk(pl.concat(parts)) if parts else pl.DataFrame()


def named_states(part: pl.DataFrame, loans: pl.LazyFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Give one shard's loan states their ids, officers and branches; ``cells`` name these two."""
    identity = loans.select("loan_id", "cell", disbursement_date=pl.col("disbursed").cast(pl.Date)).collect()
    return (
        pl.concat([identity[part["local"]], part.drop("local")], how="horizontal")
        .join(cells, on="cell", how="left", maintain_order="left")
        .select("loan_id", *PLACE, "disbursement_date", *LOAN_STATE.names[2:])
    )


def with_risk(loans: pl.DataFrame) -> pl.DataFrame:
    """Add ``loan_risk_score`` to loans of which each officer's are all here."""
    largest = pl.col("total_outstanding").filter(pl.col("on_book")).max().over("officer_id")
    return loans.with_columns(loan_risk_score=risk_score(pl.col("total_outstanding"), largest))


def risk_score(outstanding: pl.Expr, largest: pl.Expr) -> pl.Expr:
    """Days past due, size beside the officer's ``largest``, first miss, worst days past due; null off the book."""
    score = (
        50 * pl.min_horizontal("current_dpd", 90) / 90
        + 25 * outstanding / largest
        + 15 * pl.col("fimr_tagged").cast(pl.Int64)
        + 10 * pl.min_horizontal("max_dpd_ever", 90) / 90
    )
    return pl.when("on_book").then(score)
