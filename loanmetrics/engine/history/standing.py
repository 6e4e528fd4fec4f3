"""How loans stand, day by day, on days that need not be those looked from: outstanding, on the book, days past due."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loanmetrics.engine.calendar import Flags, Ints
from loanmetrics.engine.history.levels import Edges
from loanmetrics.engine.history.steps import Grid, Steps, Stretch, held
from loanmetrics.engine.sums import running
from loanmetrics.engine.timeline import Timeline


@dataclass(frozen=True)
class Standing:
    """The timeline at the days of ``days``, one per place."""

    timeline: Timeline
    days: Stretch

    @cached_property
    def _seen(self) -> tuple[Ints, Ints, Ints]:
        """The segments that hold at some place, their first place, and the place after their last."""
        start, stop = self.days.place(self.timeline.start), self.days.place(self.timeline.stop)
        seen = np.flatnonzero(start < stop)
        return seen, start[seen], stop[seen]

    @cached_property
    def _grid(self) -> Grid:
        return Grid(len(self.timeline.ledger.loans), len(self.days))

    @cached_property
    def _nothing(self) -> Ints:
        return np.zeros(self._grid.loans, dtype=np.int64)

    def of_segments(self, value: Ints | Flags, before: Ints | Flags) -> Steps:
        """A value that each segment of the timeline has; ``before`` the first, per loan."""
        seen, start, _ = self._seen
        return held(self._grid, self._grid.key(self.timeline.loan[seen], start), value[seen], before)

    @cached_property
    def credited(self) -> Steps:
        """What stands to the loan's credit."""
        return self.of_segments(self.timeline.credited, self._nothing)

    @cached_property
    def outstanding(self) -> Steps:
        """What is owed in all."""
        return self.of_segments(self.timeline.outstanding, self.timeline.ledger.dues.total_due)

    @cached_property
    def on_book(self) -> Steps:
        """Whether the loan is on the book."""
        return self.of_segments(self.timeline.on_book, self._nothing > 0)

    def dpd(self, edges: Edges | None) -> Steps:
        """Days past due, rounded down to the next of ``edges``; to the day for None."""
        seen, start, stop = self._seen
        late = np.flatnonzero(self.timeline.on_book[seen])
        start, stop, oldest = start[late], stop[late], self.timeline.oldest_due[seen[late]]
        first, last = (self._dpd(place, oldest) for place in (start, stop - 1))
        steps = _ladder(edges, int(last.max(initial=0)))
        low, high = (np.searchsorted(steps, dpd, side="right") - 1 for dpd in (first, last))
        climbed = high - low
        of = np.repeat(np.arange(len(late)), climbed)
        level = steps[low[of] + 1 + np.arange(len(of)) - running(climbed)[:-1][of]]
        place = self.days.place(self.timeline.counting.reached(level, oldest[of]))
        standing = np.zeros(len(seen), dtype=np.int64)
        standing[late] = steps[low]
        loan = self.timeline.loan[seen]
        keys = [self._grid.key(loan, self._seen[1]), self._grid.key(loan[late[of]], place)]
        values = np.concatenate([standing, level])
        return held(self._grid, np.concatenate(keys), values, self._nothing)

    def _dpd(self, place: Ints, oldest: Ints) -> Ints:
        return self.timeline.counting.dpd(self.days.days[place], oldest)


def _ladder(edges: Edges | None, highest: int) -> Ints:
    if edges is None:
        return np.arange(highest + 1)
    return np.array([0, *sorted(edge for edge in edges if edge > 0)])
