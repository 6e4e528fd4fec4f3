"""A figure's change as people are told it: what it was, each kind of cause with all it did, what it is."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

FIGURE: Final = ("of", "figure", "before", "after", "change")
SHOWN: Final = ("effect", "times", "loan_id", "event", "largest")


@dataclass(frozen=True)
class Cause:
    """One kind of cause of a figure's change: all it did, how often, and the largest of it, by one loan and event."""

    name: str
    effect: Decimal | None
    times: int
    loan_id: str | None
    event: str
    largest: Decimal | None


@dataclass(frozen=True)
class Changed:
    """A figure that differs, with its causes, the largest first; money in minor units."""

    of: str
    name: str
    before: Decimal | None
    after: Decimal | None
    change: Decimal | None
    causes: tuple[Cause, ...]


def changed(shown: pl.DataFrame) -> list[Changed]:
    """Changed figures, their causes by kind."""
    by_kind = shown.group_by(*FIGURE, "cause", maintain_order=True).agg(
        pl.when(pl.col("effect").null_count() == 0).then(pl.col("effect").sum()),
        pl.len().alias("times"),
        pl.col("loan_id", "event").first(),
        pl.col("effect").first().alias("largest"),
    )
    largest = by_kind.sort(pl.col("effect").abs(), descending=True, nulls_last=True, maintain_order=True)
    causes: dict[tuple[Any, ...], list[Cause]] = {
        key: [] for key in shown.select(FIGURE).unique(maintain_order=True).iter_rows()
    }
    for row in largest.select(*FIGURE, "cause", *SHOWN).iter_rows():
        causes[row[: len(FIGURE)]].append(Cause(*row[len(FIGURE) :]))
    return [
        Changed(of, name, before, after, change, tuple(found))
        for (of, name, before, after, change), found in causes.items()
    ]
