"""Installments day by day: the first one's verdict, dues ahead, and what was paid on time."""

import numpy as np

from loanmetrics.engine.calendar import NEVER, Ints
from loanmetrics.engine.first_payment import first_amount, missed, payments_that_count
from loanmetrics.engine.history.past import Past
from loanmetrics.engine.history.steps import Points, Spells, Steps
from loanmetrics.engine.history.windows import matched
from loanmetrics.engine.ledger import Dues
from loanmetrics.engine.sums import running


def decided_from(past: Past) -> Ints:
    """The day from which on the first installment is decided; NEVER where nothing is due."""
    due = past.ledger.dues.first_due
    return np.where(due == NEVER, NEVER, due + past.book.policy.first_payment_grace_days + 1)


def first_missed(past: Past, decided: Steps) -> Steps:
    """Whether the first installment is decided and missed; a reversal re-opens the verdict."""
    ledger, rows, policy = past.ledger, past.ledger.repayments, past.book.policy
    paid = _in_time(past, np.arange(len(rows.day)), payments_that_count(ledger, policy))
    waived = _in_time(past, past.waived.row, np.sum(list(past.waived.parts.values()), axis=0))
    points = past.points(decided.key, paid.key, waived.key)
    due = first_amount(ledger)[points.loan]
    forgiven, received = (points.at(each).astype(np.int64, copy=False) for each in (waived, paid))
    return points.steps(points.at(decided) & missed(due, forgiven, received, policy))


def _in_time(past: Past, row: Ints, amount: Ints) -> Steps:
    """What rows dated by the first installment's deadline bring, from the day it is decided on."""
    rows, decided = past.ledger.repayments, decided_from(past)
    counting = np.flatnonzero(rows.day[row] < decided[rows.loan[row]])
    loan, until = rows.loan[row[counting]], rows.until[row[counting]]
    return past.spells(loan, decided[loan], until, amount[counting]).steps(past.grid)


def due_ahead(past: Past, credited: Steps) -> Steps:
    """What falls due in the days ahead and is not covered by credit."""
    dues, ahead, grid = past.ledger.dues, past.book.policy.due_days, past.grid
    places = [past.days.place(dues.due - early) for early in (0, ahead)]
    keys = [grid.key(dues.loan, place) for place in places]
    seen = [(place > 0) & (place < grid.width) for place in places]
    points = past.points(*(key[some] for key, some in zip(keys, seen, strict=True)), credited.key)
    today, later = (_fallen(points, key, dues) for key in keys)
    return points.steps(np.maximum(0, later - np.maximum(points.at(credited), today)))


def _fallen(points: Points, key: Ints, dues: Dues) -> Ints:
    """What has fallen due at each point if installments fall due on ``key``; past the last place, on none."""
    fallen = points.spread(np.append(0, np.searchsorted(points.key, key)), dues.total)
    return fallen - dues.total[dues.spans.start][points.loan]


def installments_due(past: Past) -> Spells:
    """Installments of disbursed loans, for as long as their due date lies in the flow window."""
    window = past.flow_windows
    return past.spells(past.ledger.dues.loan[window.due], window.start, window.stop, 1)


def installments_on_time(past: Past) -> Spells:
    """Those of them settled by money dated no later than they fell due, until a reversal takes it away."""
    window = past.flow_windows
    lost = _settled_until(past, window.due, window.start)
    return past.spells(past.ledger.dues.loan[window.due], window.start, np.minimum(window.stop, lost), 1)


def _settled_until(past: Past, due: Ints, start: Ints) -> Ints:
    """The first day on which each installment is not, or no longer, settled by money dated on or before it fell due."""
    ledger, dues, rows = past.ledger, past.ledger.dues, past.ledger.repayments
    loan, real = dues.loan[due], rows.until > rows.day
    upto, first = rows.paid_until(loan, dues.due[due]), rows.spans.start[loan]
    lasting = running(np.where(real & (rows.until == NEVER), ledger.credit, 0))
    needed = dues.total[due + 1] - dues.total[dues.spans.start[loan]] - past.book.policy.tolerance_minor
    spare = lasting[upto] - lasting[first] - needed
    undone = np.flatnonzero(real & (rows.until != NEVER))
    pairs, nth = matched(loan, rows.loan[undone])
    row = undone[nth]
    counting = np.flatnonzero((row < upto[pairs]) & (rows.until[row] > start[pairs]))
    pairs, row = pairs[counting], row[counting]
    np.add.at(spare, pairs, ledger.credit[row])
    until = np.where(spare >= 0, NEVER, start)
    order = np.lexsort((rows.until[row], pairs))
    pairs, row = pairs[order], row[order]
    taken = running(ledger.credit[row])
    before = taken[np.searchsorted(pairs, pairs)]
    short = np.flatnonzero(taken[1:] - before > spare[pairs])
    np.minimum.at(until, pairs[short], np.maximum(rows.until[row[short]], start[pairs[short]]))
    return until
