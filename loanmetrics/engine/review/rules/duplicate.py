"""One payment entered twice."""

import numpy as np
import polars as pl

from loanmetrics.engine.review.rule import Rule, Scene, Seen


def _look(scene: Scene) -> Seen:
    rows, near = scene.rows, scene.policy.review_duplicate_days
    standing = scene.state.counts & (rows.cash > 0) & (rows.day > scene.since - near)
    at = np.flatnonzero(standing)
    at = at[np.lexsort((rows.day[at], rows.amount[at], rows.loan[at]))]
    again = np.zeros(len(at), dtype=np.bool_)
    again[1:] = (
        (np.diff(rows.loan[at]) == 0) & (np.diff(rows.amount[at]) == 0) & (np.diff(rows.day[at]) <= near)
    )
    earlier = np.concatenate([at[:1], at[:-1]])
    inside = rows.day[at] > scene.since
    at, again, earlier = at[inside], again[inside], earlier[inside]
    first = earlier[again]
    apart = rows.day[at[again]] - rows.day[first]
    return Seen(at, again, {"seen_on": rows.day[first], "days": apart}, others=(np.arange(len(first)), first))


RULE = Rule(
    name="duplicate",
    title="Duplicate receipts",
    about=(
        "Payments of the same amount on the same loan as an earlier one, at most review_duplicate_days days apart, "
        "both standing. One receipt entered twice makes a loan look better paid than it is; of loans repaid by "
        "the day, equal amounts on days that follow each other are the rule: there the policy sets these days to 0."
    ),
    counted="standing payments with cash",
    look=_look,
    says=pl.format(
        "{} on {}, and the same amount on {} as {}.",
        pl.col("amount_text"),
        pl.col("payment_date"),
        pl.col("seen_on"),
        pl.col("other_repayment_ids"),
    ),
)
