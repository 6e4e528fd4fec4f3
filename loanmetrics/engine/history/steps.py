"""Figures that change on some days only: the value of each loan, from each day it changes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loanmetrics.engine.calendar import Flags, Ints
from loanmetrics.engine.sums import running


@dataclass(frozen=True)
class Stretch:
    """Days looked at, in order, one *place* each; a day may stand at many places, as the latest 15th does."""

    days: Ints

    def __len__(self) -> int:
        return len(self.days)

    @cached_property
    def _unbroken(self) -> bool:
        return int(self.days[-1] - self.days[0]) == len(self.days) - 1 and bool(
            (np.diff(self.days) == 1).all()
        )

    def place(self, day: Ints) -> Ints:
        """The first place that stands on ``day`` or later; ``len(self)`` where none does."""
        if self._unbroken:
            place: Ints = np.clip(day - self.days[0], 0, len(self.days))
            return place
        return np.searchsorted(self.days, day)


@dataclass(frozen=True)
class Grid:
    """Every (loan, place) of a shard, as one integer in that order."""

    loans: int
    width: int

    @cached_property
    def first(self) -> Ints:
        """Each loan at place 0."""
        return np.arange(self.loans) * self.width

    def key(self, loan: Ints, place: Ints) -> Ints:
        """(loan, place) as one integer."""
        return loan * self.width + place


@dataclass(frozen=True)
class Steps:
    """A value for every (loan, place): each holds from its key on. Every loan has a key at place 0."""

    key: Ints
    value: Ints | Flags


@dataclass(frozen=True)
class Spells:
    """Amounts that stand for a while: from place ``start`` up to, not including, ``stop``."""

    loan: Ints
    start: Ints
    stop: Ints
    amount: Ints

    @classmethod
    def between(cls, days: Stretch, loan: Ints, start: Ints, stop: Ints, amount: Ints | int) -> "Spells":
        """Amounts that stand from day ``start`` up to, not including, day ``stop``; those outside are left out."""
        begin, end = days.place(start), days.place(stop)
        seen = np.flatnonzero((begin < end) & (amount != 0))
        return cls(loan[seen], begin[seen], end[seen], np.broadcast_to(amount, loan.shape)[seen])

    def moves(self, width: int) -> tuple[Ints, Ints, Ints]:
        """Loan, place and amount of every rise and fall."""
        ends = np.flatnonzero(self.stop < width)
        return (
            np.concatenate([self.loan, self.loan[ends]]),
            np.concatenate([self.start, self.stop[ends]]),
            np.concatenate([self.amount, -self.amount[ends]]),
        )

    def steps(self, grid: Grid) -> Steps:
        """How much stands at every (loan, place)."""
        loan, place, amount = self.moves(grid.width)
        key, (value,) = accumulated(grid, grid.key(loan, place), [amount])
        return Steps(key, value)


def joined(parts: Sequence[Spells]) -> Spells:
    """All spells of several."""
    columns = ([getattr(part, name) for part in parts] for name in ("loan", "start", "stop", "amount"))
    loan, start, stop, amount = (np.concatenate(column) for column in columns)
    return Spells(loan, start, stop, amount)


def as_flags(steps: Steps) -> Steps:
    """Where something stands."""
    return Steps(steps.key, steps.value > 0)


@dataclass(frozen=True)
class Points:
    """(loan, place) keys at which figures are looked up, ascending; every loan has one at place 0."""

    grid: Grid
    key: Ints

    @cached_property
    def start(self) -> Ints:
        """Where each loan's points begin."""
        return np.searchsorted(self.key, self.grid.first)

    @cached_property
    def loan(self) -> Ints:
        """The loan of each point."""
        return np.repeat(np.arange(self.grid.loans), np.diff(self.start, append=len(self.key)))

    @cached_property
    def place(self) -> Ints:
        """The place of each point."""
        return self.key - self.loan * self.grid.width

    def at(self, steps: Steps) -> Ints | Flags:
        """The value at every point."""
        return self.spread(np.searchsorted(self.key, steps.key), steps.value)

    def spread(self, begin: Ints, value: Ints | Flags) -> Ints | Flags:
        """Lay each value on the points from its own ``begin`` up to the next one's."""
        laid: Ints | Flags = value.repeat(np.diff(begin, append=len(self.key)))
        return laid

    def changes(self, value: Ints) -> Ints:
        """What each point adds to its loan's value before."""
        change = value.copy()
        change[1:] -= value[:-1]
        change[self.start] = value[self.start]
        return change

    def steps(self, value: Ints | Flags) -> Steps:
        """Values at these points, without those that change nothing."""
        kept = np.ones(len(self.key), dtype=np.bool_)
        kept[1:] = value[1:] != value[:-1]
        kept[self.start] = True
        return Steps(self.key[kept], value[kept])


def union(grid: Grid, keys: Sequence[Ints]) -> Points:
    """All places at which something changes, and place 0."""
    merged = np.sort(np.concatenate([grid.first, *keys]), kind="stable")
    return Points(grid, merged[_last_of_each(merged)])


def accumulated(grid: Grid, key: Ints, amounts: Sequence[Ints]) -> tuple[Ints, list[Ints]]:
    """Running sums of each loan's amounts at every key they come in on, and at place 0."""
    every = np.concatenate([grid.first, key])
    order = np.argsort(every, kind="stable")
    ordered = every[order]
    last = _last_of_each(ordered)
    start = np.searchsorted(ordered, grid.first)
    points = Points(grid, ordered[last])
    zeros, values = np.zeros(grid.loans, dtype=np.int64), []
    for amount in amounts:
        total = running(np.concatenate([zeros, amount])[order])
        values.append(total[last + 1] - total[start][points.loan])
    return points.key, values


def held(grid: Grid, key: Ints, value: Ints | Flags, before: Ints | Flags) -> Steps:
    """Values that hold from ``key`` on, where a later one of equal key wins; ``before`` them, per loan."""
    every = np.concatenate([grid.first, key])
    order = np.argsort(every, kind="stable")
    ordered = every[order]
    last = _last_of_each(ordered)
    return Points(grid, ordered[last]).steps(np.concatenate([before, value])[order[last]])


def _last_of_each(ordered: Ints) -> Ints:
    """Where each run of equal keys ends."""
    ends = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=ends[:-1])
    return np.flatnonzero(ends)
