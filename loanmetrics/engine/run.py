"""From loan state to figures: cells by shard, merged by adding; groups; formulas; bands; ranks."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

import polars as pl

from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.ledger import LARGEST_SUM
from loanmetrics.engine.metric import Measure, Metric
from loanmetrics.engine.state import Channels, State, channels, open_shard
from loanmetrics.errors import DataError
from loanmetrics.policy import Policy

PLACE = ("officer_id", "region", "branch")
GROUPS: dict[str, tuple[str, ...]] = {
    "officer": ("officer_id",),
    "branch": ("region", "branch"),
    "region": ("region",),
    "book": (),
}


Result = TypeVar("Result")
Visit = Callable[[State], Result]


def each_shard(
    book: Book, visit: "Visit[Result]", executor: Executor | None = None, reference: Channels | None = None
) -> list[Result]:
    """Stand in every shard at the end of the as-of day and take what ``visit`` makes of it.

    One task per shard; ``executor`` says where they run, one after the other by default. ``reference`` are the
    channels of the whole book, for one that holds only some of its loans.
    """
    used = channels(book) if reference is None else reference
    work = partial(visit_shard, book=book.of_one_shard(), reference=used, visit=visit)
    each = map if executor is None else executor.map
    return list(each(work, book.facts.shards))


def visit_shard(shard: Shard, book: Book, reference: Channels, visit: "Visit[Result]") -> Result:
    """Stand in one shard at the end of the book's day; ``reference`` are the channels of the whole book."""
    return visit(open_shard(shard, book, reference))


def cells(book: Book, catalogue: Catalogue | None = None, executor: Executor | None = None) -> pl.DataFrame:
    """Every measure of every (officer, region, branch) cell, in exact integers (money in minor units)."""
    known = catalogue or load(book.policy, book.as_of)
    return merge(book, known, each_shard(book, partial(shard_cells, catalogue=known), executor))


def shard_cells(state: State, catalogue: Catalogue) -> pl.DataFrame:
    """The measures of one shard, by cell."""
    return plan(state.frame().lazy(), catalogue).collect()


def plan(loans: pl.LazyFrame, catalogue: Catalogue) -> pl.LazyFrame:
    """The lazy plan from loan state to measures: every measure summed by cell."""
    return loans.group_by("cell").agg(_of_loans(measure) for measure in loan_measures(catalogue))


def explain(book: Book) -> str:
    """The lazy plan of ``plan`` as Polars optimises it, over the loan state of an empty shard."""
    state = open_shard(book.facts.shards[0], book, channels(book))
    return plan(state.frame().lazy(), load(book.policy, book.as_of)).explain()


def _of_loans(measure: Measure) -> pl.Expr:
    value = pl.sql_expr(measure.sql).cast(pl.Int64)
    return value.sum().alias(measure.name)


def loan_measures(catalogue: Catalogue) -> list[Measure]:
    """Measures that are summed over loans."""
    return [measure for measure in catalogue.measures.values() if measure.kind != "distinct_cell"]


def merge(book: Book, catalogue: Catalogue, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Add up the shards and make figures of the sums."""
    return figures(book, catalogue, add_up(catalogue, parts))


def add_up(catalogue: Catalogue, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Sums of several parts of a book, by cell; a part may be taken away by negating it."""
    names = [measure.name for measure in loan_measures(catalogue)]
    schema = pl.Schema({"cell": pl.Int64(), **dict.fromkeys(names, pl.Int64())})
    whole = pl.concat([pl.DataFrame(schema=schema), *(part.select(*schema).cast(schema) for part in parts)])
    _guard(whole.select(names))
    return whole.group_by("cell").agg(pl.col(names).sum()).sort("cell")


def _guard(sums: pl.DataFrame) -> None:
    """Refuse sums that could leave 64 bits, which would wrap without a sound."""
    for name, size in sums.select(pl.all().cast(pl.Float64).abs().sum()).row(0, named=True).items():
        if size > LARGEST_SUM:
            raise DataError(f"{name} of the whole book exceeds 64-bit sums", "see Policy.max_amount")


def figures(book: Book, catalogue: Catalogue, sums: pl.DataFrame) -> pl.DataFrame:
    """Name the cells of a whole book's sums, take in frozen PAR15, and set the flags of whole cells."""
    named = book.facts.cells.cast({"cell": pl.Int64}).join(sums, on="cell", how="left").drop("cell")
    named = named.fill_null(0) if len(named) else named
    if not book.frozen_par15.is_empty():
        named = with_frozen(named, book.frozen_par15, PLACE)
    return with_flags(named, catalogue).select(*PLACE, *catalogue.measures).sort(PLACE)


def with_flags(named: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """Set the flags of whole cells, from which officers are counted."""
    measures = catalogue.measures.values()
    distinct = [(pl.col(m.name) > 0).cast(pl.Int64) for m in measures if m.kind == "distinct"]
    flags = [pl.sql_expr(m.sql).cast(pl.Int64).alias(m.name) for m in measures if m.kind == "distinct_cell"]
    return named.with_columns(distinct).with_columns(flags)


def with_frozen(named: pl.DataFrame, frozen: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """A frozen PAR15 set is used whole: cells it does not name had none."""
    taken = frozen.group_by(by).agg(pl.col("exposure").sum().cast(pl.Int64).alias("par15_mid_month"))
    joined = named.drop("par15_mid_month").join(taken, on=by, how="full", coalesce=True)
    return joined.with_columns(pl.selectors.numeric().fill_null(0)).select(named.columns)


def total(measure: Measure) -> pl.Expr:
    """A measure of a group of rows, be they loans or cells: a sum, or how many officers carry the flag."""
    if measure.kind == "sum":
        return pl.col(measure.name).sum()
    return pl.col("officer_id").filter(pl.col(measure.name) > 0).n_unique().cast(pl.Int64).alias(measure.name)


def group(cell_table: pl.DataFrame, by: Sequence[str], catalogue: Catalogue) -> pl.DataFrame:
    """Sum cells into groups; officers are counted once however many of a group's cells they work in."""
    sums = [total(measure) for measure in catalogue.measures.values()]
    return cell_table.group_by(by).agg(sums).sort(by) if by else cell_table.select(sums)


def evaluate(groups: pl.DataFrame, book: Book, catalogue: Catalogue) -> pl.DataFrame:
    """Every metric and band of every group, under the book's policy."""
    return evaluated(groups, book.policy, catalogue)


def evaluated(groups: pl.DataFrame, policy: Policy, catalogue: Catalogue) -> pl.DataFrame:
    """Every metric and band of every group; measures stay exact beside them, and so does money made of them."""
    # Polars divides a row that stands alone, in its frame or its chunk, otherwise by a hair: so none does.
    sums = groups.select(*catalogue.measures)
    several = pl.concat([sums, pl.DataFrame([dict.fromkeys(sums.columns, 0)], sums.schema)], rechunk=True)
    scope = several.select(
        *(pl.col(name).cast(pl.Float64) for name in catalogue.measures),
        *(pl.lit(getattr(policy, name)).alias(f"policy_{name}") for name in _policy_names(catalogue)),
    )
    money = [metric for metric in catalogue.metrics.values() if metric.unit == "money"]
    exact = several.select(pl.sql_expr(metric.formula).cast(pl.Int64).alias(metric.name) for metric in money)
    for metric in catalogue.metrics.values():
        value = exact[metric.name].cast(pl.Float64) if metric in money else _value(metric)
        scope = scope.with_columns(value)
        if metric.rounded:
            scope = scope.with_columns(
                pl.col(metric.name).alias(f"{metric.name}_raw"), half_away(pl.col(metric.name))
            )
    bands = [banded(metric) for metric in catalogue.metrics.values() if metric.bands]
    made = scope.select(*(_typed(metric) for metric in catalogue.metrics.values()), *bands)
    return pl.concat([groups, made.with_columns(exact).head(len(groups))], how="horizontal")


def _policy_names(catalogue: Catalogue) -> list[str]:
    needs = {need for metric in catalogue.metrics.values() for need in metric.needs}
    return sorted(need.removeprefix("policy_") for need in needs if need.startswith("policy_"))


def _value(metric: Metric) -> pl.Expr:
    return pl.sql_expr(metric.formula).cast(pl.Float64).alias(metric.name)


def half_away(value: pl.Expr) -> pl.Expr:
    """A score to 9 decimals, then half away from zero to an integer: the one rounding there is."""
    near = value.round(9, mode="half_away_from_zero")
    return near.round(0, mode="half_away_from_zero")


def _typed(metric: Metric) -> pl.Expr:
    kinds = {"money": pl.Int64(), "count": pl.Int64(), "score": pl.Int32(), "flag": pl.Boolean()}
    return pl.col(metric.name).cast(kinds.get(metric.unit, pl.Float64()))


def banded(metric: Metric) -> pl.Expr:
    """The band of a metric's column; ``n/a`` where it is null."""
    bands, value = metric.bands, pl.col(metric.name)
    assert bands is not None
    chain: Any = pl.when(value.is_null()).then(pl.lit("n/a"))
    for name, limit in bands.limits:
        chain = chain.when(value <= limit if bands.comparison == "<=" else value >= limit).then(pl.lit(name))
    band: pl.Expr = chain.otherwise(pl.lit(bands.otherwise)).alias(metric.band_column)
    return band
