"""What a change of measures does to the metrics above them, shared out exactly.

A metric goes from its value before to its value after in fixed steps: its definition, the policy, then one measure
after the other, in the order of the catalogue, each from what it was to what it is. What a measure's step does to the
metric is shared among the causes of that measure's change, in proportion to their effects on it. Values are taken to
twelve decimals, so that the shares sum exactly to the change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from loanmetrics.engine import formula, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.diff import causes
from loanmetrics.policy import Policy

EXACT: Final = pl.Decimal(38, 12)
OF: Final = "of"
KEY: Final = (OF, "figure")
CAUSE: Final = ("loan_id", "cause", "event")
SHARE: Final = (*KEY, *CAUSE, "effect", "order")
NOBODY = pl.lit(None, pl.String)
FIRST, LAST = (pl.lit(place, pl.UInt32) for place in (0, 2**32 - 1))


@dataclass(frozen=True)
class Side:
    """One run's groups: its measures by group, and what it says they mean. Both sides have the same groups in order."""

    groups: pl.DataFrame
    book: Book
    catalogue: Catalogue


@dataclass(frozen=True)
class Metrics:
    """The metrics to explain, between two runs; ``told`` are the effects on every measure beneath them."""

    before: Side
    after: Side
    names: Sequence[str]
    told: pl.DataFrame

    @cached_property
    def ends(self) -> pl.DataFrame:
        """Metrics that differ, as published on either side."""
        sides = [
            _long(_published(side), self.names, name)
            for side, name in ((self.before, "before"), (self.after, "after"))
        ]
        both = sides[0].join(sides[1], on=KEY)
        return both.filter(pl.col("before").ne_missing(pl.col("after")))

    @cached_property
    def known(self) -> pl.DataFrame:
        """Those that are numbers on both sides."""
        return self.ends.filter(pl.col("before").is_not_null() & pl.col("after").is_not_null())

    @cached_property
    def measures(self) -> list[str]:
        """Measures that changed anywhere, in the order of the catalogue."""
        changed = set(self.told["figure"])
        return [name for name in self.after.catalogue.measures if name in changed]

    @cached_property
    def points(self) -> pl.DataFrame:
        """Every metric after every step; the first one is the run before, the last one the run after."""
        then, now = self.before, self.after
        marks = [(label, _raw(then.groups, *way, self.names)) for label, way in self._ways()]
        groups = [
            then.groups.with_columns(now.groups.select(self.measures[:place]))
            for place in range(len(self.measures) + 1)
        ]
        moved = _raw(pl.concat(groups), now.catalogue, now.book.policy, self.names)
        size = len(then.groups)
        labels = [causes.POLICY, *self.measures]
        marks += [(label, moved.slice(place * size, size)) for place, label in enumerate(labels)]
        values = [
            mark.with_columns(step=pl.lit(step), label=pl.lit(label))
            for step, (label, mark) in enumerate(marks)
        ]
        found = _long(pl.concat(values), self.names, "value", ("step", "label"))
        found = found.join(self.known, on=KEY, how="semi").sort(*KEY, "step")
        return found.with_columns(pl.col("value").forward_fill().over(KEY))

    def _ways(self) -> list[tuple[str, tuple[Catalogue, Policy]]]:
        """What the measures before mean before any of them moves, if the definitions or the policy changed."""
        then, now = self.before, self.after
        ways = []
        if then.catalogue.metrics != now.catalogue.metrics:
            ways = [
                ("", (then.catalogue, then.book.policy)),
                (causes.DEFINITION, (now.catalogue, then.book.policy)),
            ]
        elif then.book.policy != now.book.policy:
            ways = [("", (then.catalogue, then.book.policy))]
        return ways

    @cached_property
    def steps(self) -> pl.DataFrame:
        """Steps that move a metric: from where, by how much."""
        start = pl.col("value").shift(1).over(KEY)
        moved = self.points.with_columns(start=start, part=pl.col("value") - start)
        return moved.filter(pl.col("part") != 0)


def shares(metrics: Metrics) -> pl.DataFrame:
    """Every changed metric with its causes."""
    rows = pl.concat([part.select(SHARE).cast({"effect": EXACT}) for part in _parts(metrics)])
    summed = rows.group_by(*KEY, *CAUSE).agg(
        pl.when(pl.col("effect").null_count() == 0).then(pl.col("effect").sum()), pl.col("order").min()
    )
    kept = summed.filter(pl.col("effect").is_null() | (pl.col("effect") != 0))
    change = pl.col("after") - pl.col("before")
    return kept.join(metrics.ends, on=KEY).select(
        *KEY, "before", "after", change.alias("change"), *CAUSE, "effect", "order"
    )


def _parts(metrics: Metrics) -> Iterator[pl.DataFrame]:
    money = [name for name in metrics.names if metrics.after.catalogue.metrics[name].unit == "money"]
    is_money = pl.col("figure").is_in(money)
    yield _shared(metrics.steps.filter(is_money), metrics.told, pl.Int128())
    yield _shared(metrics.steps.filter(~is_money), metrics.told, pl.Float64())
    ground = metrics.steps.filter(pl.col("label").is_in([causes.DEFINITION, causes.POLICY]))
    yield ground.with_columns(loan_id=NOBODY, cause="label", event=pl.lit(""), effect="part", order=FIRST)
    yield _rounding(metrics)
    yield _unknown(metrics)


def _shared(steps: pl.DataFrame, told: pl.DataFrame, kind: pl.DataType) -> pl.DataFrame:
    """What the step of a measure does, by the causes of the measure's change.

    Each cause takes the metric from one point to the next; the last one reaches the end of the step exactly.
    """
    causes_of = told.select(OF, pl.col("figure").alias("label"), "change", *CAUSE, "effect", "order")
    rows = steps.join(causes_of, on=[OF, "label"]).sort(*KEY, "step", "order", *CAUSE)
    way = pl.col("effect").cum_sum().over(*KEY, "step")
    whole, part, start = (pl.col(name).cast(kind) for name in ("change", "part", "start"))
    share = part * way.cast(kind) // whole if kind == pl.Int128 else part * (way.cast(kind) / whole)
    there = pl.when(way == pl.col("change")).then(pl.col("value")).otherwise((start + share).cast(EXACT))
    reached = rows.with_columns(there=there)
    came = pl.col("there").shift(1).over(*KEY, "step").fill_null(pl.col("start"))
    return reached.with_columns(effect=pl.col("there") - came)


def _rounding(metrics: Metrics) -> pl.DataFrame:
    """What rounding a score adds to its change."""
    ends = metrics.points.group_by(KEY).agg(first=pl.col("value").first(), last=pl.col("value").last())
    added = pl.col("after") - pl.col("last") - (pl.col("before") - pl.col("first"))
    return metrics.known.join(ends, on=KEY).with_columns(
        loan_id=NOBODY, cause=pl.lit(causes.ROUNDING), event=pl.lit(""), effect=added, order=LAST
    )


def _unknown(metrics: Metrics) -> pl.DataFrame:
    """Metrics that came to be a number, or ceased to be one."""
    rows = metrics.ends.join(metrics.known, on=KEY, how="anti")
    reasons = {name: metrics.after.catalogue.metrics[name].reason for name in metrics.names}
    return rows.with_columns(
        loan_id=NOBODY,
        cause=pl.lit(causes.NO_EVIDENCE),
        event=pl.col("figure").replace_strict(reasons, return_dtype=pl.String),
        effect=pl.lit(None, EXACT),
        order=FIRST,
    )


def _published(side: Side) -> pl.DataFrame:
    measures = side.groups.select(name for name in side.groups.columns if name in side.catalogue.measures)
    return run.evaluate(measures, side.book, side.catalogue).select(
        side.groups[OF], *(name for name in side.catalogue.metrics)
    )


def _raw(groups: pl.DataFrame, catalogue: Catalogue, policy: Policy, names: Sequence[str]) -> pl.DataFrame:
    """Metrics before any rounding; those that the catalogue does not know are null."""
    return groups.select(OF, *(_value(name, catalogue, policy) for name in names))


def _value(name: str, catalogue: Catalogue, policy: Policy) -> pl.Expr:
    metric = catalogue.metrics.get(name)
    if metric is None:
        return pl.lit(None, pl.Float64).alias(name)
    if metric.unit == "money":
        return pl.sql_expr(metric.formula).cast(pl.Int64).alias(name)
    return pl.sql_expr(formula.expand(metric.formula, catalogue, policy)).cast(pl.Float64).alias(name)


def _long(values: pl.DataFrame, names: Sequence[str], column: str, more: Sequence[str] = ()) -> pl.DataFrame:
    """One row per group and metric, exact; flags are 0 and 1."""
    known = [name for name in names if name in values.columns]
    kept = values.select(OF, *more, *(_exact(values[name]) for name in known))
    long = kept.unpivot(known, index=[OF, *more], variable_name="figure", value_name=column)
    return long.cast({column: EXACT, "figure": pl.String})


def _exact(values: pl.Series) -> pl.Series:
    return (values.cast(pl.Int64) if values.dtype == pl.Boolean else values).cast(EXACT)
