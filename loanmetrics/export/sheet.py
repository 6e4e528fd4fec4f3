"""A sheet of paper about one officer: what it holds, whatever it is drawn with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from loanmetrics.errors import UsageError
from loanmetrics.export.about import About, ColumnAbout

INSTALL = "pip install 'loanmetrics[http]'"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its value as ``kind`` writes it, its band if it has any, and what it means."""

    title: str
    value: object
    kind: str
    about: str
    band: str = ""
    formula: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """What one term of the score, by its title, costs, of how many points at most, and the share that it is of."""

    term: str
    lost: float
    weight: int
    share: str


@dataclass(frozen=True, slots=True)
class Line:
    """A figure from 0 to 100 over days; None where there was none."""

    name: str
    days: Sequence[tuple[date, float | None]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything on the sheet. ``headline`` is the figure in large print, with ``facts`` beside it.

    ``turns`` are days in the picture on which formulas changed. ``loans`` holds ``columns``, money in minor units;
    ``more`` says how many loans there are beside these.
    """

    name: str
    place: str
    headline: Figure
    facts: Sequence[tuple[str, str]]
    figures: Sequence[Figure]
    points: Sequence[Points]
    lines: Sequence[Line]
    limits: Sequence[tuple[str, float]]
    columns: Sequence[ColumnAbout]
    loans: pl.DataFrame
    more: int = 0
    turns: Mapping[date, str] = field(default_factory=dict)


def write(path: Path, sheet: Sheet, about: About) -> None:
    """The sheet as a PDF, whole or not at all."""
    from loanmetrics.export import whole

    try:
        from loanmetrics.export import pdf
    except ImportError:
        raise UsageError("fpdf2 is not installed", INSTALL) from None
    whole(path, lambda partial: pdf.write(partial, sheet, about))
