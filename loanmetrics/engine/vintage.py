"""Vintages: of the loans disbursed in one month, the share that was ever more than so many days past due, by age."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

import polars as pl

from loanmetrics.engine.book import Book
from loanmetrics.engine.roll import NO_CHANNELS
from loanmetrics.engine.run import GROUPS, PLACE, each_shard
from loanmetrics.engine.state import State
from loanmetrics.errors import UsageError

VINTAGE, AGE = "vintage", "months_on_book"
EVER = ("ever_loans", "ever_amount")
SCHEMA: Final = pl.Schema(
    {
        VINTAGE: pl.Date(),
        AGE: pl.Int32(),
        "loans": pl.Int64(),
        "amount": pl.Int64(),
        "ever_loans": pl.Int64(),
        "ever_amount": pl.Int64(),
        "ever_loans_share": pl.Float64(),
        "ever_amount_share": pl.Float64(),
    }
)
LONGEST = 120


def vintages(
    book: Book, dpd: int = 30, by: Sequence[str] = GROUPS["book"], executor: Executor | None = None
) -> pl.DataFrame:
    """One row per group, month of disbursement and age in months, from 0 to what the oldest vintage has reached.

    ``loans`` and ``amount`` disbursed (minor units) and, of these, those that were more than ``dpd`` days past due on
    some day up to that age; cured loans stay in. Null where a loan of the month has not reached the age by the as-of
    day: such a figure could only grow. A loan is m months old on the same day of the month m months after its
    disbursement, or on the month's last day.
    """
    if dpd < 0:
        raise UsageError(f"{dpd} days past due cannot be exceeded by a loan that is current", "dpd=30")
    parts = each_shard(book, partial(_loans, dpd=dpd), executor, NO_CHANNELS)
    cells = book.facts.cells.cast({"cell": pl.Int64}).select("cell", *PLACE)
    named = pl.concat(parts).join(cells, on="cell", how="left")
    key = [*by, VINTAGE]
    sizes = named.group_by(key).agg(pl.len().cast(pl.Int64).alias("loans"), pl.col("amount").sum())
    reached = (
        named.filter(pl.col(AGE).is_not_null())
        .group_by(*key, AGE)
        .agg(pl.len().cast(pl.Int64).alias("ever_loans"), pl.col("amount").sum().alias("ever_amount"))
    )
    ages = pl.DataFrame({AGE: range(_oldest(sizes, book) + 1)}, {AGE: pl.Int32()})
    table = sizes.join(ages, how="cross").join(reached, on=[*key, AGE], how="left").sort(*key, AGE)
    grown = table.with_columns(pl.col(name).fill_null(0).cum_sum().over(key) for name in EVER)
    known = grown.with_columns(
        pl.when(_last_day(pl.col(AGE)) <= book.as_of).then(name).alias(name) for name in EVER
    )
    shares = [
        pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole)).alias(f"{part}_share")
        for part, whole in zip(EVER, ("loans", "amount"), strict=True)
    ]
    return known.with_columns(shares).select(*by, *(pl.col(name).cast(kind) for name, kind in SCHEMA.items()))


def _last_day(age: pl.Expr) -> pl.Expr:
    """The day on which a vintage's last loan is so many months old."""
    return pl.col(VINTAGE).dt.month_end().dt.offset_by(pl.format("{}mo", age))


def _oldest(sizes: pl.DataFrame, book: Book) -> int:
    """Months that the first vintage has on book."""
    if sizes.is_empty():
        return 0
    first = sizes[VINTAGE].min()
    ages = pl.DataFrame({VINTAGE: [first] * (LONGEST + 1), AGE: range(LONGEST + 1)})
    return int(ages.filter(_last_day(pl.col(AGE)) <= book.as_of)[AGE].max() or 0)  # type: ignore[arg-type]


def _loans(state: State, dpd: int) -> pl.DataFrame:
    """Every loan of a shard disbursed by the as-of day, with its age when it first was that late; null: never."""
    loans = state.ledger.loans
    when = state.timeline.first_later(dpd)
    frame = pl.DataFrame(
        {"cell": loans.cell, "disbursed": loans.disbursed, "amount": loans.amount, "when": when}
    )
    days = frame.filter(pl.col("disbursed") <= state.book.day).with_columns(
        pl.col("disbursed").cast(pl.Int32).cast(pl.Date),
        pl.when(pl.col("when") <= state.book.day).then(pl.col("when").cast(pl.Int32).cast(pl.Date)),
    )
    return days.select("cell", "amount", pl.col("disbursed").dt.month_start().alias(VINTAGE), _age())


def _age() -> pl.Expr:
    """The first age in months at which ``when`` has come."""
    start, when = pl.col("disbursed"), pl.col("when")
    months = (when.dt.year() - start.dt.year()) * 12 + (when.dt.month().cast(pl.Int32) - start.dt.month())
    same_day = pl.min_horizontal(start.dt.day(), when.dt.month_end().dt.day())
    return (months + (when.dt.day() > same_day).cast(pl.Int32)).cast(pl.Int32).alias(AGE)
