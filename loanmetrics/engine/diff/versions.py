"""From which step to which each row of a loan stands, on the way from one version to the other."""

from collections.abc import Sequence

import polars as pl

from loanmetrics.engine.diff.events import EDITED, IN_NOW, IN_THEN, LATER, MOVED, OWN, PAID, THEN, Pair
from loanmetrics.engine.diff.rows import (
    LOAN_FIELDS,
    LOANS,
    REPAYMENTS,
    REVERSAL_FIELDS,
    SCHEDULE,
    Rows,
)

BEGIN = pl.lit(0, pl.Int64)


def versions(pair: Pair, events: pl.DataFrame) -> Rows:
    """Every row with the steps at which it stands: from ``start`` up to, not including, ``stop``.

    At step 0 stands the earlier version, at the last step the later one.
    """
    ends = events.group_by("loan_id").agg(end=pl.col("step").max() + 1)
    return Rows(
        _loans(pair, events, ends),
        pl.concat([_schedule(pair, events, ends), *_whole_schedules(pair, ends)]),
        pl.concat([_payments(pair, events, ends), _of_gone(pair, pair.then.repayments, REPAYMENTS)]),
    )


def _loans(pair: Pair, events: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    both = pair.loans.join(ends, on="loan_id")
    for name, slot in (("own", OWN), ("moved", MOVED), ("edited", EDITED)):
        step = events.filter(slot=slot).select("loan_id", pl.col("step").alias(name))
        both = both.join(step, on="loan_id", how="left")
    moved, edited = (pl.col(name).is_not_null() for name in ("moved", "edited"))
    placed = _as_then(both, tuple(LOAN_FIELDS))
    return pl.concat(
        [
            _standing(_as_then(both.filter(IN_THEN), LOANS), LOANS, BEGIN, _first("own", "moved", "edited")),
            _standing(placed.filter(moved), LOANS, pl.col("moved"), _first("edited")),
            _standing(both.filter(edited), LOANS, pl.col("edited"), pl.col("end")),
            _standing(both.filter(~IN_THEN), LOANS, pl.col("own"), pl.col("end")),
        ]
    )


def _schedule(pair: Pair, events: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """Of loans that stay."""
    steps = events.select("loan_id", "slot", "part", "step")
    both = pair.schedule.join(steps, on=["loan_id", "slot", "part"], how="left").join(ends, on="loan_id")
    changed = both.filter(IN_NOW & pl.col("step").is_not_null())
    return pl.concat(
        [
            _standing(_as_then(both.filter(IN_THEN), SCHEDULE), SCHEDULE, BEGIN, _first("step")),
            _standing(changed, SCHEDULE, pl.col("step"), pl.col("end")),
        ]
    )


def _whole_schedules(pair: Pair, ends: pl.DataFrame) -> list[pl.DataFrame]:
    """Of loans that came or went."""
    come = pair.loans.filter(~IN_THEN).select("loan_id").join(ends, on="loan_id")
    theirs = pair.now.schedule.join(come, on="loan_id")
    return [
        _standing(theirs, SCHEDULE, pl.lit(1, pl.Int64), pl.col("end")),
        _of_gone(pair, pair.then.schedule, SCHEDULE),
    ]


def _of_gone(pair: Pair, rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """A loan that goes takes all its rows with it, in one step."""
    gone = pair.loans.filter(~IN_NOW).select("loan_id")
    return _standing(rows.join(gone, on="loan_id", how="semi"), columns, BEGIN, pl.lit(1, pl.Int64))


def _payments(pair: Pair, events: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """Of loans that still stand."""
    both = pair.payments.join(ends, on="loan_id")
    for name, part in (("changed", 0), ("reversing", 1)):
        steps = events.filter(slot=PAID, part=part)
        step = steps.select("loan_id", pl.col("key").alias("repayment_id"), pl.col("step").alias(name))
        both = both.join(step, on=["loan_id", "repayment_id"], how="left")
    last = events.filter(slot=LATER).select("loan_id", pl.col("step").alias("last"))
    both = both.join(last, on="loan_id", how="left").with_columns(
        changed=pl.when("later").then("last").otherwise("changed")
    )
    changed, reversing = (pl.col(name).is_not_null() for name in ("changed", "reversing"))
    between = _as_then(both.filter(changed & reversing), tuple(REVERSAL_FIELDS))
    now = both.filter(IN_NOW & (changed | reversing))
    return pl.concat(
        [
            _standing(
                _as_then(both.filter(IN_THEN), REPAYMENTS), REPAYMENTS, BEGIN, _first("changed", "reversing")
            ),
            _standing(between, REPAYMENTS, pl.col("changed"), pl.col("reversing")),
            _standing(now, REPAYMENTS, pl.coalesce("reversing", "changed"), pl.col("end")),
        ]
    )


def _first(*steps: str) -> pl.Expr:
    return pl.coalesce(*steps, "end")


def _as_then(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """These columns as the earlier version has them."""
    earlier = {name: pl.col(f"{name}{THEN}") for name in columns if f"{name}{THEN}" in rows.columns}
    return rows.with_columns(**earlier)


def _standing(rows: pl.DataFrame, columns: Sequence[str], start: pl.Expr, stop: pl.Expr) -> pl.DataFrame:
    return rows.select(*columns, start=start.cast(pl.Int64), stop=stop.cast(pl.Int64))
