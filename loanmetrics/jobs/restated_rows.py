"""A restated row as stored, and its causes as they are stored beside it: money in units, numbers exact."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.diff.causes import PUBLISHED_OTHERWISE, RANKED_ANEW
from loanmetrics.engine.diff.shares import OF
from loanmetrics.store.restated import Restated
from loanmetrics.tables import MINOR_PER_UNIT

Told = dict[str, Any]
LOANS_NAMED: Final = 20
# Stored ratios are floats: their difference is compared a little less closely than to the twelfth decimal.
CLOSE: Final = Decimal("1e-11")


def measures_before(rows: Sequence[Restated], now: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """The measures that stood in the rows: those of ``now``, and where a figure changed, what it was."""
    standing = {row[OF]: row for row in now.iter_rows(named=True)}
    for row in rows:
        for name, measure in catalogue.measures.items():
            if name in row.before:
                standing[row.key][name] = _minor(row.before[name], measure.unit)
    return pl.DataFrame(list(standing.values()), schema=now.schema).sort(OF)


def told_of(rows: Sequence[Restated], told: pl.DataFrame, catalogue: Catalogue) -> Iterator[tuple[int, Told]]:
    """The causes of each row, as they are stored."""
    money = {name for name, kind in catalogue.columns if kind == "money"}
    found: dict[str, Told] = {row.key: {} for row in rows}
    for key, cause, times, loans in _struck(told).iter_rows():
        found[key][cause] = {"times": times, "loans": loans, "effects": {}}
    changes: dict[tuple[str, str], Decimal | None] = {}
    for key, figure, cause, change, effect in _summed(told).iter_rows():
        found[key][cause]["effects"][figure] = _units(effect, figure in money)
        changes[key, figure] = change
    for row in rows:
        causes = found[row.key]
        _add_stored(causes, row, catalogue, changes)
        yield row.number, causes


def _struck(told: pl.DataFrame) -> pl.DataFrame:
    """How often each cause struck a row, and where."""
    return told.group_by(OF, "cause", maintain_order=True).agg(
        pl.struct("loan_id", "event").n_unique().alias("times"),
        pl.col("loan_id").drop_nulls().unique().sort().head(LOANS_NAMED),
    )


def _summed(told: pl.DataFrame) -> pl.DataFrame:
    return told.group_by(OF, "figure", "cause", "change", maintain_order=True).agg(
        pl.when(pl.col("effect").null_count() == 0).then(pl.col("effect").sum())
    )


def _add_stored(
    causes: Told, row: Restated, catalogue: Catalogue, changes: dict[tuple[str, str], Decimal | None]
) -> None:
    """What only the stored row shows: its rank, and metrics that were published by other formulas."""
    if "rank" in row.before:
        _add(causes, RANKED_ANEW, "rank", _change(row, "rank"))
    for name, metric in catalogue.metrics.items():
        change = _change(row, name)
        if name in row.before and change is not None:
            known = changes.get((row.key, name), Decimal(0))
            scale = MINOR_PER_UNIT if metric.unit == "money" else 1
            rest = None if known is None else change - known / scale
            if rest is None or abs(rest) > CLOSE:
                _add(causes, PUBLISHED_OTHERWISE, name, rest)


def _add(causes: Told, cause: str, figure: str, effect: Decimal | None) -> None:
    entry = causes.setdefault(cause, {"times": 1, "loans": [], "effects": {}})
    entry["effects"][figure] = _units(effect, False)


def _change(row: Restated, name: str) -> Decimal | None:
    """The change of a stored figure, if it was and is a number."""
    before, after = row.before.get(name), (row.after or {}).get(name)
    return None if before is None or after is None else Decimal(after) - Decimal(before)


def _minor(value: Any, unit: str) -> int:
    return int(Decimal(value or 0) * (MINOR_PER_UNIT if unit == "money" else 1))


def _units(value: Decimal | None, is_money: bool) -> Decimal | int | None:
    """A number as people write it."""
    if value is None:
        return None
    exact = value / MINOR_PER_UNIT if is_money else value
    return int(exact) if exact == int(exact) else exact.normalize()
