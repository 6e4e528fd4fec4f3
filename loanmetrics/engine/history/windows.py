"""For how long each installment is looked at as one that fell due lately."""

from dataclasses import dataclass

import numpy as np

from loanmetrics.engine.calendar import Ints
from loanmetrics.engine.sums import running
from loanmetrics.engine.timeline import Timeline
from loanmetrics.policy import Policy


@dataclass(frozen=True)
class Windows:
    """Installments ``due`` by position, on days ``start`` <= d < ``stop``; one may come more than once."""

    due: Ints
    start: Ints
    stop: Ints


def flow_windows(line: Timeline, policy: Policy, first: int, last: int) -> Windows:
    """Installments in the flow window on some day from ``first`` to ``last``, of disbursed loans.

    Those due after their loan closed are seen only while it stands reopened.
    """
    ledger, dues, flow = line.ledger, line.ledger.dues, policy.flow_days
    seen = np.flatnonzero((dues.due > first - flow) & (dues.due <= last))
    in_time = dues.due[seen] <= ledger.closing[dues.loan[seen]]
    usual, after = seen[in_time], seen[~in_time]
    again, begin, end = _reopened(line, policy, after)
    due = np.concatenate([usual, again])
    start = np.maximum(dues.due[due], ledger.loans.disbursed[dues.loan[due]])
    stop = dues.due[due] + flow
    start[len(usual) :] = np.maximum(start[len(usual) :], begin)
    stop[len(usual) :] = np.minimum(stop[len(usual) :], end)
    return Windows(due, start, stop)


def _reopened(line: Timeline, policy: Policy, due: Ints) -> tuple[Ints, Ints, Ints]:
    """Installments crossed with the segments in which their loan stands reopened."""
    ledger = line.ledger
    since = np.maximum(np.maximum(ledger.closing, ledger.reopening), ledger.loans.disbursed)
    open_again = np.flatnonzero(
        (line.start >= since[line.loan]) & (line.outstanding > policy.tolerance_minor)
    )
    pairs, segment = matched(ledger.dues.loan[due], line.loan[open_again])
    chosen = open_again[segment]
    return due[pairs], line.start[chosen], line.stop[chosen]


def matched(loan: Ints, others: Ints) -> tuple[Ints, Ints]:
    """All pairs of positions of equal loans; ``others`` are ascending."""
    begin, end = np.searchsorted(others, loan), np.searchsorted(others, loan, side="right")
    of = np.repeat(np.arange(len(loan)), end - begin)
    return of, begin[of] + np.arange(len(of)) - running(end - begin)[:-1][of]
