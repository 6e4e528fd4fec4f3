"""Exact integer sums by loan, over rows that stand in loan order."""

from dataclasses import dataclass

import numpy as np

from loanmetrics.engine.calendar import Flags, Ints


def running(values: Ints) -> Ints:
    """Running sum with a leading zero, so that rows i..j-1 sum to ``running[j] - running[i]``."""
    total = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=total[1:])
    return total


def picked(values: Ints, places: Ints, missing: Flags, default: int) -> Ints:
    """The values at ``places``; ``default`` where there is none to pick."""
    if not len(values):
        return np.full(len(places), default, dtype=np.int64)
    return np.where(missing, default, values[np.where(missing, 0, places)])


@dataclass(frozen=True, slots=True)
class Spans:
    """Which rows belong to which loan: rows ``start[loan]`` to ``stop[loan]`` - 1."""

    start: Ints
    stop: Ints

    @classmethod
    def of(cls, loan: Ints, loans: int) -> "Spans":
        """Spans of rows sorted by ``loan``."""
        edges = running(np.bincount(loan, minlength=loans))
        return cls(edges[:-1], edges[1:])

    @property
    def empty(self) -> Flags:
        """Loans without a row."""
        same: Flags = self.start == self.stop
        return same

    def first(self, values: Ints, default: int) -> Ints:
        """The first of each loan's values; ``default`` for loans without a row."""
        return picked(values, self.start, self.empty, default)

    def last(self, values: Ints, default: int) -> Ints:
        """The last of each loan's values; ``default`` for loans without a row."""
        return picked(values, self.stop - 1, self.empty, default)

    def sum(self, values: Ints) -> Ints:
        """Sum of ``values`` per loan."""
        total = running(values)
        return total[self.stop] - total[self.start]


def scattered(loan: Ints, values: Ints, loans: int) -> Ints:
    """Sum per loan of a few rows sorted by loan."""
    out = np.zeros(loans, dtype=np.int64)
    if len(loan):
        first = np.flatnonzero(np.diff(loan, prepend=-1))
        out[loan[first]] = np.add.reduceat(values, first)
    return out


def latest(loan: Ints, values: Ints, loans: int, default: int) -> Ints:
    """The last of each loan's ``values``, for rows sorted by loan and then by value."""
    out = np.full(loans, default, dtype=np.int64)
    last = np.flatnonzero(np.diff(loan, append=-1))
    out[loan[last]] = values[last]
    return out


def earliest(loan: Ints, values: Ints, loans: int, default: int) -> Ints:
    """The first of each loan's ``values``, for rows sorted by loan and then by value."""
    out = np.full(loans, default, dtype=np.int64)
    first = np.flatnonzero(np.diff(loan, prepend=-1))
    out[loan[first]] = values[first]
    return out
