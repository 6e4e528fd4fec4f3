"""Frames that the library returns, as tables for people: figures, cohorts, causes."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from loanmetrics.display.kinds import COHORTS, LEFT, abouts, band_columns, kinds_in, unit
from loanmetrics.display.table import Column, Table
from loanmetrics.engine.catalogue import SQL_KINDS
from loanmetrics.engine.diff.causes import CAUSES
from loanmetrics.engine.diff.told import Changed, changed
from loanmetrics.engine.metric import Metric
from loanmetrics.engine.roll import FROM, TO
from loanmetrics.engine.rollforward import MOVES
from loanmetrics.engine.vintage import AGE, VINTAGE
from loanmetrics.engine.wide import wide
from loanmetrics.formatting import cell, level, step
from loanmetrics.tables import MINOR_PER_UNIT

# Values whose kind is that of the figure that another column names.
MIXED: Final = frozenset(("value", "before", "after"))
NAMED_BY: Final = ("figure", "metric", "name")
MEANINGS: Final = {**CAUSES, **MOVES}
MOST_FIGURES = 12


def tables(frame: pl.DataFrame, rows: int, kinds: Mapping[str, str] | None = None) -> Iterator[Table]:
    """One table, or several where a frame holds several groups or figures; at most ``rows`` rows of each."""
    columns = set(frame.columns)
    if {"figure", "cause", "effect"} <= columns:
        yield from _causes(frame)
    elif {FROM, TO, "loans_share"} <= columns:
        yield from _wide(frame, FROM, TO, "loans_share", "loans")
    elif {VINTAGE, AGE, "ever_loans_share"} <= columns:
        yield from _wide(frame, VINTAGE, AGE, "ever_loans_share", "loans")
    else:
        yield plain(frame, rows, kinds)


def plain(frame: pl.DataFrame, rows: int, kinds: Mapping[str, str] | None = None, caption: str = "") -> Table:
    """A frame as it is; ``kinds`` of columns that the catalogue does not know."""
    head = frame.head(rows)
    known = {**kinds_in(frame.columns), **(kinds or {})}
    more = len(frame) - len(head)
    return Table(
        [_column(head, name, known.get(name) or _kind(head[name])) for name in head.columns],
        caption,
        f"{more:,} more rows" if more else "",
    )


def _column(frame: pl.DataFrame, name: str, kind: str) -> Column:
    by = next((other for other in NAMED_BY if other in frame.columns), None)
    if name in MIXED and by:
        named = zip(frame[name], frame[by], strict=True)
        return Column(name, [figure(value, of) for value, of in named], right=True)
    return Column(
        name,
        [cell(_units(value) if kind == "money" else value, kind) for value in frame[name]],
        right=kind not in LEFT,
        unit=unit(name, kind),
        about=abouts().get(name, ""),
        band=name in band_columns(),
    )


def _units(minor: Any) -> Decimal | None:
    """Money in units, however exactly it came: sums of SQL are decimals, averages are not whole."""
    return None if minor is None else Decimal(minor) / MINOR_PER_UNIT


def figure(value: Any, name: str) -> str:
    """A value of a measure or metric that came as a plain number, money in minor units."""
    if value is None:
        return cell(None, "text")
    kind = kinds_in([name]).get(name)
    return level(Decimal(value), kind) if kind else cell(value, "text")


def value(it: float | int | bool, metric: Metric) -> str:
    """A metric's value, be the metric in the catalogue or not."""
    return level(Decimal(it), SQL_KINDS[metric.unit])


def _kind(values: pl.Series) -> str:
    if values.dtype.is_integer():
        return "bigint"
    return "number" if values.dtype.is_numeric() else "text"


def _wide(rows: pl.DataFrame, down: str, across: str, share: str, size: str) -> Iterator[Table]:
    for group, lines in wide(rows, down, across, share, size):
        names = list(lines[0])
        yield Table([_share(lines, name, down, size) for name in names], group)


def _share(lines: Sequence[Mapping[str, object]], name: str, down: str, size: str) -> Column:
    values = [line[name] for line in lines]
    if name == down:
        return Column(name, [cell(value, "text") for value in values])
    if name == "of":
        return Column(name, [cell(value, COHORTS[size]) for value in values], right=True, unit="loans")
    shades = [value if isinstance(value, float) else 0.0 for value in values]
    return Column(name, [cell(value, "ratio") for value in values], right=True, shades=shades)


def _causes(frame: pl.DataFrame) -> Iterator[Table]:
    told = changed(frame)
    for place, one in enumerate(told[:MOST_FIGURES], 1):
        left_out = len(told) - place if place == MOST_FIGURES else 0
        yield _change(one, f"{left_out:,} more figures" if left_out else "")


def _change(one: Changed, note: str) -> Table:
    kind = kinds_in([one.name]).get(one.name, "text")
    names = ["before", *(cause.name for cause in one.causes), "after"]
    effects = [step(cause.effect, kind) for cause in one.causes]
    times = [f"{cause.times:,}" for cause in one.causes]
    return Table(
        [
            Column("", names, meanings=[MEANINGS.get(name, "") for name in names]),
            Column(
                one.name,
                [level(one.before, kind), *effects, level(one.after, kind)],
                right=True,
                unit=unit(one.name, kind),
                about=abouts().get(one.name, ""),
            ),
            Column("times", ["", *times, ""], right=True),
        ],
        one.of,
        note,
    )
