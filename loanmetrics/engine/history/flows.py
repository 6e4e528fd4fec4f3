"""Sums over rows of the last days: each row adds to them for a while."""

import numpy as np

from loanmetrics.engine.calendar import Flags, Ints
from loanmetrics.engine.history.past import Past
from loanmetrics.engine.history.steps import Spells
from loanmetrics.engine.ledger import PENALTY


def interest_this_month(past: Past) -> Spells:
    """Interest of counting rows, until the month of their date ends."""
    return _this_month(past, past.paid.parts["interest"])


def fees_this_month(past: Past) -> Spells:
    """Fees of counting rows, until the month of their date ends."""
    return _this_month(past, past.paid.parts["fee"])


def yield_in_flow(past: Past) -> Spells:
    """Interest and fees of counting rows of the flow window."""
    paid = past.paid
    until = past.ledger.repayments.day[paid.row] + past.book.policy.flow_days
    return _paid(past, until, paid.parts["interest"] + paid.parts["fee"])


def _this_month(past: Past, amount: Ints) -> Spells:
    day = past.ledger.repayments.day[past.paid.row]
    month = day.astype("datetime64[D]").astype("datetime64[M]") + 1
    return _paid(past, month.astype("datetime64[D]").astype(np.int64), amount)


def _paid(past: Past, until: Ints, amount: Ints) -> Spells:
    paid = past.paid
    return past.spells(
        past.ledger.repayments.loan[paid.row], paid.start, np.minimum(paid.stop, until), amount
    )


def waived_in_window(past: Past) -> Spells:
    """Waivers of counting rows of the waiver window, penalties aside."""
    rows = past.ledger.repayments
    some = rows.waivers[rows.waiver_type[rows.waivers] != PENALTY]
    until = np.minimum(rows.until[some], rows.day[some] + past.book.policy.waiver_days)
    return past.spells(rows.loan[some], rows.day[some], until, rows.waiver[some])


def entries(past: Past) -> Spells:
    """Rows dated in the flow window, whether they count or not."""
    return _entered(past, np.ones(len(past.ledger.repayments.day), dtype=np.bool_))


def backdated(past: Past) -> Spells:
    """Of those, the ones entered backdated."""
    return _entered(past, past.ledger.repayments.backdated)


def _entered(past: Past, which: Flags) -> Spells:
    rows = past.ledger.repayments
    some = np.flatnonzero(which)
    return past.spells(rows.loan[some], rows.day[some], rows.day[some] + past.book.policy.flow_days, 1)


def reversals(past: Past) -> Spells:
    """Rows reversed in the flow window, from the day the row exists."""
    rows = past.ledger.repayments
    undone = np.flatnonzero(rows.reversed)
    until = rows.reversal[undone] + past.book.policy.flow_days
    return past.spells(rows.loan[undone], rows.until[undone], until, 1)


def float_gaps(past: Past) -> Spells:
    """Counting cash payments of the float window that were recorded too late."""
    late = past.late
    until = np.minimum(late.until, late.day + past.book.policy.float_gap_window_days)
    return past.spells(late.loan, late.day, until, 1)
