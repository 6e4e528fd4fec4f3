"""Rows of loans by name, so that two versions of the facts can be laid side by side, and back into integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from loanmetrics.engine.book import Facts, Shard
from loanmetrics.engine.run import PLACE

INTEGER: Final[pl.DataType] = pl.Int64()
LOAN_FIELDS: Final = {
    "amount": "money", "disbursed": "date", "maturity": "date", "term": "text", "rate": "rate", "fee": "money",
    "channel": "text", "status": "status", "closed": "date",
}  # fmt: skip
DUE_FIELDS: Final = {"due": "date", "principal": "money", "interest": "money", "fee": "money"}
PAYMENT_FIELDS: Final = {
    "day": "date", "amount": "money", "principal": "money", "interest": "money", "fees": "money",
    "penalty": "money", "method": "text", "backdated": "text", "waiver": "money", "waiver_type": "waiver_type",
    "created": "text",
}  # fmt: skip
REVERSAL_FIELDS: Final = {"reversed": "text", "reversal": "date"}
LOANS = ("loan_id", *PLACE, *LOAN_FIELDS)
SCHEDULE = ("loan_id", "number", *DUE_FIELDS)
REPAYMENTS = ("loan_id", "repayment_id", *PAYMENT_FIELDS, *REVERSAL_FIELDS)
CODED = ("channel", "method")
TEXT = ("loan_id", "repayment_id", *PLACE, "channel", "method")
OTHERWISE: Final[dict[str, pl.DataType]] = {
    **dict.fromkeys(TEXT, pl.String()),
    **dict.fromkeys(("backdated", "reversed"), pl.Boolean()),
    "created": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True)
class Rows:
    """The rows of some loans, by name: ids, places, channels and methods instead of their integers."""

    loans: pl.DataFrame
    schedule: pl.DataFrame
    repayments: pl.DataFrame


def rows_of(facts: Facts, loan_ids: pl.Series) -> Rows:
    """All rows of some loans."""
    loans, *behind = _all_of(facts, loan_ids)
    keys = loans.select("loan", "loan_id")
    schedule, repayments = pl.collect_all(rows.join(keys, on="loan") for rows in behind)
    return Rows(loans.collect().select(LOANS), schedule.select(SCHEDULE), repayments.select(REPAYMENTS))


def touched(before: Facts, after: Facts, among: pl.Series | None = None) -> pl.Series:
    """Loans of which any row differs between two versions, sorted; ``among`` these, if given."""
    both = _prints(before, among).join(_prints(after, among), on="loan_id", how="full", coalesce=True)
    return both.filter(pl.col("print").ne_missing(pl.col("print_right")))["loan_id"].sort()


def coded(rows: Rows, ground: Facts) -> Facts:
    """The rows as facts of one shard, with the small tables of ``ground``; they bring the loan keys, ``loan``."""
    cells = _indexed(rows.loans.select(PLACE).unique().sort(PLACE), "cell")
    channels, methods = _numbered(rows.loans, "channel"), _numbered(rows.repayments, "method")
    loans = rows.loans.join(cells, on=PLACE).join(_coding(channels, "channel"), on="channel", how="left")
    repayments = rows.repayments.join(_coding(methods, "method"), on="method", how="left")
    shard = Shard(
        loans.drop("channel", *PLACE).rename({"channel_code": "channel"}).lazy(),
        rows.schedule.lazy(),
        repayments.drop("method").rename({"method_code": "method"}).lazy(),
    )
    return Facts(
        (shard,), cells, ground.officers, channels, methods, ground.holidays, ground.par15, ground.held
    )


def _numbered(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    return _indexed(frame.select(pl.col(name).alias("name").unique().drop_nulls().sort()), name)


def _indexed(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    return frame.with_row_index(name).cast({name: pl.Int32()})


def _coding(named: pl.DataFrame, name: str) -> pl.DataFrame:
    return named.rename({name: f"{name}_code", "name": name})


def _prints(facts: Facts, among: pl.Series | None) -> pl.DataFrame:
    """One number per loan for everything that is said of it; a stray collision shows when the causes are added up."""
    loans, schedule, repayments = _all_of(facts, among)
    own = loans.select("loan", "loan_id", _hash(LOANS).alias("own"))
    due = _summed(schedule, SCHEDULE[1:], "due")
    paid = _summed(repayments, REPAYMENTS[1:], "paid")
    every = own.join(due, on="loan", how="left").join(paid, on="loan", how="left")
    return every.select("loan_id", _hash(("own", "due", "paid")).alias("print")).collect()


def _all_of(facts: Facts, among: pl.Series | None) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """Loans, schedule and repayments, of some loans or of all of them."""
    loans, schedule, repayments = _loans(facts), _schedule(facts), _repayments(facts)
    if among is None:
        return loans, schedule, repayments
    found = loans.filter(pl.col("loan_id").is_in(among.implode())).collect()
    # A join would read all rows of all loans first.
    mine = pl.col("loan").is_in(found["loan"].implode())
    return found.lazy(), schedule.filter(mine), repayments.filter(mine)


def _summed(rows: pl.LazyFrame, columns: tuple[str, ...], name: str) -> pl.LazyFrame:
    return rows.select("loan", _hash(columns).alias(name)).group_by("loan").agg(pl.col(name).sum())


def _hash(columns: tuple[str, ...]) -> pl.Expr:
    return pl.struct(columns).hash()


def _loans(facts: Facts) -> pl.LazyFrame:
    """Loans with their places and the names of their channels, and still with their keys."""
    named = _together(facts, "loans", LOANS, {"cell": INTEGER})
    cells = facts.cells.lazy().cast({"cell": INTEGER})
    channels = _names(facts.channels, "channel")
    placed = named.join(cells, on="cell", how="left").join(channels, on="channel_code", how="left")
    return placed.select("loan", *LOANS)


def _schedule(facts: Facts) -> pl.LazyFrame:
    return _together(facts, "schedule", SCHEDULE[1:])


def _repayments(facts: Facts) -> pl.LazyFrame:
    named = _together(facts, "repayments", REPAYMENTS[1:])
    methods = _names(facts.methods, "method")
    return named.join(methods, on="method_code", how="left").select("loan", *REPAYMENTS[1:])


def _names(dimension: pl.DataFrame, name: str) -> pl.LazyFrame:
    coding = _coding(dimension, name).lazy()
    return coding.cast({f"{name}_code": INTEGER})


def _together(
    facts: Facts, kind: str, columns: tuple[str, ...], more: Mapping[str, pl.DataType] | None = None
) -> pl.LazyFrame:
    """All shards of one kind, integers in one type; channel and method still as codes."""
    wanted: dict[str, pl.DataType] = {
        "loan": INTEGER,
        **{name: OTHERWISE.get(name, INTEGER) for name in columns},
        **(more or {}),
    }
    wanted |= {f"{name}_code": INTEGER for name in CODED if name in wanted}
    schema = {name: dtype for name, dtype in wanted.items() if name not in (*CODED, *PLACE)}
    nothing = pl.LazyFrame(schema=schema)
    shards: list[pl.LazyFrame] = [getattr(shard, kind) for shard in facts.shards]
    return pl.concat([nothing, *(shard.select(_plain(schema)) for shard in shards)])


def _plain(schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """Columns of one type in all versions; moments in one time zone."""
    made = {
        name: pl.col(name.removesuffix("_code")).dt.convert_time_zone("UTC")
        if name == "created"
        else pl.col(name.removesuffix("_code")).cast(dtype)
        for name, dtype in schema.items()
    }
    return [value.alias(name) for name, value in made.items()]
