"""Ratios held to the book's loans of the same kinds: indirect standardisation, so that the mix of loans speaks no more.

Nothing here enters a figure, a band or a rank.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Final

import numpy as np
import polars as pl

from loanmetrics.engine import evidence
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.evidence import SUMS, TOLD, Floats, divided
from loanmetrics.engine.kinds import Kinds, suited
from loanmetrics.engine.run import GROUPS

SCHEMA: Final = pl.Schema(
    {
        "value": pl.Float64(),
        "expected": pl.Float64(),
        "relative": pl.Float64(),
        "adjusted": pl.Float64(),
        **TOLD,
        "alone": pl.Float64(),
    }
)
Parts = dict[str, Floats]


def peers(
    book: Book,
    metric: str,
    by: Sequence[str] = GROUPS["officer"],
    traits: Sequence[str] | None = None,
    executor: Executor | None = None,
) -> pl.DataFrame:
    """One row per group that has the ratio, by how far it stands out once the kinds of its loans are allowed for.

    ``value``: the ratio as it is. ``expected``: what it would be if each kind of loan did as in the whole book.
    ``relative``: observed by expected; times the book's ratio that is ``adjusted``, whose interval, shrunk value and
    funnel are those of ``certainty``. ``alone``: the share of its denominator in kinds of which it holds more than
    half, where it is held mostly to itself. Loans of kinds that add nothing to any denominator have no peers and are
    left out of what is observed. Null where nothing is expected of any of its kinds.
    """
    both = evidence.measures(load(book.policy, book.as_of), metric)
    kinds = Kinds.of(book, suited(traits, by, metric, both[0]))
    parts = by_kind(book, both, by, kinds, executor)
    groups = parts.group_by(by).agg(pl.col(SUMS).sum()).filter(pl.col("below") > 0).sort(by)
    if groups.is_empty():
        return pl.DataFrame(schema={**dict.fromkeys(by, pl.String()), **SCHEMA})
    whole = parts.select(pl.col("above", "below").sum().cast(pl.Float64))
    centre = float(whole["above"][0] / whole["below"][0])
    has_it = pl.col("below").sum().over(by) > 0 if by else pl.lit(True)
    compared = parts.filter(has_it, pl.col("below_all") > 0)
    sums = _summed(compared, by, _standardised(compared, centre))
    told = evidence.told(
        sums, centre, sums["variance"], book.policy.min_rank_loans, yes_or_no=evidence.yes_or_no(both)
    )
    found = groups.with_columns(**_told(groups, sums, told))
    out = (pl.col("adjusted") - centre).abs()
    ordered = found.sort(out, *by, descending=[True, *[False] * len(by)], nulls_last=True)
    return ordered.select(*by, *SCHEMA)


def _told(groups: pl.DataFrame, sums: Parts, told: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """What is told of the adjusted ratio, and beside it the ratio as it is and what was expected."""
    raw = evidence.floats(groups, ("above", "below"))
    return {
        **told,
        "value": pl.Series(raw["above"] / raw["below"]),
        "expected": pl.Series(sums["expected"] / raw["below"]),
        "relative": pl.Series(divided(sums["above"], sums["expected"])).fill_nan(None),
        "adjusted": told["value"],
        "alone": pl.Series(sums["alone"] / raw["below"]),
    }


def by_kind(
    book: Book, both: evidence.Measures, by: Sequence[str], kinds: Kinds, executor: Executor | None = None
) -> pl.DataFrame:
    """By group and kind of loan, in order, the group's exact sums, and beside them ``_all`` those of the whole book."""
    keys = tuple(dict.fromkeys((*by, *kinds.traits)))
    parts = evidence.gathered(book, both, keys, executor, kinds.told, kinds.per_loan)
    whole = parts.group_by(kinds.traits).agg(pl.col(SUMS).sum())
    if not kinds.traits:
        return parts.join(whole, how="cross", suffix="_all")
    return parts.join(whole, on=list(kinds.traits), how="left", suffix="_all").sort(keys)


def _standardised(parts: pl.DataFrame, centre: float) -> Parts:
    """Each part's sums with its denominator weighed by how its kind's ratio stands to the book's, ``centre``."""
    mine = evidence.floats(parts)
    every = evidence.floats(parts.select(pl.col(f"{name}_all").alias(name) for name in SUMS))
    ratio = every["above"] / every["below"]
    weight = ratio / centre if centre else np.ones(len(ratio))
    return {
        **mine,
        "below": weight * mine["below"],
        "above_below": weight * mine["above_below"],
        "below_below": weight * weight * mine["below_below"],
        "variance": evidence.residuals(ratio, every) / every["loans"] * mine["loans"],
        "expected": ratio * mine["below"],
        "alone": np.where(mine["below"] > every["below"] - mine["below"], mine["below"], 0.0),
    }


def _summed(parts: pl.DataFrame, by: Sequence[str], values: Parts) -> Parts:
    """Sums by group, always added in the order of the parts: the same to the last bit wherever they are made."""
    sizes = parts.group_by(by, maintain_order=True).len()["len"].cast(pl.Int64).to_numpy()
    first = np.cumsum(sizes) - sizes
    return {name: np.add.reduceat(value, first) for name, value in values.items()}
