"""Payments that made a month look better than it was."""

import polars as pl

from loanmetrics.engine.review.rule import Rule, Scene, Seen, month_end


def _look(scene: Scene) -> Seen:
    rows, at = scene.rows, scene.payments
    at = at[month_end(rows.day[at]) < scene.day]
    ends, undone = month_end(rows.day[at]), rows.reversal[at]
    hits = (undone > ends) & (undone <= scene.day)
    return Seen(at, hits, {"seen_on": undone[hits], "days": (undone - ends)[hits]})


RULE = Rule(
    name="reversed_after_month_end",
    title="Reversed after the month's end",
    about=(
        "Payments dated in one month and reversed after its end. "
        "While they stood, the month was reported better than it was."
    ),
    counted="payments with cash dated in months that have ended",
    look=_look,
    says=pl.format(
        "Dated {}, reversed on {}, {} days after the month had ended.",
        pl.col("payment_date"),
        pl.col("seen_on"),
        pl.col("days"),
    ),
)
