"""How often each officer's payments meet a rule, held against the book; and the hits one by one, with evidence.

Payments of one loan belong together, so what an officer's payments say is taken as so much less as, over the whole
book, hits come in bunches by loan (the design effect of cluster samples); evidence.py does the rest.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from loanmetrics.engine import evidence
from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.evidence import SUMS, TOO_FEW, Sums
from loanmetrics.engine.review.rule import Scene, Seen, rules
from loanmetrics.engine.roll import NO_CHANNELS
from loanmetrics.engine.run import GROUPS, PLACE
from loanmetrics.engine.state import open_shard

RULE: Final = "rule"
BY_CELL: Final = pl.Schema({RULE: pl.String(), "cell": pl.Int64(), **dict.fromkeys(SUMS, pl.Int64())})
SCHEMA: Final = pl.Schema(
    {
        RULE: pl.String(),
        "loans": pl.Int64(),
        "opportunities": pl.Int64(),
        "hits": pl.Int64(),
        "rate": pl.Float64(),
        "base_rate": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "funnel_low": pl.Float64(),
        "funnel_high": pl.Float64(),
        "chance": pl.Float64(),
        "stands": pl.String(),
    }
)


def review(
    book: Book,
    names: Sequence[str],
    by: Sequence[str] = GROUPS["officer"],
    executor: Executor | None = None,
) -> pl.DataFrame:
    """One row per rule and group that the rule had anything to look at; what chance explains least comes first.

    ``low``, ``high``: where the rate lies with 95 % confidence. ``chance``: how likely so many hits or more would be
    if the group were like the book. ``stands``: high only beyond the funnel and with a chance under 1 in 1000; too
    few under ``Policy.min_rank_loans``, and then chance is not told.
    """
    work = partial(_tallied, book=book.of_one_shard(), names=tuple(names))
    parts = list((map if executor is None else executor.map)(work, book.facts.shards))
    cells = book.facts.cells.cast({"cell": pl.Int64}).select("cell", *PLACE)
    named = pl.concat([pl.DataFrame(schema=BY_CELL), *parts]).join(cells, on="cell", how="left")
    groups = named.group_by(RULE, *by).agg(pl.col(SUMS).sum()).sort(RULE, *by)
    least = max(book.policy.min_rank_loans, 2)
    judged = [_judged(part, least) for part in groups.partition_by(RULE, maintain_order=True)]
    typed = [pl.col(name).cast(kind) for name, kind in SCHEMA.items()]
    blank = pl.DataFrame(schema={**{name: pl.String() for name in by}, **SCHEMA})
    found = pl.concat([blank, *(part.select(*by, *typed) for part in judged)])
    order = ["chance", "hits", RULE, *by]
    return found.sort(order, descending=[name == "hits" for name in order], nulls_last=True)


def scene(shard: Shard, book: Book) -> Scene:
    """One shard at the end of the book's day, as rules see it."""
    ordered = shard.in_order()
    return Scene(open_shard(ordered, book, NO_CHANNELS), ordered.repayments)


def _tallied(shard: Shard, book: Book, names: Sequence[str]) -> pl.DataFrame:
    """By rule and cell, the sums over loans that rates and their intervals are made of."""
    here = scene(shard, book)
    return pl.concat([_by_cell(here, name, rules()[name].look(here)) for name in names])


def _by_cell(here: Scene, name: str, seen: Seen) -> pl.DataFrame:
    loans = here.state.ledger.loans
    count, found = (
        np.bincount(here.rows.loan[rows], minlength=len(loans)) for rows in (seen.opportunities, seen.found)
    )
    sums = (found, count, found * found, found * count, count * count, count > 0)
    frame = pl.DataFrame({"cell": loans.cell, **dict(zip(SUMS, sums, strict=True))}).filter("loans")
    summed = frame.group_by("cell").agg(pl.col(SUMS).cast(pl.Int64).sum())
    return summed.select(pl.lit(name, pl.String).alias(RULE), *(pl.col(it) for it in BY_CELL if it != RULE))


def _judged(groups: pl.DataFrame, least: int) -> pl.DataFrame:
    sums, whole = evidence.floats(groups), evidence.floats(groups.select(pl.col(SUMS).sum()))
    centre, bunched = float(whole["above"][0] / whole["below"][0]), _bunched(whole)
    alone = {"above": sums["above"] / bunched, **dict.fromkeys(("below", "loans"), sums["below"] / bunched)}
    told = evidence.told(alone, centre, centre * (1 - centre) * alone["below"], 0, yes_or_no=True)
    told["rate"] = pl.Series(evidence.divided(sums["above"], sums["below"]))
    del told["value"]
    few = (sums["loans"] < least) | (told["stands"] == TOO_FEW).to_numpy()
    told["stands"] = pl.Series(np.where(few, TOO_FEW, told["stands"].to_numpy()))
    told["chance"] = pl.Series(np.where(few, np.nan, told["chance"].to_numpy())).fill_nan(None)
    return groups.with_columns(
        **{name: values for name, values in told.items() if name != "loans"},
        hits="above",
        opportunities="below",
        base_rate=pl.lit(centre),
    ).with_columns(pl.col("funnel_high").clip(upper_bound=1))


def _bunched(whole: Sums) -> float:
    """How much more hits vary by loan than if each opportunity were on its own; at least 1."""
    rate = whole["above"] / whole["below"]
    alone = float((rate * (1 - rate) * whole["below"])[0])
    return max(1.0, float(evidence.residuals(rate, whole)[0]) / alone) if alone > 0 else 1.0
