"""How much a ratio of few loans can be trusted: intervals, funnel limits, and a value shrunk towards the book's.

Nothing here enters a figure, a band or a rank. A loan is the unit of evidence: what one loan adds to numerator and
denominator belongs together, however many installments or payments it has.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.metric import Measure
from loanmetrics.engine.mix import ratio_of
from loanmetrics.engine.run import GROUPS, PLACE
from loanmetrics.engine.state import State
from loanmetrics.errors import UsageError

Floats = npt.NDArray[np.float64]
# Two-sided 95 % and 99.8 %: the usual lines of a funnel plot.
USUAL, FAR = 1.959963984540054, 3.090232306167813
SUMS = ("above", "below", "above_above", "above_below", "below_below", "loans")
INSIDE, HIGH, LOW, TOO_FEW = "inside", "high", "low", "too few"
SCHEMA: Final = pl.Schema(
    {
        "value": pl.Float64(),
        "loans": pl.Int64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "shrunk": pl.Float64(),
        "funnel_low": pl.Float64(),
        "funnel_high": pl.Float64(),
        "stands": pl.String(),
    }
)


def certainty(
    book: Book, metric: str, by: Sequence[str] = GROUPS["officer"], executor: Executor | None = None
) -> pl.DataFrame:
    """One row per group that has the ratio, by how far it stands out; only ratios of two sums over loans have this.

    ``loans``: loans that say anything about it. ``low``, ``high``: where the ratio of such loans lies with 95 %
    confidence; Wilson's interval where each loan is a yes or a no, else by linearisation over loans. ``funnel_low``,
    ``funnel_high``: between them 99.8 % of groups of this size would lie if all were like the book. ``stands``:
    high, low or inside of these; too few under ``Policy.min_rank_loans``. ``shrunk``: the value drawn towards the
    book's, the more the fewer its loans (empirical Bayes).
    """
    catalogue = load(book.policy, book.as_of)
    above, below = _measures(catalogue, metric)
    parts = run.each_shard(book, partial(_sums, above=above, below=below), executor)
    cells = book.facts.cells.cast({"cell": pl.Int64}).select("cell", *PLACE)
    named = pl.concat([pl.DataFrame(schema=_schema()), *parts]).join(cells, on="cell", how="left")
    groups = named.group_by(by).agg(pl.col(SUMS).sum()).filter(pl.col("below") > 0).sort(by)
    if groups.is_empty():
        return groups.select(by).with_columns(pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items())
    whole = groups.select(pl.col(SUMS).sum())
    found = _judged(
        groups, whole, yes_or_no=_is_flag(above) and _is_flag(below), least=book.policy.min_rank_loans
    )
    typed = [pl.col(name).cast(kind) for name, kind in SCHEMA.items()]
    out = (pl.col("value") - float(whole["above"][0]) / float(whole["below"][0])).abs()
    return found.sort(out, *by, descending=[True, *[False] * len(by)]).select(*by, *typed)


def _measures(catalogue: Catalogue, metric: str) -> tuple[Measure, Measure]:
    declared = catalogue.metric(metric)
    names = ratio_of(declared, catalogue)
    measures = [catalogue.measures[name] for name in names or ()]
    if not measures or any(measure.kind != "sum" for measure in measures):
        known = ", ".join(judged(catalogue))
        raise UsageError(f"{metric} is no ratio of two sums over loans", f"such are {known}")
    return measures[0], measures[1]


def judged(catalogue: Catalogue) -> list[str]:
    """Metrics whose certainty can be told: ratios of two sums over loans."""
    return [name for name, it in catalogue.metrics.items() if _is_known(catalogue, ratio_of(it, catalogue))]


def _is_known(catalogue: Catalogue, names: tuple[str, str] | None) -> bool:
    return names is not None and all(catalogue.measures[name].kind == "sum" for name in names)


def _is_flag(measure: Measure) -> bool:
    """Whether a loan either counts once or does not."""
    return measure.sql.endswith("THEN 1 ELSE 0 END")


def _schema() -> pl.Schema:
    return pl.Schema({"cell": pl.Int64(), **dict.fromkeys(SUMS, pl.Float64())})


def _sums(state: State, above: Measure, below: Measure) -> pl.DataFrame:
    """By cell, the sums, squares and products over loans that intervals are made of."""
    both = {
        name: pl.sql_expr(measure.sql).cast(pl.Float64).alias(name)
        for name, measure in (("above", above), ("below", below))
    }
    loans = (
        state.frame().select("cell", *both.values()).filter((pl.col("above") != 0) | (pl.col("below") != 0))
    )
    n, d = pl.col("above"), pl.col("below")
    squares = {"above_above": n * n, "above_below": n * d, "below_below": d * d, "loans": pl.lit(1.0)}
    return loans.with_columns(**squares).group_by("cell").agg(pl.col(SUMS).sum()).cast(dict(_schema()))  # type: ignore[arg-type]


def _judged(groups: pl.DataFrame, whole: pl.DataFrame, *, yes_or_no: bool, least: int) -> pl.DataFrame:
    sums = {name: groups[name].to_numpy() for name in SUMS}
    loans, below = sums["loans"], sums["below"]
    value = sums["above"] / below
    centre = float(whole["above"][0]) / float(whole["below"][0])
    if yes_or_no:
        low, high = wilson(value, loans)
        spread = np.sqrt(centre * (1 - centre) / loans)
    else:
        error = _error(value, sums) * np.sqrt(loans / np.maximum(loans - 1, 1))
        low, high = np.maximum(0, value - USUAL * error), value + USUAL * error
        one = _error(np.array([centre]), {name: whole[name].to_numpy() for name in SUMS})[0]
        # What a loan adds to the whole book's uncertainty, for as many loans as the group has.
        spread = one * float(whole["below"][0]) / np.sqrt(float(whole["loans"][0])) * np.sqrt(loans) / below
    few = loans < max(least, 2)
    limits = np.maximum(0, centre - FAR * spread), centre + FAR * spread
    stands = np.select([few, value > limits[1], value < limits[0]], [TOO_FEW, HIGH, LOW], INSIDE)
    return groups.drop("loans").with_columns(
        value=pl.Series(value),
        loans=pl.Series(loans),
        low=pl.Series(np.where(loans < 2, np.nan, low)).fill_nan(None),
        high=pl.Series(np.where(loans < 2, np.nan, high)).fill_nan(None),
        shrunk=pl.Series(shrunk(value, spread, centre)),
        funnel_low=pl.Series(limits[0]),
        funnel_high=pl.Series(np.minimum(1, limits[1]) if yes_or_no else limits[1]),
        stands=pl.Series(stands),
    )


def wilson(share: Floats, count: Floats, z: float = USUAL) -> tuple[Floats, Floats]:
    """Wilson's score interval of a share of ``count`` loans.

    >>> low, high = wilson(np.array([0.0, 0.5]), np.array([10.0, 10.0]))
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.2366], [0.2775, 0.7634])
    """
    scale = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return np.maximum(0, middle - half), np.minimum(1, middle + half)


def shrunk(value: Floats, spread: Floats, centre: float) -> Floats:
    """Values drawn towards ``centre`` by how much of their variance is chance; between groups after DerSimonian-Laird.

    >>> shrunk(np.array([0.1, 0.1]), np.array([0.01, 0.5]), 0.1).tolist()
    [0.1, 0.1]
    """
    chance = spread * spread
    known = chance > 0
    if known.sum() < 2:
        return value
    weight = 1 / chance[known]
    middle = (weight * value[known]).sum() / weight.sum()
    excess = (weight * (value[known] - middle) ** 2).sum() - (known.sum() - 1)
    scale = weight.sum() - (weight * weight).sum() / weight.sum()
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    total = between + chance
    kept = np.divide(between, total, out=np.ones_like(total), where=total > 0)
    drawn: Floats = kept * value + (1 - kept) * centre
    return drawn


def _error(ratio: Floats, sums: dict[str, Floats]) -> Floats:
    """The standard error of a ratio of sums over independent loans, by linearisation."""
    residuals = sums["above_above"] - 2 * ratio * sums["above_below"] + ratio * ratio * sums["below_below"]
    error: Floats = np.sqrt(np.maximum(0, residuals)) / sums["below"]
    return error
