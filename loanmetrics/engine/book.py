"""The book: facts + day + policy. Everything the engine may read, as lazy frames."""

from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import polars as pl

from loanmetrics.engine.calendar import Counting, latest_15th, to_day
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy

LOAN_ORDER = ("loan",)
DUE_ORDER = ("loan", "due", "number")
REPAYMENT_ORDER = ("loan", "day", "repayment_id")
HELD = dict.fromkeys(("table_name", "rule", "row_key", "loan_id"), pl.String())
REASSIGNED = pl.Schema(
    {
        "record": pl.Int64(),
        **dict.fromkeys(("loan_id", "officer_id", "region", "branch"), pl.String()),
        "until": pl.Datetime("us", "UTC"),
    }
)


@dataclass(frozen=True, slots=True)
class Shard:
    """The facts of one range of loans; ``ordered`` says that they already stand in their canonical order."""

    loans: pl.LazyFrame
    schedule: pl.LazyFrame
    repayments: pl.LazyFrame
    ordered: bool = False

    def in_order(self) -> "Shard":
        """The same facts in canonical order, whatever order they came in."""
        if self.ordered:
            return self
        return Shard(
            self.loans.sort(LOAN_ORDER),
            self.schedule.sort(DUE_ORDER),
            self.repayments.sort(REPAYMENT_ORDER),
            ordered=True,
        )


@dataclass(frozen=True)
class Facts:
    """One version of a lender's facts: integer shards, and the small tables that name their keys.

    ``cells`` (cell, officer_id, region, branch), ``officers`` (officer_id, officer_name, region, branch,
    primary_channel, listed), ``channels`` (channel, name), ``methods`` (method, name), ``holidays`` (day),
    ``par15`` (snapshot_day, officer_id, region, branch, exposure, loans), ``held`` (table_name, rule, row_key,
    loan_id), the rows held back; ``reassigned`` (record, loan_id, officer_id, region, branch, until): whom a loan was
    with until then, and, without a loan, that nothing is known of before. No figure of the book reads it.
    """

    shards: tuple[Shard, ...]
    cells: pl.DataFrame
    officers: pl.DataFrame
    channels: pl.DataFrame
    methods: pl.DataFrame
    holidays: pl.DataFrame
    par15: pl.DataFrame
    held: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HELD))
    reassigned: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REASSIGNED))


def of_loans(facts: Facts, loan_ids: pl.Series) -> Facts:
    """Only these loans, in memory; the names of everything else stay."""
    shards = []
    for shard in facts.shards:
        loans = shard.loans.filter(pl.col("loan_id").is_in(loan_ids.implode())).collect()
        mine = pl.col("loan").is_in(loans["loan"].implode())
        schedule, repayments = pl.collect_all([shard.schedule.filter(mine), shard.repayments.filter(mine)])
        shards.append(Shard(loans.lazy(), schedule.lazy(), repayments.lazy(), shard.ordered))
    return replace(facts, shards=tuple(shards))


@dataclass(frozen=True)
class Book:
    """A lender's book at the end of one day under one policy: run = f(facts version, day, policy)."""

    facts: Facts
    as_of: date
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        if not date(1970, 1, 1) <= self.as_of <= date(2199, 12, 31):
            raise UsageError(f"as-of day {self.as_of} is out of range", "1970-01-01 to 2199-12-31")

    @cached_property
    def day(self) -> int:
        """The as-of day as days since 1970-01-01."""
        return to_day(self.as_of)

    @cached_property
    def counting(self) -> Counting:
        """How days past due are counted under the policy."""
        return Counting.of(self.policy, self.facts.holidays["day"].cast(pl.Int64).to_numpy())

    def of_one_shard(self) -> "Book":
        """What the work on a single shard rests on, small enough to travel: no other shards, no cells, no people."""
        facts = self.facts
        unread = ("cells", "officers", "par15", "held", "reassigned")
        none = {name: getattr(facts, name).clear() for name in unread}
        return Book(replace(facts, shards=(), **none), self.as_of, self.policy)

    @cached_property
    def frozen_par15(self) -> pl.DataFrame:
        """The PAR15 rows frozen for the latest 15th; empty where that day was never frozen."""
        return self.facts.par15.filter(pl.col("snapshot_day") == latest_15th(self.day))
