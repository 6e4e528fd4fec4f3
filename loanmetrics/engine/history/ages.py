"""Days since something, over a stretch of days: they grow by one a day for as long as a loan is on the book."""

from dataclasses import dataclass

import numpy as np

from loanmetrics.engine.calendar import NEVER, Ints
from loanmetrics.engine.history.past import Past
from loanmetrics.engine.history.steps import Grid, Steps, accumulated, held
from loanmetrics.engine.sums import running

Moves = tuple[Ints, Ints, Ints]


@dataclass(frozen=True)
class Ramps:
    """Days counted from place ``start`` up to, not including, ``stop``: ``amount`` at first, one more each day."""

    loan: Ints
    start: Ints
    stop: Ints
    amount: Ints

    def moves(self, width: int) -> Moves:
        """Loan, place and amount of every rise and fall, beside the one more of each day between them."""
        ends = np.flatnonzero(self.stop < width)
        reached = self.amount[ends] + self.stop[ends] - 1 - self.start[ends]
        return (
            np.concatenate([self.loan, self.loan[ends]]),
            np.concatenate([self.start, self.stop[ends]]),
            np.concatenate([self.amount, -reached]),
        )

    def slopes(self, width: int) -> Moves:
        """Loan, place and change of how much is added each day."""
        going = np.flatnonzero(self.start + 1 < self.stop)
        ends = going[self.stop[going] < width]
        return (
            np.concatenate([self.loan[going], self.loan[ends]]),
            np.concatenate([self.start[going] + 1, self.stop[ends]]),
            np.concatenate([np.ones(len(going), dtype=np.int64), -np.ones(len(ends), dtype=np.int64)]),
        )

    def steps(self, grid: Grid) -> Steps:
        """The count of every loan on every day."""
        loan, place, amount = self.moves(grid.width)
        of, days = _each(np.maximum(self.stop - self.start - 1, 0))
        key = grid.key(
            np.concatenate([loan, self.loan[of]]), np.concatenate([place, self.start[of] + 1 + days])
        )
        every = np.concatenate([amount, np.ones(len(of), dtype=np.int64)])
        key, (value,) = accumulated(grid, key, [every])
        return Steps(key, value)

    def changes(self, cell: Ints, cells: Grid) -> Ints:
        """What each day adds to each cell's count, by ``cells.key``; ``cell`` is that of each loan."""
        level, slope = (np.zeros(cells.loans * cells.width, dtype=np.int64) for _ in range(2))
        for into, (loan, place, amount) in (
            (level, self.moves(cells.width)),
            (slope, self.slopes(cells.width)),
        ):
            np.add.at(into, cells.key(cell[loan], place), amount)
        by_cell = slope.reshape(cells.loans, cells.width)
        return level + np.cumsum(by_cell, axis=1, out=by_cell).reshape(-1)


def loan_age(past: Past) -> Ramps:
    """Days since disbursement."""
    return _since(past, past.constant(past.ledger.loans.disbursed))


def days_unpaid(past: Past) -> Ramps:
    """Days since a counting row last brought cash, or since disbursement, whichever is later."""
    return _since(past, _last_paid(past))


def _since(past: Past, begin: Steps) -> Ramps:
    """Days since ``begin``, of loans on the book."""
    points = past.points(past.now.on_book.key, begin.key)
    stop = np.where(np.diff(points.loan, append=-1) == 0, np.append(points.place[1:], 0), past.grid.width)
    on = np.flatnonzero(points.at(past.now.on_book))
    amount = past.day(points)[on] - points.at(begin)[on]
    return Ramps(points.loan[on], points.place[on], stop[on], amount)


def _last_paid(past: Past) -> Steps:
    """The last day that money came in, as it stood; the day of disbursement where none has come since."""
    rows, disbursed, grid = past.ledger.repayments, past.ledger.loans.disbursed, past.grid
    paid = np.flatnonzero((rows.cash > 0) & (rows.until > rows.day) & (rows.day <= past.book.day))
    lasting, undone = (paid[which] for which in (rows.until[paid] == NEVER, rows.until[paid] != NEVER))
    day = np.maximum(rows.day, disbursed[rows.loan])
    settled = held(grid, _key(past, lasting, rows.day), day[lasting], disbursed)
    begin, end = (_key(past, undone, days) for days in (rows.day, rows.until))
    points = past.points(settled.key, begin, end[past.days.place(rows.until[undone]) < grid.width])
    value = points.at(settled).astype(np.int64)
    first, last = (np.searchsorted(points.key, keys) for keys in (begin, end))
    of, nth = _each(last - first)
    np.maximum.at(value, first[of] + nth, day[undone][of])
    return points.steps(value)


def _key(past: Past, rows: Ints, days: Ints) -> Ints:
    """(loan, place) of a day of some rows; a day after the last place is where the next loan begins."""
    return past.grid.key(past.ledger.repayments.loan[rows], past.days.place(days[rows]))


def _each(count: Ints) -> tuple[Ints, Ints]:
    """For each of ``count`` things of each kind, its kind and its number among them."""
    of = np.repeat(np.arange(len(count)), count)
    return of, np.arange(len(of)) - running(count)[:-1][of]
