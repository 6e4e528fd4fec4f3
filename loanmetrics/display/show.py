"""``lm.show``: what the library returns, as people read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from loanmetrics.display import definitions, frames
from loanmetrics.display.table import Table
from loanmetrics.engine.metric import Metric
from loanmetrics.errors import UsageError, unknown

ROWS = 20
KINDS = ("money", "ratio", "bigint", "score", "points", "number", "date", "bool", "text")


@dataclass(frozen=True)
class Shown:
    """Tables for people: HTML in a notebook, text elsewhere."""

    tables: Sequence[Table]

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables)

    def __repr__(self) -> str:
        return "\n\n".join(table.text() for table in self.tables)


def show(what: pl.LazyFrame | pl.DataFrame | Metric | str, rows: int = ROWS, **kinds: str) -> Shown:
    """A frame as people read it, or the definition of a metric or measure.

    Money, which comes in minor units, is shown in units, ratios in per cent, bands with their colours; roll matrices
    and vintages across the page, and what changed a figure as opening, causes and closing. A lazy frame is collected
    for it. Frames stay exact: this is the last step, for the eye. ``kinds`` tells how columns of your own are to be
    shown, as in ``owed="money"``.

    >>> from loanmetrics import Book, compute, show
    >>> show(compute(Book.sample(), "total_portfolio", "fimr", by="book"))
    total_portfolio    fimr  fimr_band
     162,224,726.67  18.3 %  Flag
    """
    if isinstance(what, Metric | str):
        defined = what if isinstance(what, Metric) else definitions.define(what)
        return Shown([definitions.facts(defined), *definitions.bands(defined), *definitions.terms(defined)])
    if rows < 1:
        raise UsageError(f"{rows} rows show nothing", "rows=20")
    frame = what.collect() if isinstance(what, pl.LazyFrame) else what
    for name, kind in kinds.items():
        if name not in frame.columns:
            raise unknown("column", name, frame.columns)
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
    return Shown(list(frames.tables(frame, rows, kinds)))
