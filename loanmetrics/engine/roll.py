"""Roll matrices: of the loans that stood in each DPD bucket on one day, where each stands on a later one."""

from collections.abc import Sequence
from concurrent.futures import Executor
from datetime import date
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book
from loanmetrics.engine.calendar import Ints, to_day
from loanmetrics.engine.history.transitions import EDGES
from loanmetrics.engine.run import GROUPS, PLACE, each_shard
from loanmetrics.engine.state import Channels, State
from loanmetrics.errors import UsageError
from loanmetrics.tables import DPD_BUCKETS

PAID: Final = "paid"
WRITTEN_OFF: Final = "written_off"
# Where a loan that has left the book stays, unless a payment is reversed.
ENDS: Final = (*DPD_BUCKETS, PAID, WRITTEN_OFF)
FROM, TO = "from_dpd_bucket", "to_dpd_bucket"
COUNTED = ("loans", "balance")
SCHEMA: Final = pl.Schema(
    {
        FROM: pl.Enum(DPD_BUCKETS),
        TO: pl.Enum(ENDS),
        "loans": pl.Int64(),
        "balance": pl.Int64(),
        "loans_share": pl.Float64(),
        "balance_share": pl.Float64(),
    }
)
NO_CHANNELS = Channels(np.zeros((0, 0), dtype=np.bool_))


def roll_matrix(
    book: Book, since: date, by: Sequence[str] = GROUPS["book"], executor: Executor | None = None
) -> pl.DataFrame:
    """One row per group, bucket on ``since`` and bucket on the as-of day, empty ones included.

    ``loans`` that went this way and the ``balance`` they owed on ``since`` (minor units); the shares are of all that
    stood in the same bucket, so that each row of the matrix sums to 1, and null where none did. Both days are as the
    book's facts know them.
    """
    if since >= book.as_of:
        raise UsageError(f"{since} is not before {book.as_of}", "the first day comes first")
    parts = each_shard(book, partial(_moved, since=to_day(since)), executor, NO_CHANNELS)
    cells = book.facts.cells.cast({"cell": pl.Int64}).select("cell", *PLACE)
    named = pl.concat(parts).join(cells, on="cell", how="left") if parts else cells.clear()
    counted = named.group_by(*by, FROM, TO).agg(pl.col(COUNTED).sum())
    whole = _every_way(named.select(by).unique() if by else None)
    filled = whole.join(counted, on=[*by, FROM, TO], how="left").with_columns(pl.col(COUNTED).fill_null(0))
    stood = [pl.col(name).sum().over(*by, FROM) for name in COUNTED]
    shares = [
        pl.when(total > 0).then(pl.col(name) / total).alias(f"{name}_share")
        for name, total in zip(COUNTED, stood, strict=True)
    ]
    return (
        filled.with_columns(shares)
        .sort(*by, FROM, TO)
        .select(*by, *(pl.col(name).cast(kind) for name, kind in SCHEMA.items()))
    )


def _every_way(groups: pl.DataFrame | None) -> pl.DataFrame:
    ways = pl.DataFrame({FROM: DPD_BUCKETS}, {FROM: SCHEMA[FROM]}).join(
        pl.DataFrame({TO: ENDS}, {TO: SCHEMA[TO]}), how="cross"
    )
    return ways if groups is None else groups.join(ways, how="cross")


def _moved(state: State, since: int) -> pl.DataFrame:
    """Loans of one shard by cell and way."""
    before, now = state.timeline.at(since), state.now
    gone = state.ledger.loans.written_off & (state.ledger.closing <= state.book.day)
    left = np.where(gone, ENDS.index(WRITTEN_OFF), ENDS.index(PAID))
    frame = pl.DataFrame(
        {
            "cell": state.ledger.loans.cell,
            FROM: _bucket(before.dpd),
            TO: np.where(now.on_book, _bucket(now.dpd), left),
            "balance": before.outstanding,
        }
    ).filter(pl.Series(before.on_book))
    counted = frame.group_by("cell", FROM, TO).agg(
        pl.len().cast(pl.Int64).alias("loans"), pl.col("balance").sum()
    )
    return counted.with_columns(_named(FROM, DPD_BUCKETS), _named(TO, ENDS))


def _bucket(dpd: Ints) -> Ints:
    return np.searchsorted(EDGES, dpd, side="right")


def _named(column: str, names: Sequence[str]) -> pl.Expr:
    return pl.col(column).replace_strict(dict(enumerate(names)), return_dtype=SCHEMA[column])
