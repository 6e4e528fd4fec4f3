"""Lists for readers: rows narrowed to what was asked for, one page or all of them, in an order that is unique."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from loanmetrics.jobs import paging
from loanmetrics.jobs.paging import Page

FIGURES_AT_ONCE = 1_000_000
Bounds = Iterable[tuple[str, Any, Any]]


def as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    """Nothing to add."""
    return frame


@dataclass(frozen=True, slots=True)
class Listing:
    """Many rows, and how to show them: ``sort`` unless another is asked for, ``key`` makes any order unique.

    ``meta`` says where they come from; ``complete`` adds what is looked up for the rows shown only; ``unasked``: what
    they are narrowed by, or begin with, where the reader left that open.
    """

    rows: pl.LazyFrame
    key: tuple[str, ...]
    sort: str
    meta: Mapping[str, Any]
    complete: Callable[[pl.DataFrame], pl.DataFrame] = as_it_is
    unasked: Mapping[str, Any] = field(default_factory=dict)

    def narrowed(self, wanted: Iterable[tuple[str, Sequence[Any]]]) -> "Listing":
        """The rows whose columns hold one of the wanted values; no values, no filter."""
        return self._with(pl.col(column).is_in(list(values)) for column, values in wanted if values)

    def within(self, bounds: Bounds) -> "Listing":
        """The rows whose columns lie between two bounds, both included; None bounds nothing."""
        tests = []
        for column, low, high in bounds:
            tests += [] if low is None else [pl.col(column) >= low]
            tests += [] if high is None else [pl.col(column) <= high]
        return self._with(tests)

    def page(self, order: Sequence[str], limit: int, skip: int, after: str | None) -> Page:
        """Some rows: after ``skip`` others, or on from the cursor ``after``."""
        found = paging.page(self.rows, order, limit, key=order[-1].lstrip("-"), skip=skip, after=after)
        return Page(self.complete(found.rows), found.total, found.next_cursor)

    def count(self) -> int:
        """How many rows there are."""
        total: int = self.rows.select(pl.len()).collect().item()
        return total

    def batches(self, order: Sequence[str], columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
        """All rows, some at a time; ``columns``: how each is to be called, and what it is called here."""
        rows_at_once = max(1, FIGURES_AT_ONCE // len(self.rows.collect_schema()))
        for part in paging.parts(self.rows, order, rows_at_once):
            whole = self.complete(part)
            yield whole.select(pl.col(column).alias(name) for name, column in columns.items())

    def _with(self, tests: Iterable[pl.Expr]) -> "Listing":
        return replace(self, rows=self.rows.filter(pl.all_horizontal(pl.lit(True), *tests)))
