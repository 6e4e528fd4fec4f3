"""Every day a loan's bucket changed, from the timeline."""

from concurrent.futures import Executor
from datetime import date
from functools import partial

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.calendar import Ints, to_day
from loanmetrics.engine.history.past import Past, open_pasts, span
from loanmetrics.engine.history.steps import Stretch
from loanmetrics.engine.loan_state import LAST_DAYS
from loanmetrics.engine.timeline import Timeline
from loanmetrics.policy import Policy
from loanmetrics.tables import DPD_BUCKETS, DPD_TRANSITIONS

NAMES = (None, *DPD_BUCKETS, "paid", "written_off")
ABSENT, PAID, WRITTEN_OFF = 0, len(NAMES) - 2, len(NAMES) - 1
NOTHING = pl.DataFrame(
    schema={
        "loan_id": pl.String(),
        "cell": pl.Int64(),
        "transition_date": pl.Date(),
        "from_dpd_bucket": pl.String(),
        "to_dpd_bucket": pl.String(),
        "outstanding_balance": pl.Int64(),
    }
)
EDGES = np.array([day + 1 for day in LAST_DAYS])


def transitions(
    facts: Facts, policy: Policy, first: date, last: date, executor: Executor | None = None
) -> pl.DataFrame:
    """One row per loan and day from ``first`` to ``last`` on which its bucket changed, as ``dpd_transitions`` has it.

    A loan enters from null when it is disbursed, leaves to ``paid`` or ``written_off``, and comes back from ``paid``
    when a payment is reversed. ``outstanding_balance`` is what it owed in all at the end of that day, in minor units.
    Each loan's rows stand together, in order.
    """
    span(first, last)
    book, days = Book(facts, last, policy), Stretch(np.arange(to_day(first) - 1, to_day(last) + 1))
    each = map if executor is None else executor.map
    work = partial(shard_transitions, book=book.of_one_shard(), days=days)
    rows = pl.concat([NOTHING, *each(work, facts.shards)])
    officers = facts.cells.select("cell", "officer_id").cast({"cell": pl.Int64})
    return rows.join(officers, on="cell", how="left", maintain_order="left").select(DPD_TRANSITIONS.names)


def shard_transitions(shard: Shard, book: Book, days: Stretch) -> pl.DataFrame:
    """The transitions of one shard from the second of ``days`` on; the first is where loans come from."""
    identity = shard.in_order().loans.select("loan_id", pl.col("cell").cast(pl.Int64)).collect()
    return pl.concat([NOTHING, *(_changes(past, identity) for past in open_pasts(shard, book, days, ()))])


def _changes(past: Past, identity: pl.DataFrame) -> pl.DataFrame:
    left_as = past.now.of_segments(_left_as(past.timeline), np.full(past.grid.loans, ABSENT))
    dpd = past.now.dpd(frozenset(EDGES.tolist()))
    points = past.points(past.now.on_book.key, dpd.key, left_as.key)
    late = np.searchsorted(EDGES, points.at(dpd), side="right")
    state = np.where(points.at(past.now.on_book), 1 + late, points.at(left_as))
    changed = np.flatnonzero((points.changes(state) != 0) & (points.place > 0))
    return identity[past.begin + points.loan[changed]].with_columns(
        transition_date=pl.Series(past.day(points)[changed], dtype=pl.Int32).cast(pl.Date),
        from_dpd_bucket=_named(state[changed - 1]),
        to_dpd_bucket=_named(state[changed]),
        outstanding_balance=pl.Series(points.at(past.now.outstanding)[changed], dtype=pl.Int64),
    )


def _left_as(line: Timeline) -> Ints:
    """How loans off the book left it, per segment; ``ABSENT`` on the book and before disbursement."""
    loans = line.ledger.loans
    off = ~line.on_book & (loans.disbursed[line.loan] <= line.start)
    stays = off[1:] & off[:-1] & (line.loan[1:] == line.loan[:-1])
    begun = np.arange(len(off))
    begun[1:][stays] = 0
    since = np.maximum.accumulate(begun)
    written_off = loans.written_off[line.loan] & (line.ledger.closing[line.loan] <= line.start)
    return np.where(off, np.where(written_off, WRITTEN_OFF, PAID)[since], ABSENT)


def _named(code: Ints) -> pl.Series:
    return pl.Series(NAMES, dtype=pl.String).gather(code)
