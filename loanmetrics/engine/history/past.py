"""Loans over a stretch of days: what the columns of ``State.frame`` are made of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.calendar import NEVER, Ints, latest_15th, to_date, to_day
from loanmetrics.engine.history.levels import Edges
from loanmetrics.engine.history.payments import Payments, payments, waivers
from loanmetrics.engine.history.portions import portions
from loanmetrics.engine.history.standing import Standing
from loanmetrics.engine.history.steps import Grid, Points, Spells, Steps, Stretch, as_flags, union
from loanmetrics.engine.history.windows import Windows, flow_windows
from loanmetrics.engine.ledger import Ledger, ints, read
from loanmetrics.engine.state import Channels, brings_cash, channels, recorded_late
from loanmetrics.engine.timeline import Timeline, build
from loanmetrics.errors import UsageError

# Loans looked at together: few enough for their arrays to stay in the cache.
PORTION = 40_000


@dataclass(frozen=True)
class Era:
    """Days ``start`` <= d < ``stop`` on which the book's loans use the same channels."""

    start: int
    stop: int
    channels: Channels


@dataclass(frozen=True)
class Late:
    """Cash payments recorded too late, on days ``day`` <= d < ``until``, in order of their loans."""

    loan: Ints
    day: Ints
    until: Ints

    def of(self, begin: int, loans: int) -> "Late":
        """Those of ``loans`` loans, the first at ``begin``."""
        some = slice(*np.searchsorted(self.loan, [begin, begin + loans]))
        return Late(self.loan[some] - begin, self.day[some], self.until[some])


@dataclass(frozen=True)
class Past:
    """Loans of one shard, and the days from which they are looked at; ``book`` stands on the last of them.

    ``begin`` is the place of the first loan in its shard.
    """

    begin: int
    book: Book
    days: Stretch
    eras: tuple[Era, ...]
    timeline: Timeline
    late: Late
    made: dict[tuple[str, Edges | None], Steps] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        """The shard's facts as arrays."""
        return self.timeline.ledger

    @cached_property
    def grid(self) -> Grid:
        """All (loan, place) of the shard."""
        return Grid(len(self.ledger.loans), len(self.days))

    @property
    def first(self) -> int:
        """The first day looked at."""
        return int(self.days.days[0])

    @cached_property
    def now(self) -> Standing:
        """The loans on each day."""
        return Standing(self.timeline, self.days)

    @cached_property
    def before(self) -> Standing:
        """The loans on the day that each day's roll looks back to."""
        back, roll = self.book.counting.back, self.book.policy.roll_days
        return self._elsewhere(lambda day: back(day, roll))

    @cached_property
    def mid_month(self) -> Standing:
        """The loans on the latest 15th of each day."""
        return self._elsewhere(latest_15th)

    def _elsewhere(self, seen_from: Callable[[int], int]) -> Standing:
        return Standing(self.timeline, Stretch(np.array([seen_from(day) for day in self.days.days.tolist()])))

    @cached_property
    def paid(self) -> Payments:
        """What repayment rows paid by part, for as long as they did."""
        return payments(self.ledger, self.first, self.book.day)

    @cached_property
    def flow_windows(self) -> Windows:
        """Installments that fell due lately, for as long as they did."""
        return flow_windows(self.timeline, self.book.policy, self.first, self.book.day)

    @cached_property
    def waived(self) -> Payments:
        """What the schedule's parts were waived, for as long as it stood."""
        return waivers(self.ledger)

    def spells(self, loan: Ints, start: Ints, stop: Ints, amount: Ints | int) -> Spells:
        """Amounts that stand from day ``start`` up to, not including, day ``stop``."""
        return Spells.between(self.days, loan, start, stop, amount)

    def per_loan(self, start: Ints, stop: Ints | int) -> Steps:
        """A flag per loan that is up from day ``start`` up to, not including, day ``stop``."""
        until = np.broadcast_to(stop, start.shape)
        return as_flags(self.spells(np.arange(self.grid.loans), start, until, 1).steps(self.grid))

    def constant(self, value: Ints) -> Steps:
        """A value per loan that never changes."""
        return Steps(self.grid.first, value)

    def points(self, *keys: Ints) -> Points:
        """All places at which something changes."""
        return union(self.grid, keys)

    def day(self, points: Points) -> Ints:
        """The day of each point."""
        return self.days.days[points.place]


def open_pasts(shard: Shard, book: Book, days: Stretch, eras: tuple[Era, ...]) -> Iterator[Past]:
    """Read one shard and look at it from each of ``days``, some loans at a time."""
    ledger = read(shard, book.policy)
    late = _recorded_late(shard, ledger, book, int(days.days[0]))
    for begin, some in portions(ledger, PORTION):
        line = build(some, book.counting, book.policy.tolerance_minor)
        yield Past(begin, book, days, eras, line, late.of(begin, len(some.loans)))


def _recorded_late(shard: Shard, ledger: Ledger, book: Book, first: int) -> Late:
    """Payments in the float window on some day from ``first`` on."""
    dated = (pl.col("day") > first - book.policy.float_gap_window_days) & (pl.col("day") <= book.day)
    undone = pl.when("reversed").then(pl.max_horizontal("day", "reversal"))
    chosen = shard.repayments.filter(dated & brings_cash(book)).select("loan", "day", "created", until=undone)
    rows = chosen.filter(recorded_late(book.policy)).sort("loan").collect()
    return Late(ledger.keys.places(rows["loan"]), ints(rows["day"]), ints(rows["until"], NEVER))


def eras(book: Book, first: int) -> tuple[Era, ...]:
    """The channels that were pure from ``first`` to the book's day: they change when a channel is first used."""
    used = [shard.loans.group_by("channel").agg(pl.col("disbursed").min()) for shard in book.facts.shards]
    days = pl.concat(pl.collect_all(used))["disbursed"].to_list() if used else []
    begins = sorted({first, *(day for day in days if first < day <= book.day)})
    return tuple(
        Era(begin, end, channels(replace(book, as_of=to_date(begin))))
        for begin, end in pairwise([*begins, NEVER])
    )


def span(first: date, last: date) -> range:
    """The days from ``first`` to ``last`` as integers; at least one."""
    if last < first:
        raise UsageError(f"no day lies from {first} to {last}", "the first day comes first")
    return range(to_day(first), to_day(last) + 1)
