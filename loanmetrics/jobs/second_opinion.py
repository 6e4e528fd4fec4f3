"""Stored rows held to DuckDB: their measures to its cells, their metrics to what it makes of the same formulas."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.metric import Measure, Metric
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS = {"officers": ("officer_id",), "branches": ("region", "branch")}
# Two engines add and divide doubles in their own order.
NEAR = 1e-9


def measures(name: str, stored: pl.DataFrame, cells: pl.DataFrame, catalogue: Catalogue) -> Iterator[str]:
    """Rows whose measures are not the sums of DuckDB's cells, told by their key."""
    key = KEYS[name]
    with duckdb.connect() as second:
        second.register("cells", cells.to_arrow())
        columns = ", ".join(map(_summed, catalogue.measures.values()))
        told = second.sql(f"SELECT {', '.join(key)}, {columns} FROM cells GROUP BY ALL").pl()
    for row in _unlike(stored.select(*key, *catalogue.measures), told, key):
        yield f"{' / '.join(row)}: its measures are not the sums of its loans"


def metrics(name: str, stored: pl.DataFrame, catalogue: Catalogue, policy: Policy) -> Iterator[str]:
    """Metrics that DuckDB, given the stored measures and the metrics beneath, makes something else of."""
    with duckdb.connect() as second:
        second.register("stored", stored.to_arrow())
        _relate(second, catalogue, policy)
        for metric in catalogue.metrics.values():
            told = second.sql(f"SELECT ({metric.formula})::DOUBLE FROM given").fetchall()
            rows = stored.select(*KEYS[name], metric.name).iter_rows()
            for (*key, mine), (theirs,) in zip(rows, told, strict=True):
                expected = _half_away(theirs) if metric.rounded and theirs is not None else theirs
                if not _near(mine, expected):
                    yield f"{' / '.join(key)}: {metric.name} is {mine}, DuckDB says {expected}{_unit(metric)}"


def _summed(measure: Measure) -> str:
    if measure.kind == "sum":
        return f"sum({measure.name})::BIGINT AS {measure.name}"
    return f"count(DISTINCT officer_id) FILTER ({measure.name} > 0) AS {measure.name}"


def _unlike(stored: pl.DataFrame, told: pl.DataFrame, key: Sequence[str]) -> list[tuple[str, ...]]:
    """Keys of rows that differ. Rows of zeros count for none: officers without a loan have one here and not there."""
    names = [name for name in stored.columns if name not in key]
    some = pl.any_horizontal(pl.col(names) != 0)
    one, other = (
        side.select(*key, pl.col(names).cast(pl.Int64)).filter(some).select(*key, *names)
        for side in (stored, told)
    )
    everything = [*key, *names]
    differ = [one.join(other, on=everything, how="anti"), other.join(one, on=everything, how="anti")]
    return pl.concat(differ).select(key).unique().sort(key).rows()


def _relate(second: "DuckDBPyConnection", catalogue: Catalogue, policy: Policy) -> None:
    """The view ``given``: measures and metrics as doubles, scores also before rounding, the policy's numbers."""
    numbers = [*catalogue.measures, *catalogue.metrics]
    plain = [f"{name}::DOUBLE AS {name}" for name in numbers]
    plain += [
        f"{str(value).upper()} AS policy_{name}"
        for name, value in policy.as_dict().items()
        if isinstance(value, bool | int | float)
    ]
    rounded = [metric for metric in catalogue.metrics.values() if metric.rounded]
    unrounded = [f"({metric.formula})::DOUBLE AS {metric.name}_raw" for metric in rounded]
    second.execute(f"CREATE VIEW plain AS SELECT {', '.join(plain)} FROM stored")
    second.execute(f"CREATE VIEW given AS SELECT {', '.join(['*', *unrounded])} FROM plain")


def _near(mine: float | None, theirs: float | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return math.isclose(float(mine), float(theirs), rel_tol=NEAR, abs_tol=NEAR)


def _half_away(value: float) -> float:
    near = round(value, 9)
    return math.copysign(math.floor(abs(near) + 0.5), near)


def _unit(metric: Metric) -> str:
    return " (minor units)" if metric.unit == "money" else ""
