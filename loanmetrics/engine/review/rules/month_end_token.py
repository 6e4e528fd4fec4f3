"""Small payments at the end of a month that bring days past due down."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from loanmetrics.engine.calendar import Flags, Ints
from loanmetrics.engine.loan_state import arrears
from loanmetrics.engine.review.rule import Rule, Scene, Seen, money, month_end
from loanmetrics.engine.sums import scattered
from loanmetrics.engine.timeline import Stock
from loanmetrics.policy import SHARE_SCALE


@dataclass(frozen=True)
class _Day:
    """Loans in arrears that were paid on one day: the first payment, how they stood before and after, what was paid."""

    first: Ints
    hits: Flags
    owed: Ints
    paid: Ints
    dpd_before: Ints
    dpd_after: Ints


def _look(scene: Scene) -> Seen:
    rows, at = scene.rows, scene.payments
    last_days = month_end(rows.day[at]) - rows.day[at] < scene.policy.review_month_end_days
    at = at[last_days & (rows.until[at] > rows.day[at])]
    stand = cache(scene.state.timeline.at)
    days = [_on(scene, int(day), at[rows.day[at] == day], stand) for day in np.unique(rows.day[at])]
    both = {name: _joined([getattr(day, name) for day in days]) for name in _Day.__dataclass_fields__}
    hits = both["hits"].astype(np.bool_)
    before, after = both["dpd_before"][hits], both["dpd_after"][hits]
    return Seen(
        both["first"],
        hits,
        {
            "seen_on": rows.day[both["first"][hits]],
            "days": before - after,
            "dpd_before": before,
            "dpd_after": after,
            "arrears": both["owed"][hits],
        },
        others=_same_day(scene, at, both["first"][hits]),
        paid=both["paid"][hits],
    )


def _on(scene: Scene, day: int, at: Ints, stand: Callable[[int], Stock]) -> _Day:
    """One day; ``at`` are the payments dated on it, ``stand`` tells how all loans stood at the end of a day."""
    state, rows = scene.state, scene.rows
    before, after = stand(day - 1), stand(day)
    first = at[np.unique(rows.loan[at], return_index=True)[1]]
    owing = arrears(state, before)
    first = first[owing[rows.loan[first]] > 0]
    loan = rows.loan[first]
    entered = np.flatnonzero((rows.day == day) & (rows.until > day))
    paid = scattered(rows.loan[entered], state.ledger.credit[entered], len(state.ledger.loans))[loan]
    owed, was, is_ = owing[loan], before.dpd[loan], after.dpd[loan]
    little = paid <= _share(owed, scene.policy.token_scaled)
    return _Day(first, little & after.on_book[loan] & (is_ < was), owed, paid, was, is_)


def _share(owed: Ints, millionths: int) -> Ints:
    """A share of what is owed, rounded down: an integer is at most the product iff it is at most this."""
    whole, rest = np.divmod(owed, SHARE_SCALE)
    share: Ints = whole * millionths + rest * millionths // SHARE_SCALE
    return share


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _same_day(scene: Scene, at: Ints, found: Ints) -> tuple[Ints, Ints]:
    """The other payments, among ``at``, of the loans and days of hits, as (place among the hits, row)."""
    keys, mine = scene.rows.key[at], scene.rows.key[found]
    start, stop = np.searchsorted(keys, mine) + 1, np.searchsorted(keys, mine, side="right")
    more = stop - start
    within = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more)
    return np.repeat(np.arange(len(found)), more), at[np.repeat(start, more) + within]


RULE = Rule(
    name="month_end_token",
    title="Token payments at month end",
    about=(
        "Payments in the last review_month_end_days days of a month that brought a loan's days past due down, though "
        "what was credited that day was at most review_token_share of what was in arrears the day before. A little "
        "money in the right place makes a loan look better on the day that is reported."
    ),
    counted="days at month end on which a loan in arrears was paid",
    look=_look,
    says=pl.format(
        "{} credited on {}, {} % of the {} in arrears the day before, and days past due went from {} to {}.",
        pl.col("amount_text"),
        pl.col("payment_date"),
        (pl.col("amount") * 100 / pl.col("arrears")).round(1).cast(pl.String),
        money("arrears"),
        pl.col("dpd_before"),
        pl.col("dpd_after"),
    ),
)
