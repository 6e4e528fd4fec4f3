"""The published loan state: what a drilldown shows of one loan, columns of ``tables.LOAN_STATE``."""

from typing import Any

import numpy as np
import polars as pl

from loanmetrics.engine.calendar import NEVER, Ints
from loanmetrics.engine.state import State
from loanmetrics.engine.sums import earliest, picked
from loanmetrics.engine.timeline import Stock
from loanmetrics.tables import DPD_BUCKETS

# The last day past due of every bucket but the endless one.
LAST_DAYS = (0, 6, 30, 60, 90)
Columns = dict[str, Ints | np.ndarray]


def loan_state(state: State) -> pl.DataFrame:
    """Every loan of the shard disbursed by the as-of day, in loan order, with its position ``local``."""
    return _disbursed(state, _standing(state) | _parts(state))


def standing(state: State) -> pl.DataFrame:
    """``loan_state`` without what is owed and paid by part, which takes a third of the time."""
    return _disbursed(state, _standing(state))


def _disbursed(state: State, columns: Columns) -> pl.DataFrame:
    disbursed = state.ledger.loans.disbursed <= state.book.day
    return _named(pl.DataFrame(columns)).filter(pl.Series(disbursed))


def _standing(state: State) -> Columns:
    """How each loan stands: on the book or not, days past due, dates, what it owes in all."""
    dues = state.ledger.dues
    missed, decided = state.first_payment
    return {
        "local": np.arange(len(state.ledger.loans)),
        "implied": dues.spans.empty | (dues.spans.sum(dues.implied.astype(np.int64)) > 0),
        "on_book": state.now.on_book,
        "written_off": state.ledger.loans.written_off & (state.ledger.closing <= state.book.day),
        "current_dpd": state.now.dpd,
        "max_dpd_ever": state.timeline.worst_dpd(state.book.day),
        "decided": decided,
        "missed": missed,
        "first_payment_due_date": dues.first_due,
        "first_payment_received_date": _first_cash_day(state),
        "last_payment_date": state.last_cash_day,
        "next_payment_due": _next_due(state),
        "total_outstanding": state.now.outstanding,
        "arrears_amount": arrears(state, state.now),
        "overpaid": np.maximum(0, state.now.credited - dues.total_due),
    }


def _parts(state: State) -> Columns:
    rows, owed = state.ledger.repayments, state.outstanding_parts
    return {
        "principal_outstanding": owed["principal"],
        "interest_outstanding": owed["interest"],
        "fees_outstanding": owed["fee"],
        "total_principal_paid": rows.spans.sum(state.paid.principal),
        "total_interest_paid": rows.spans.sum(state.paid.interest),
        "total_fees_paid": rows.spans.sum(state.paid.fee),
    }


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Give codes their names, and NEVER its null."""
    dates = [name for name in frame.columns if name.endswith(("_date", "_due"))]
    missed = pl.when("decided").then("missed")
    return (
        frame.with_columns(pl.col(name).replace(NEVER, None).cast(pl.Int32).cast(pl.Date) for name in dates)
        .with_columns(
            schedule_source=pl.when("implied").then(pl.lit("implied")).otherwise(pl.lit("schedule")),
            closed_as=pl.when(pl.col("on_book"))
            .then(None)
            .when("written_off")
            .then(pl.lit("written_off"))
            .otherwise(pl.lit("paid")),
            dpd_bucket=bucket(pl.col("current_dpd")),
            first_payment_missed=missed,
            fimr_tagged=missed.fill_null(False),
            early_indicator_tagged=pl.col("current_dpd").is_between(1, 6),
        )
        .drop("implied", "written_off", "decided", "missed")
    )


def bucket(dpd: pl.Expr) -> pl.Expr:
    """The DPD bucket of a day count: 0, 1-6, 7-30, 31-60, 61-90, 90+."""
    chain: Any = pl
    for name, last in zip(DPD_BUCKETS, LAST_DAYS, strict=False):
        chain = chain.when(dpd <= last).then(pl.lit(name))
    named: pl.Expr = chain.otherwise(pl.lit(DPD_BUCKETS[-1]))
    return named


def _first_cash_day(state: State) -> Ints:
    """The first day on which a counting row brought cash."""
    rows = state.ledger.repayments
    brought = np.flatnonzero(state.counts & (rows.cash > 0))
    return earliest(rows.loan[brought], rows.day[brought], len(state.ledger.loans), NEVER)


def _next_due(state: State) -> Ints:
    """The due date of the next unsettled installment due after the as-of day, for loans on the book."""
    dues = state.ledger.dues
    settled_up_to = dues.total[dues.spans.start] + state.now.credited + state.book.policy.tolerance_minor
    paid_ahead = np.searchsorted(dues.total[1:], settled_up_to, side="right")
    following = np.maximum(dues.due_before(state.book.day + 1), paid_ahead)
    exists = state.now.on_book & (following < dues.spans.stop)
    return picked(dues.due, following, ~exists, NEVER)


def arrears(state: State, stock: Stock) -> Ints:
    """What fell due by a day and was not credited, for loans on the book with an unsettled overdue installment."""
    dues = state.ledger.dues
    until = state.book.counting.overdue_from(stock.day)
    due = dues.total[dues.due_before(until)] - dues.total[dues.spans.start]
    behind = np.maximum(0, due - stock.credited)
    late = stock.on_book & (behind > state.book.policy.tolerance_minor)
    return np.where(late, behind, 0)
