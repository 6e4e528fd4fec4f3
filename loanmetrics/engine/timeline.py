"""Each loan's life as a short list of segments on which its debt is constant."""

from dataclasses import dataclass

import numpy as np

from loanmetrics.engine.calendar import DAY_OFFSET, NEVER, Counting, Flags, Ints, key, unkey
from loanmetrics.engine.ledger import Ledger
from loanmetrics.engine.sums import picked, running


@dataclass(frozen=True)
class Stock:
    """Every loan at the end of one day, as it stood then: one element per loan."""

    day: int
    credited: Ints
    outstanding: Ints
    on_book: Flags
    dpd: Ints


@dataclass(frozen=True)
class Timeline:
    """Segments in order of (loan, ``start``): from ``start`` up to, not including, ``stop``."""

    ledger: Ledger
    counting: Counting
    loan: Ints
    start: Ints
    stop: Ints
    credited: Ints
    outstanding: Ints
    oldest_due: Ints
    on_book: Flags

    def at(self, day: int) -> Stock:
        """Every loan at the end of ``day``."""
        loans = len(self.ledger.loans)
        now = np.flatnonzero((self.start <= day) & (day < self.stop))
        owner = self.loan[now]
        credited = np.zeros(loans, dtype=np.int64)
        credited[owner] = self.credited[now]
        outstanding = self.ledger.dues.total_due.copy()
        outstanding[owner] = self.outstanding[now]
        on_book = np.zeros(loans, dtype=np.bool_)
        on_book[owner] = self.on_book[now]
        dpd = np.zeros(loans, dtype=np.int64)
        dpd[owner] = np.where(self.on_book[now], self.counting.dpd(day, self.oldest_due[now]), 0)
        return Stock(day, credited, outstanding, on_book, dpd)

    def worst_dpd(self, day: int) -> Ints:
        """The highest DPD each loan reached on the book on any day up to ``day``."""
        lived = np.flatnonzero(self.on_book & (self.start <= day))
        last = np.minimum(self.stop[lived] - 1, day)
        out = np.zeros(len(self.ledger.loans), dtype=np.int64)
        np.maximum.at(out, self.loan[lived], self.counting.dpd(last, self.oldest_due[lived]))
        return out

    def first_later(self, dpd: int) -> Ints:
        """The first day on which each loan, on the book, was more than ``dpd`` days past due; NEVER if it was not."""
        late = np.flatnonzero(self.on_book & (self.oldest_due != NEVER))
        reached = np.maximum(self.counting.reached(dpd + 1, self.oldest_due[late]), self.start[late])
        came = reached < self.stop[late]
        first = np.full(len(self.ledger.loans), NEVER, dtype=np.int64)
        np.minimum.at(first, self.loan[late][came], reached[came])
        return first


def build(ledger: Ledger, counting: Counting, tolerance: int) -> Timeline:
    """Turn a ledger's events into segments: one sort, one running sum, one search."""
    loan, start, credited = _credited(ledger)
    stop = np.where(np.diff(loan, append=-1) == 0, np.append(start[1:], NEVER), NEVER)
    outstanding = np.maximum(0, ledger.dues.total_due[loan] - credited)
    return Timeline(
        ledger,
        counting,
        loan,
        start,
        stop,
        credited,
        outstanding,
        oldest_due=_oldest_due(ledger, loan, credited, tolerance),
        on_book=_on_book(ledger, loan, start) & (outstanding > tolerance),
    )


def _credited(ledger: Ledger) -> tuple[Ints, Ints, Ints]:
    """Change points of each loan and the credit that stands from each on."""
    when, amount = _events(ledger)
    order = np.argsort(when, kind="stable")
    when = when[order]
    total = running(amount[order])
    last = np.flatnonzero(np.diff(when, append=-1))
    loan, day = unkey(when[last])
    before = np.searchsorted(when, key(np.arange(len(ledger.loans)), -DAY_OFFSET))
    return loan, day, total[last + 1] - total[before[loan]]


def _events(ledger: Ledger) -> tuple[Ints, Ints]:
    """(loan, day) keys and credits: payments, their reversals, and the days a loan's standing may change."""
    rows, every = ledger.repayments, np.arange(len(ledger.loans))
    real = rows.until > rows.day
    undone = real & (rows.until != NEVER)
    marks = [(every, ledger.loans.disbursed), (every, ledger.closing), (every, ledger.reopening)]
    changes = [key(loan, day)[day != NEVER] for loan, day in marks]
    when = [key(rows.loan, rows.day)[real], key(rows.loan, rows.until)[undone], *changes]
    amount = [
        ledger.credit[real],
        -ledger.credit[undone],
        *(np.zeros(len(change), dtype=np.int64) for change in changes),
    ]
    return np.concatenate(when), np.concatenate(amount)


def _oldest_due(ledger: Ledger, loan: Ints, credited: Ints, tolerance: int) -> Ints:
    """Due date of the oldest installment that ``credited`` does not settle; NEVER where all are settled."""
    dues = ledger.dues
    start, stop = dues.spans.start[loan], dues.spans.stop[loan]
    found = np.searchsorted(dues.total[1:], dues.total[start] + credited + tolerance, side="right")
    return picked(dues.due, found, found >= stop, NEVER)


def _on_book(ledger: Ledger, loan: Ints, day: Ints) -> Flags:
    """Disbursed, and not closed by the loan's own record."""
    closed = ledger.closing[loan] <= day
    reopened = ledger.reopening[loan] <= day
    return (ledger.loans.disbursed[loan] <= day) & ~(closed & ~reopened)
