"""Why a ratio moved: because its parts moved, or because their weights did."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.metric import Metric, ratio

ZERO: Final = Fraction(0)


@dataclass(frozen=True)
class Part:
    """One part of a group: its own ratio and its share of the denominator on both days; None where it has none.

    ``rate`` is what its own ratio's change did to the group's, ``mix`` what the change of its weight did.
    """

    name: str
    before: Fraction | None
    after: Fraction | None
    weights: tuple[Fraction, Fraction]
    rate: Fraction
    mix: Fraction


def ratio_of(metric: Metric, catalogue: Catalogue) -> tuple[str, str] | None:
    """The two measures whose ratio a metric is, be it under another name; None for any other metric."""
    if metric.formula in catalogue.metrics:
        return ratio_of(catalogue.metrics[metric.formula], catalogue)
    if len(metric.needs) == 2 and metric.formula == ratio(*metric.needs):
        above, below = metric.needs
        return (above, below) if {above, below} <= catalogue.measures.keys() else None
    return None


def mix_and_rate(
    before: pl.DataFrame, after: pl.DataFrame, measures: tuple[str, str], by: Sequence[str]
) -> list[Part]:
    """The parts of a group, those that did most first; all their ``rate`` and ``mix`` sum exactly to the change.

    ``before`` and ``after`` are the group's cells; ``measures`` as ``ratio_of`` gives them. Empty where it is null.
    """
    sides = [_sums(cells, measures, by) for cells in (before, after)]
    wholes = [sum((below for _, below in side.values()), start=0) for side in sides]
    if not all(wholes):
        return []
    start = Fraction(sum(above for above, _ in sides[0].values()), wholes[0])
    parts = [
        _part(name, [side.get(name, (0, 0)) for side in sides], wholes, start)
        for name in sorted(sides[0].keys() | sides[1].keys())
    ]
    moved = [part for part in parts if part.rate or part.mix]
    return sorted(moved, key=lambda part: (-abs(part.rate + part.mix), part.name))


def _sums(cells: pl.DataFrame, measures: tuple[str, str], by: Sequence[str]) -> dict[str, tuple[int, int]]:
    name = pl.concat_str(by, separator=" / ")
    rows = cells.group_by(name.alias("part")).agg(pl.col(measures).sum())
    return {part: (above, below) for part, above, below in rows.iter_rows()}


def _part(name: str, sums: Sequence[tuple[int, int]], wholes: Sequence[int], start: Fraction) -> Part:
    was, is_ = (Fraction(above, below) if below else None for above, below in sums)
    weights = [Fraction(below, whole) for (_, below), whole in zip(sums, wholes, strict=True)]
    # A part that has no ratio on a day weighs nothing there: it only comes in or goes out.
    first = was if was is not None else is_ if is_ is not None else ZERO
    last = is_ if is_ is not None else first
    return Part(
        name,
        was,
        is_,
        (weights[0], weights[1]),
        rate=weights[1] * (last - first),
        mix=(weights[1] - weights[0]) * (first - start),
    )
