"""Kinds of loans: what each was when it was lent, and how old it is; nothing that collecting it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from loanmetrics.engine.book import Book
from loanmetrics.engine.calendar import Ints
from loanmetrics.engine.metric import Measure, names_in
from loanmetrics.engine.state import State
from loanmetrics.errors import UsageError, unknown

TRAITS: Final = {
    "region": "where it was lent",
    "channel": "how it was sold",
    "size": "which quarter of the book's loans by amount it belongs to",
    "term": "days from disbursement to maturity, else to the last due date: to 30, 90, 180, 365, or more",
    "age": "days since disbursement, likewise",
}
# An officer often sells through one channel only: kinds by channel leave him few peers, so it must be asked for.
USUAL: Final = ("region", "size", "term", "age")
DAYS: Final = np.array([30, 90, 180, 365])
# Traits that a ratio itself counts, by what its numerator reads of a loan.
COUNTED: Final = {"channel": "channel_pure"}


@dataclass(frozen=True)
class Kinds:
    """Which traits tell loans apart; ``quarters`` are the largest amounts of the first three quarters of them."""

    traits: tuple[str, ...]
    quarters: Ints

    @classmethod
    def of(cls, book: Book, traits: tuple[str, ...]) -> "Kinds":
        """The kinds that a book's loans make."""
        return cls(traits, _quarters(book) if "size" in traits else np.zeros(3, dtype=np.int64))

    @property
    def per_loan(self) -> tuple[str, ...]:
        """Traits that each loan tells itself; its region follows from its place."""
        return tuple(trait for trait in self.traits if trait != "region")

    def told(self, state: State) -> Mapping[str, Ints]:
        """Each trait of every loan of a shard, as a number."""
        loans = state.ledger.loans
        made = {
            "channel": loans.channel,
            "size": np.searchsorted(self.quarters, loans.amount),
            "term": np.searchsorted(DAYS, state.ledger.ending - loans.disbursed),
            "age": np.searchsorted(DAYS, state.book.day - loans.disbursed),
        }
        return {trait: made[trait] for trait in self.per_loan}


def usual(by: Sequence[str]) -> tuple[str, ...]:
    """The traits that tell loans apart where nobody chooses any: none of what is compared."""
    return tuple(trait for trait in USUAL if trait not in by)


def suited(traits: Sequence[str] | None, by: Sequence[str], metric: str, above: Measure) -> tuple[str, ...]:
    """The traits asked for, the usual ones by default.

    Regions are not told apart between themselves, nor channels where the ratio counts channels.
    """
    if traits is None:
        return usual(by)
    own = {trait for trait, column in COUNTED.items() if column in names_in(above.sql)}
    for trait in traits:
        if trait not in TRAITS:
            raise unknown("trait", trait, TRAITS, "trait")
        if trait in own or (trait,) == tuple(by):
            reason = f"{metric} itself counts it" if trait in own else "it is what is compared"
            raise UsageError(f"{trait} tells no kinds of loans apart here", reason, "trait")
    return tuple(trait for trait in TRAITS if trait in traits)


def _quarters(book: Book) -> Ints:
    """The smallest amounts that a quarter, a half and three quarters of the disbursed loans do not exceed."""
    amount, loans = pl.col("amount").fill_null(0).cast(pl.Int64), pl.len().cast(pl.Int64).alias("loans")
    lent = [shard.loans.filter(pl.col("disbursed") <= book.day) for shard in book.facts.shards]
    parts = pl.collect_all([some.group_by(amount).agg(loans) for some in lent])
    none = pl.DataFrame(schema={"amount": pl.Int64(), "loans": pl.Int64()})
    amounts = pl.concat([none, *parts]).group_by("amount").agg(pl.col("loans").sum()).sort("amount")
    if amounts.is_empty():
        return np.zeros(3, dtype=np.int64)
    reached = amounts["loans"].cum_sum().to_numpy() * 4
    places = np.searchsorted(reached, int(amounts["loans"].sum()) * np.array([1, 2, 3]))
    return amounts["amount"].to_numpy()[places]
