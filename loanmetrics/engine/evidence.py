"""What a ratio of two sums over loans can be trusted for: intervals, the funnel of chance, values drawn to the book's.

A loan is the unit of evidence: what one loan adds to numerator and denominator belongs together, however many
installments or payments it has. Sums over loans are exact integers, so their order never matters.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from math import ceil, lgamma, log, log1p, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.engine.calendar import Ints
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.metric import Measure
from loanmetrics.engine.mix import ratio_of
from loanmetrics.engine.run import PLACE
from loanmetrics.engine.state import State
from loanmetrics.errors import UsageError

Floats = npt.NDArray[np.float64]
Sums = Mapping[str, Floats]
Measures = tuple[Measure, Measure]
KindsOf = Callable[[State], Mapping[str, Ints]]
# Two-sided 95 % and 99.8 %: the usual lines of a funnel plot.
USUAL, FAR = 1.959963984540054, 3.090232306167813
# The upper tail that the funnel's limits leave out.
RARE: Final = 0.001
# As a share of the centre: what is beyond a limit by less is so by rounding.
ROUNDING: Final = 1e-9
SUMS = ("above", "below", "above_above", "above_below", "below_below", "loans")
INSIDE, HIGH, LOW, TOO_FEW = "inside", "high", "low", "too few"
TOLD: Final = pl.Schema(
    {
        "loans": pl.Int64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "shrunk": pl.Float64(),
        "funnel_low": pl.Float64(),
        "funnel_high": pl.Float64(),
        "stands": pl.String(),
    }
)


def measures(catalogue: Catalogue, metric: str) -> Measures:
    """Numerator and denominator of a ratio of two sums over loans; any other metric is refused."""
    names = ratio_of(catalogue.metric(metric), catalogue)
    if not _is_known(catalogue, names):
        known = ", ".join(judged(catalogue))
        raise UsageError(f"{metric} is no ratio of two sums over loans", f"such are {known}")
    above, below = (catalogue.measures[name] for name in names or ())
    return above, below


def judged(catalogue: Catalogue) -> list[str]:
    """Metrics of which this can be told: ratios of two sums over loans."""
    return [name for name, it in catalogue.metrics.items() if _is_known(catalogue, ratio_of(it, catalogue))]


def _is_known(catalogue: Catalogue, names: tuple[str, str] | None) -> bool:
    return names is not None and all(catalogue.measures[name].kind == "sum" for name in names)


def yes_or_no(both: Measures) -> bool:
    """Whether each loan is a yes or a no: it counts once or does not."""
    return all(measure.sql.endswith("THEN 1 ELSE 0 END") for measure in both)


def no_kinds(_: State) -> Mapping[str, Ints]:
    """All loans are of one kind."""
    return {}


def gathered(
    book: Book,
    both: Measures,
    by: Sequence[str],
    executor: Executor | None = None,
    kinds: KindsOf = no_kinds,
    names: Sequence[str] = (),
) -> pl.DataFrame:
    """By group, in order, the exact sums, squares and products over loans that say anything.

    ``by`` are columns of a place or ``names`` of what ``kinds`` tells of each loan.
    """
    parts = run.each_shard(book, partial(_sums, both=both, kinds=kinds), executor)
    keys = pl.Schema(dict.fromkeys(("cell", *names), pl.Int64()))
    schema = pl.Schema({**keys, **dict.fromkeys(SUMS, pl.Int128())})
    places = book.facts.cells.cast({"cell": pl.Int64}).select("cell", *PLACE)
    named = pl.concat([pl.DataFrame(schema=schema), *parts]).join(places, on="cell", how="left")
    return named.group_by(by).agg(pl.col(SUMS).sum()).filter(pl.col("loans") > 0).sort(by)


def _sums(state: State, both: Measures, kinds: KindsOf) -> pl.DataFrame:
    """One shard's sums by cell and kind."""
    told = kinds(state)
    values = [
        pl.sql_expr(measure.sql).cast(pl.Int128).alias(name)
        for name, measure in zip(("above", "below"), both, strict=True)
    ]
    frame = (
        state.frame()
        .select("cell", *values)
        .with_columns(**{name: pl.Series(it) for name, it in told.items()})
    )
    n, d = pl.col("above"), pl.col("below")
    squares = {
        "above_above": n * n,
        "above_below": n * d,
        "below_below": d * d,
        "loans": pl.lit(1, pl.Int128),
    }
    said = frame.filter((n != 0) | (d != 0)).with_columns(**squares)
    return said.group_by("cell", *told).agg(pl.col(SUMS).sum())


def floats(sums: pl.DataFrame, names: Sequence[str] = SUMS) -> dict[str, Floats]:
    """Exact sums as numbers to divide."""
    return {name: sums[name].cast(pl.Float64).to_numpy() for name in names}


def told(sums: Sums, centre: float, variance: Floats, least: int, *, yes_or_no: bool) -> dict[str, pl.Series]:
    """What can be told of groups that are held to ``centre``: the columns of ``TOLD``, and the ``value`` itself.

    ``variance`` is what chance would do to each numerator if the group were like all; ``least`` loans are needed to
    stand out. Where each loan is a yes or a no there is ``chance`` too, of so many or more; who stands high has one
    under 1 in 1000, as the funnel's limits are those of a normal curve, too narrow for what is rare.
    """
    loans, below = sums["loans"], sums["below"]
    value, spread = divided(sums["above"], below), divided(np.sqrt(variance), below)
    low, high = interval(sums, yes_or_no=yes_or_no)
    limits = np.maximum(0, centre - FAR * spread), centre + FAR * spread
    few = loans < max(least, 2)
    beyond = value > limits[1] + ROUNDING * centre
    beneath = value < limits[0] - ROUNDING * centre
    chances = _chances(sums, centre) if yes_or_no else np.full(len(loans), np.nan)
    return {
        "value": _series(value),
        "loans": pl.Series(loans).cast(pl.Int64),
        "low": _series(low),
        "high": _series(high),
        "shrunk": _series(shrunk(value, spread, centre)),
        "funnel_low": _series(limits[0]),
        "funnel_high": _series(limits[1]),
        "stands": pl.Series(
            np.select([few, beyond & ~(chances > RARE), beneath], [TOO_FEW, HIGH, LOW], INSIDE)
        ),
        "chance": _series(chances),
    }


def _chances(sums: Sums, centre: float) -> Floats:
    """How likely so many yeses or more would be, of as many loans, if each group were like all."""
    expected = centre * sums["below"]
    groups = zip(sums["above"].tolist(), sums["loans"].tolist(), expected.tolist(), strict=True)
    return np.array([so_many(int(yes), ceil(loans), mean / loans) for yes, loans, mean in groups])


def so_many(hits: int, count: int, rate: float) -> float:
    """How likely ``hits`` or more of ``count`` are, each with this probability.

    >>> round(so_many(1, 2, 0.5), 9), so_many(0, 5, 0.1), round(so_many(2, 10, 0.01), 6)
    (0.75, 1.0, 0.004266)
    """
    if hits <= 0 or rate >= 1:
        return 1.0
    if rate <= 0 or hits > count:
        return 0.0
    if hits <= count * rate:
        return 1.0 - so_many(count - hits + 1, count, 1 - rate)
    # Beyond the mean the terms fall, and vanish long before they end.
    last = min(count, hits + 1_000 + ceil(40 * sqrt(count * rate * (1 - rate))))
    some = np.arange(hits, last, dtype=np.float64)
    first = lgamma(count + 1) - lgamma(hits + 1) - lgamma(count - hits + 1)
    first += hits * log(rate) + (count - hits) * log1p(-rate)
    steps = np.log((count - some) / (some + 1)) + log(rate) - log1p(-rate)
    terms = np.exp(first + np.concatenate([[0.0], np.cumsum(steps)]))
    return min(1.0, float(terms.sum()))


def _series(values: Floats) -> pl.Series:
    return pl.Series(values).fill_nan(None)


def divided(above: Floats, below: Floats) -> Floats:
    """Quotients; NaN where there is nothing to divide by."""
    quotient: Floats = np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
    return quotient


def interval(sums: Sums, *, yes_or_no: bool) -> tuple[Floats, Floats]:
    """Where the ratio of such loans lies with 95 % confidence; NaN where a single loan says it all."""
    loans, below = sums["loans"], sums["below"]
    if yes_or_no:
        scale = divided(loans, below)
        low, high = (end * scale for end in wilson(sums["above"] / loans, loans))
    else:
        value = divided(sums["above"], below)
        half = USUAL * error(value, sums) * np.sqrt(loans / np.maximum(loans - 1, 1))
        low, high = np.maximum(0, value - half), value + half
    return np.where(loans < 2, np.nan, low), np.where(loans < 2, np.nan, high)


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


def residuals(ratio: Floats, sums: Sums) -> Floats:
    """The squares of what loans add to the numerator beyond ``ratio`` times what they add to the denominator."""
    squares = sums["above_above"] - 2 * ratio * sums["above_below"] + ratio * ratio * sums["below_below"]
    left: Floats = np.maximum(0, squares)
    return left


def error(ratio: Floats, sums: Sums) -> Floats:
    """The standard error of a ratio of sums over independent loans, by linearisation."""
    return divided(np.sqrt(residuals(ratio, sums)), sums["below"])
