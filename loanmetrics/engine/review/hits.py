"""The hits of review rules one by one, each with evidence that can be checked against the paper."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.calendar import NEVER
from loanmetrics.engine.review.rule import EVIDENCE, Rule, Scene, Seen, money, rules
from loanmetrics.engine.review.tally import RULE, scene
from loanmetrics.engine.run import PLACE

SCHEMA: Final = pl.Schema(
    {
        RULE: pl.String(),
        "loan_id": pl.String(),
        **dict.fromkeys(PLACE, pl.String()),
        "repayment_id": pl.String(),
        "other_repayment_ids": pl.String(),
        "payment_date": pl.Date(),
        "amount": pl.Int64(),
        **EVIDENCE,
        "seen": pl.String(),
    }
)
ORDER: Final = (RULE, "payment_date", "loan_id", "repayment_id")


def hits(book: Book, names: Sequence[str], executor: Executor | None = None) -> pl.DataFrame:
    """One row per hit, by rule, the latest first.

    ``seen`` says in a sentence what was seen. ``amount``: of the payment, or all that was credited that day where
    days past due fell (minor units). ``seen_on``: the day it was recorded, reversed, or the other payment's.
    ``days``: the lag, the days after the month's end, by how much days past due fell, or the days between two
    payments. Rows and officers are those of the facts: the officer is the loan's.
    """
    work = partial(_found, book=book.of_one_shard(), names=tuple(names))
    parts = list((map if executor is None else executor.map)(work, book.facts.shards))
    cells = book.facts.cells.cast({"cell": pl.Int64}).select("cell", *PLACE)
    blank = pl.DataFrame(schema={"cell": pl.Int64(), **{n: k for n, k in SCHEMA.items() if n not in PLACE}})
    whole = pl.concat([blank, *parts]).join(cells, on="cell", how="left").select(*SCHEMA)
    return whole.sort(ORDER, descending=[name == "payment_date" for name in ORDER])


def _found(shard: Shard, book: Book, names: Sequence[str]) -> pl.DataFrame:
    here = scene(shard, book)
    seen = {name: rules()[name].look(here) for name in names}
    ids = here.entered.select("repayment_id").collect()["repayment_id"]
    loan_ids = shard.in_order().loans.select("loan_id").collect()["loan_id"]
    return pl.concat([_told(here, rules()[name], each, ids, loan_ids) for name, each in seen.items()])


def _told(here: Scene, rule: Rule, seen: Seen, ids: pl.Series, loan_ids: pl.Series) -> pl.DataFrame:
    rows, found = here.rows, seen.found
    frame = pl.DataFrame(
        {
            "cell": here.state.ledger.loans.cell[rows.loan[found]],
            "loan_id": loan_ids.gather(rows.loan[found]),
            "repayment_id": ids.gather(found),
            "other_repayment_ids": _others(seen, ids),
            "payment_date": rows.day[found],
            "amount": rows.amount[found] if seen.paid is None else seen.paid,
            **seen.evidence,
        }
    )
    missing = [pl.lit(None, kind).alias(name) for name, kind in EVIDENCE.items() if name not in seen.evidence]
    known = [pl.col(name).replace(NEVER, None) for name in ("seen_on", "days") if name in seen.evidence]
    dated = [pl.col(name).cast(pl.Int32).cast(pl.Date) for name in ("payment_date", "seen_on")]
    typed = frame.with_columns(*known, *missing).with_columns(*dated, money("amount").alias("amount_text"))
    told = typed.with_columns(rule.says.alias("seen"), pl.lit(rule.name, pl.String).alias(RULE))
    return told.select("cell", *(pl.col(name).cast(SCHEMA[name]) for name in SCHEMA if name not in PLACE))


def _others(seen: Seen, ids: pl.Series) -> pl.Series:
    """The ids of the rows that belong to each hit besides, null where there are none."""
    place, row = seen.others
    named = pl.DataFrame({"place": place, "id": ids.gather(row)}).group_by("place", maintain_order=True)
    joined = named.agg(pl.col("id").str.join(", "))
    places = pl.DataFrame({"place": np.arange(len(seen.found))})
    return places.join(joined, on="place", how="left", maintain_order="left")["id"]
