"""The sums of every day in one pass: what changes is added up by cell and day, then summed along the days."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.calendar import Ints, to_date
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.history.columns import DPD, FAMILIES, RAMPS, STEPS, SUMS, column
from loanmetrics.engine.history.levels import Edges, levels
from loanmetrics.engine.history.past import Era, Past, eras, open_pasts, span
from loanmetrics.engine.history.steps import Grid, Stretch
from loanmetrics.engine.ledger import LARGEST_SUM
from loanmetrics.engine.metric import Measure, names_in
from loanmetrics.engine.run import loan_measures
from loanmetrics.errors import DataError
from loanmetrics.policy import Policy

Floats = npt.NDArray[np.float64]
KNOWN = frozenset({*DPD, *STEPS, *SUMS, *RAMPS})
WHOLE = frozenset({*SUMS, *RAMPS})
# Cells times days held in memory at a time, and days where a measure tells every day of a count apart.
AT_ONCE = 600_000
FINE_DAYS = 31


def sums(
    facts: Facts,
    policy: Policy,
    first: date,
    last: date,
    catalogue: Catalogue,
    executor: Executor | None = None,
) -> pl.DataFrame:
    """Every loan-level measure of every cell at the end of every day from ``first`` to ``last``.

    One row per ``calculation_date`` and ``cell``, in that order, with what ``run.add_up`` gives on that day; rows
    whose measures are all 0 are left out. Money is Int64 minor units.
    """
    whole = span(first, last)
    measures = loan_measures(catalogue)
    size = 1 + int(facts.cells["cell"].cast(pl.Int64).to_numpy().max(initial=0))
    length = FINE_DAYS if any(_is_fine(measure) for measure in measures) else max(FINE_DAYS, AT_ONCE // size)
    stretches = (Stretch(np.array(whole[at : at + length])) for at in range(0, len(whole), length))
    return pl.concat([_stretch(facts, policy, days, measures, size, executor) for days in stretches])


def _is_fine(measure: Measure) -> bool:
    """Whether it changes every day, and not as a column that is laid on its days as a whole."""
    grows = measure.sql not in RAMPS and not RAMPS.keys().isdisjoint(names_in(measure.sql))
    return grows or any(levels(measure.sql, name) is None for name in DPD)


def _stretch(
    facts: Facts, policy: Policy, days: Stretch, measures: list[Measure], size: int, executor: Executor | None
) -> pl.DataFrame:
    book = Book(facts, to_date(int(days.days[-1])), policy)
    known = eras(book, int(days.days[0]))
    each = map if executor is None else executor.map
    work = partial(shard_sums, book=book.of_one_shard(), days=days, known=known, measures=measures, size=size)
    total = np.zeros((len(measures), size, len(days)), dtype=np.int64)
    magnitude = np.zeros((len(measures), len(days)))
    for part in each(work, facts.shards):
        total += part
        for number, measure in enumerate(part):
            magnitude[number] += np.abs(measure, dtype=np.float64).sum(axis=0)
    _guard(measures, magnitude)
    return _frame(days, measures, total)


def shard_sums(
    shard: Shard, book: Book, days: Stretch, known: tuple[Era, ...], measures: list[Measure], size: int
) -> Ints:
    """The measures of one shard: ``[measure, cell, day]``."""
    out = np.zeros((len(measures), size, len(days)), dtype=np.int64)
    places = {measure.name: out[number].reshape(-1) for number, measure in enumerate(measures)}
    for past in open_pasts(shard, book, days, known):
        _add(past, measures, Grid(size, len(days)), places)
    return np.cumsum(out, axis=2, out=out)


def _add(past: Past, measures: list[Measure], grid: Grid, places: dict[str, Ints]) -> None:
    """Lay every change of every measure on its cell and day."""
    for measure in measures:
        if measure.sql in SUMS:
            loan, place, amount = SUMS[measure.sql](past).moves(grid.width)
            np.add.at(places[measure.name], grid.key(past.ledger.loans.cell[loan], place), amount)
        if measure.sql in RAMPS:
            places[measure.name] += RAMPS[measure.sql](past).changes(past.ledger.loans.cell, grid)
    for group in groups([measure for measure in measures if measure.sql not in WHOLE]):
        for name, (cell, place, amount) in group.changes(past):
            np.add.at(places[name], grid.key(cell, place), amount)


@dataclass(frozen=True)
class Group:
    """Measures looked at together: wherever one of the columns changes."""

    columns: tuple[str, ...]
    measures: tuple[Measure, ...]

    def edges(self, name: str) -> Edges | None:
        """The days past due these measures tell apart."""
        found = [levels(measure.sql, name) for measure in self.measures]
        return None if None in found else frozenset().union(*(edges for edges in found if edges))

    def changes(self, past: Past) -> Iterator[tuple[str, tuple[Ints, Ints, Ints]]]:
        """Cell, place and amount of every change of each measure."""
        columns = {
            name: column(past, name, self.edges(name) if name in DPD else None) for name in self.columns
        }
        points = past.points(*(steps.key for steps in columns.values()))
        frame = pl.DataFrame({name: points.at(steps) for name, steps in columns.items()})
        cell = past.ledger.loans.cell[points.loan]
        for measure in self.measures:
            value = frame.select(pl.sql_expr(measure.sql).cast(pl.Int64).fill_null(0)).to_series().to_numpy()
            change = points.changes(value)
            some = np.flatnonzero(change)
            yield measure.name, (cell[some], points.place[some], change[some])


def groups(measures: Sequence[Measure]) -> list[Group]:
    """Measures by the columns they need; those of one family go together."""
    found: dict[frozenset[str], list[Measure]] = {}
    for measure in measures:
        needed = KNOWN.intersection(names_in(measure.sql))
        family = next((family for family in FAMILIES if needed <= family), needed)
        found.setdefault(family, []).append(measure)
    return [Group(_needed(members), tuple(members)) for members in found.values()]


def _needed(measures: Sequence[Measure]) -> tuple[str, ...]:
    names = {name for measure in measures for name in names_in(measure.sql)}
    return tuple(sorted(KNOWN & names))


def _guard(measures: Sequence[Measure], magnitude: Floats) -> None:
    for measure, size in zip(measures, magnitude, strict=True):
        if size.max() > LARGEST_SUM:
            raise DataError(f"{measure.name} of the whole book exceeds 64-bit sums", "see Policy.max_amount")


def _frame(days: Stretch, measures: Sequence[Measure], total: Ints) -> pl.DataFrame:
    place, cell = np.nonzero(total.any(axis=0).T)
    dates = pl.Series(days.days[place], dtype=pl.Int32).cast(pl.Date)
    values = {measure.name: total[number][cell, place] for number, measure in enumerate(measures)}
    return pl.DataFrame({"calculation_date": dates, "cell": cell, **values})
