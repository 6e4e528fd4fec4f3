"""Payments entered with a date long past."""

import numpy as np
import polars as pl

from loanmetrics.engine.calendar import NEVER
from loanmetrics.engine.review.rule import Rule, Scene, Seen


def _look(scene: Scene) -> Seen:
    rows = scene.rows
    at = scene.payments[(scene.recorded[scene.payments] != NEVER) | rows.backdated[scene.payments]]
    known = scene.recorded[at] != NEVER
    lag = scene.recorded[at] - rows.day[at]
    hits = rows.backdated[at] | (known & (lag > scene.policy.review_backdated_days))
    evidence = {
        "seen_on": scene.recorded[at],
        "days": np.where(known, lag, NEVER),
        "marked": rows.backdated[at].astype(np.int64),
    }
    return Seen(at, hits, {name: values[hits] for name, values in evidence.items()})


RULE = Rule(
    name="backdated",
    title="Backdated payments",
    about=(
        "Payments recorded more than review_backdated_days days after the day they are dated, or marked as backdated. "
        "A payment dated back makes a late loan look as if it had been paid in time."
    ),
    counted="payments with cash whose day of recording is known",
    look=_look,
    says=pl.when(pl.col("seen_on").is_null())
    .then(
        pl.format(
            "Dated {} and marked as backdated; when it was recorded is not known.", pl.col("payment_date")
        )
    )
    .otherwise(
        pl.format(
            "Dated {}, recorded on {}, {} days after{}.",
            pl.col("payment_date"),
            pl.col("seen_on"),
            pl.col("days"),
            pl.when(pl.col("marked") == 1).then(pl.lit("; marked as backdated")).otherwise(pl.lit("")),
        )
    ),
)
