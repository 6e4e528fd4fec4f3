"""One loan's account at the end of a day: what fell due and when it was settled, what was paid, what counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book, Shard, of_loans
from loanmetrics.engine.loan_state import loan_state
from loanmetrics.engine.loans import named_states
from loanmetrics.engine.state import Channels, State, open_shard
from loanmetrics.errors import NotFoundError
from loanmetrics.tables import WAIVER_TYPES

DAYS = ("due_date", "settled_on", "payment_date", "reversal_date")
PAYMENT = ("principal", "interest", "fees", "penalty", "waiver")


@dataclass(frozen=True)
class Statement:
    """A loan as it stands, its installments by due date, and its payments up to the as-of day; minor units."""

    loan: dict[str, Any]
    installments: pl.DataFrame
    payments: pl.DataFrame


def statement(book: Book, loan_id: str) -> Statement:
    """The account of one loan.

    ``installments``: due_date, principal, interest, fee, amount, cumulative, settled, settled_on (since when it has
    been), days_late. ``payments``: repayment_id, payment_date, amount and its parts, method, counts, credited (what it
    takes off the debt), reversal_date, recorded_at.
    """
    shard = _alone(book, loan_id)
    state = open_shard(shard, book, Channels(np.zeros((0, 0), dtype=np.bool_)))
    stood = named_states(loan_state(state), shard.loans, book.facts.cells)
    if stood.is_empty():
        raise NotFoundError(f"loan {loan_id} was not disbursed by {book.as_of}")
    return Statement(stood.row(0, named=True), _installments(state), _payments(state, shard, book))


def _alone(book: Book, loan_id: str) -> Shard:
    for shard in of_loans(book.facts, pl.Series([loan_id])).shards:
        if shard.loans.select(pl.len()).collect().item():
            return shard.in_order()
    raise NotFoundError(f"there is no loan {loan_id} in these facts")


def _installments(state: State) -> pl.DataFrame:
    dues, day = state.ledger.dues, state.book.day
    cumulative = dues.total[1:]
    settled_on = [_settled_on(state, int(due)) for due in cumulative]
    return _dated(
        pl.DataFrame(
            {
                "due_date": dues.due,
                "principal": dues.principal,
                "interest": dues.interest,
                "fee": dues.fee,
                "amount": np.diff(dues.total),
                "cumulative": cumulative,
                "settled": [since is not None for since in settled_on],
                "settled_on": settled_on,
            },
            schema_overrides={"settled_on": pl.Int64, "settled": pl.Boolean},
        ).with_columns(
            days_late=pl.max_horizontal(pl.col("settled_on").fill_null(day) - pl.col("due_date"), 0)
        )
    )


def _settled_on(state: State, cumulative: int) -> int | None:
    """Since when the loan's credits have covered its installments up to here; None if they do not."""
    timeline, since = state.timeline, None
    for start, credited in zip(timeline.start.tolist(), timeline.credited.tolist(), strict=True):
        if start > state.book.day:
            break
        covered = cumulative - credited <= state.book.policy.tolerance_minor
        since = (start if since is None else since) if covered else None
    return since


def _payments(state: State, shard: Shard, book: Book) -> pl.DataFrame:
    kinds = dict(enumerate(WAIVER_TYPES))
    rows = shard.repayments.collect().with_columns(
        counts=pl.Series(state.counts), credited=pl.Series(state.ledger.credit)
    )
    named = rows.join(book.facts.methods, on="method", how="left", maintain_order="left")
    return _dated(
        named.filter(pl.col("day") <= book.day).select(
            "repayment_id",
            pl.col("day").alias("payment_date"),
            "amount",
            *PAYMENT,
            pl.when(pl.col("waiver") > 0).then(
                pl.col("waiver_type").replace_strict(kinds, default=None, return_dtype=pl.String)
            ),
            pl.col("name").alias("method"),
            "counts",
            pl.when("counts").then("credited").otherwise(0).alias("credited"),
            pl.when("reversed").then(pl.coalesce("reversal", "day")).alias("reversal_date"),
            pl.col("created").alias("recorded_at"),
        )
    )


def _dated(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        pl.col(name).cast(pl.Int32).cast(pl.Date) for name in DAYS if name in rows.columns
    )
