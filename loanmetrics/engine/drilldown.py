"""The rows of a drilldown: every loan at the end of a day, with what it did since and what it ranks by."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.loan_state import bucket, standing
from loanmetrics.engine.loans import risk_score
from loanmetrics.engine.state import Channels, open_shard
from loanmetrics.tables import DPD_BUCKETS, LOAN_STATUSES

# What a row is known by within its shard; the rest is for people.
KEYS = ("loan", "cell")
# False for a loan that stands elsewhere by now.
STANDS = "stands"
BUCKET = pl.Enum(DPD_BUCKETS)
NAMED = pl.Categorical()
SCHEMA = pl.Schema(
    {
        "loan": pl.Int32(),
        "cell": pl.Int32(),
        "loan_id": pl.String(),
        "officer_id": NAMED,
        "region": NAMED,
        "branch": NAMED,
        "disbursement_date": pl.Date(),
        "loan_amount": pl.Int64(),
        "status": NAMED,
        "on_book": pl.Boolean(),
        "closed_as": NAMED,
        "first_payment_due_date": pl.Date(),
        "first_payment_received_date": pl.Date(),
        "days_late": pl.Int32(),
        "first_payment_missed": pl.Boolean(),
        "fimr_tagged": pl.Boolean(),
        "current_dpd": pl.Int32(),
        "max_dpd_ever": pl.Int32(),
        "dpd_bucket": BUCKET,
        "previous_dpd_bucket": BUCKET,
        "roll_direction": NAMED,
        "outstanding_balance": pl.Int64(),
        "arrears_amount": pl.Int64(),
        "last_payment_date": pl.Date(),
        "next_payment_due": pl.Date(),
        "early_indicator_tagged": pl.Boolean(),
    }
)
SCORE = "loan_risk_score"
KINDS = {pl.Int64(): "money", pl.Int32(): "int", pl.Boolean(): "bool", pl.Date(): "date"}


def kinds() -> dict[str, str]:
    """How each column of a row is to be shown."""
    return {name: KINDS.get(kind, "text") for name, kind in SCHEMA.items() if name not in KEYS} | {
        SCORE: "points"
    }


def stand(shard: Shard, book: Book) -> pl.DataFrame:
    """Every loan of the shard disbursed by the as-of day, with its position ``local`` and how it stood before.

    ``dpd_before`` is null where the loan was not on the book ``roll_days`` earlier.
    """
    state = open_shard(shard, book, Channels(np.zeros((0, 0), dtype=np.bool_)))
    before = state.timeline.at(state.book.counting.back(state.book.day, state.book.policy.roll_days))
    stood = pl.DataFrame({"dpd_before": before.dpd, "on_book_before": before.on_book}).select(
        pl.when("on_book_before").then("dpd_before").alias("dpd_before")
    )
    now = standing(state)
    return now.with_columns(stood["dpd_before"].gather(now["local"]))


def named(part: pl.DataFrame, loans: pl.LazyFrame, cells: pl.DataFrame, book: Book) -> pl.DataFrame:
    """One shard's states as rows of a drilldown, those of an officer in a branch together.

    ``cells`` names the cells of all of ``loans``.
    """
    identity = loans.select("loan", "loan_id", "cell", "disbursed", "amount", "status").collect()
    whole = pl.concat([identity[part["local"]], part.drop("local")], how="horizontal")
    return (
        whole.join(cells.cast({"cell": pl.Int32}), on="cell", how="left", maintain_order="left")
        .with_columns(
            disbursement_date=pl.col("disbursed").cast(pl.Date),
            loan_amount="amount",
            status=pl.col("status").replace_strict(dict(enumerate(LOAN_STATUSES)), return_dtype=pl.String),
            days_late=_days_late(book),
            previous_dpd_bucket=pl.when(pl.col("dpd_before").is_not_null()).then(
                bucket(pl.col("dpd_before"))
            ),
            roll_direction=_direction(),
            outstanding_balance="total_outstanding",
        )
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        .sort("cell", maintain_order=True)
    )


def _days_late(book: Book) -> pl.Expr:
    """From the first due date to the first cash, or to the as-of day while there is none."""
    due, received = pl.col("first_payment_due_date"), pl.col("first_payment_received_date")
    late = (received.fill_null(book.as_of) - due).dt.total_days()
    return pl.when(due.is_not_null()).then(pl.max_horizontal(late, 0))


def _direction() -> pl.Expr:
    """By the order of buckets; a loan that was not on the book then is held against one that was current."""
    order = [
        bucket(pl.col(name).fill_null(0)).cast(BUCKET).to_physical().cast(pl.Int8)
        for name in ("current_dpd", "dpd_before")
    ]
    return (
        pl.when(~pl.col("on_book"))
        .then(None)
        .when(order[0] > order[1])
        .then(pl.lit("worsening"))
        .when(order[0] < order[1])
        .then(pl.lit("improving"))
        .otherwise(pl.lit("stable"))
    )


def scored(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Add each loan's risk score; all loans of an officer are in one part or another.

    Loans without ``STANDS`` weigh nothing.
    """
    weighed = [part.lazy().filter(STANDS, "on_book") for part in parts]
    largest = pl.concat(weighed).group_by("officer_id").agg(pl.col("outstanding_balance").max()).collect()
    most = pl.col("officer_id").replace_strict(
        largest["officer_id"], largest["outstanding_balance"], default=None, return_dtype=pl.Int64
    )
    score = risk_score(pl.col("outstanding_balance"), most)
    return [part.with_columns(score.alias(SCORE)) for part in parts]
