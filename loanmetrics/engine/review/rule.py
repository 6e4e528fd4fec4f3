"""What a review rule is: what it looks at, what it asks about, and the evidence that it shows.

A hit is a question, not a verdict. So a rule tells its opportunities too: only a rate can be held against the book's.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from typing import Final

import numpy as np
import polars as pl

from loanmetrics.engine.calendar import NEVER, Flags, Ints
from loanmetrics.engine.ledger import Repayments, ints
from loanmetrics.engine.review import rules as folder
from loanmetrics.engine.state import State
from loanmetrics.errors import unknown
from loanmetrics.policy import Policy
from loanmetrics.tables import MINOR_PER_UNIT

EVIDENCE: Final = {
    "seen_on": pl.Date(),
    "days": pl.Int32(),
    "dpd_before": pl.Int32(),
    "dpd_after": pl.Int32(),
    "arrears": pl.Int64(),
}
NOBODY: Final = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Scene:
    """What a rule may look at: one shard's loan state, of which figures are made, and its repayment rows in order."""

    state: State
    entered: pl.LazyFrame

    @property
    def policy(self) -> Policy:
        """The lender's conventions, thresholds among them."""
        return self.state.book.policy

    @property
    def day(self) -> int:
        """The as-of day."""
        return self.state.book.day

    @property
    def rows(self) -> Repayments:
        """The repayment rows."""
        return self.state.ledger.repayments

    @property
    def since(self) -> int:
        """The last day before those that are reviewed."""
        return self.day - self.policy.review_days

    @cached_property
    def payments(self) -> Ints:
        """Positions of the rows with cash dated on the days reviewed, reversed since or not."""
        dated = (self.rows.day > self.since) & (self.rows.day <= self.day)
        return np.flatnonzero(dated & (self.rows.cash > 0))

    @cached_property
    def recorded(self) -> Ints:
        """The day each row was recorded on, in the lender's time zone; NEVER where nobody wrote it down."""
        local = pl.col("created").dt.convert_time_zone(self.policy.time_zone).dt.date()
        return ints(self.entered.select(local.cast(pl.Int64)).collect()["created"], NEVER)


@dataclass(frozen=True)
class Seen:
    """A repayment row for each opportunity, which of them are hits, and the evidence of these, a value per hit.

    ``others``: rows that belong to hits besides, as (place among the hits, row). ``paid``: the amount in question,
    where it is not the row's own. Evidence may also have what the rule's sentence alone needs.
    """

    opportunities: Ints
    hits: Flags
    evidence: dict[str, Ints]
    others: tuple[Ints, Ints] = NOBODY
    paid: Ints | None = None

    @property
    def found(self) -> Ints:
        """The rows that are hits."""
        return self.opportunities[self.hits]


@dataclass(frozen=True)
class Rule:
    """One rule. ``counted`` says what an opportunity is; ``says`` is a hit's evidence in a sentence."""

    name: str
    title: str
    about: str
    counted: str
    look: Callable[[Scene], Seen] = field(repr=False)
    says: pl.Expr = field(repr=False)

    def told(self, policy: Policy) -> str:
        """What it means to a lender, with the policy's thresholds for their names.

        >>> rules()["backdated"].told(Policy())[:63]
        'Payments recorded more than 3 days after the day they are dated'
        """
        return re.sub(r"review_\w+", lambda name: _plain(getattr(policy, name[0])), self.about)


def _plain(value: object) -> str:
    """A threshold as people say it.

    >>> _plain(Decimal("0.2"))
    '20 %'
    """
    return f"{value * 100:.6f}".rstrip("0").rstrip(".") + " %" if isinstance(value, Decimal) else str(value)


@cache
def rules() -> dict[str, Rule]:
    """Every rule by name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    found: list[Rule] = [importlib.import_module(f"{folder.__name__}.{name}").RULE for name in modules]
    return {rule.name: rule for rule in found}


def chosen(name: str | None) -> tuple[str, ...]:
    """The rule of this name; all of them by default."""
    known = rules()
    if name is None:
        return tuple(known)
    if name not in known:
        raise unknown("review rule", name, known)
    return (name,)


def month_end(day: Ints) -> Ints:
    """The last day of each day's month.

    >>> from datetime import date
    >>> from loanmetrics.engine.calendar import to_date, to_day
    >>> to_date(int(month_end(np.array([to_day(date(2028, 2, 1))]))[0]))
    datetime.date(2028, 2, 29)
    """
    months = day.astype("datetime64[D]").astype("datetime64[M]")
    return (months + 1).astype("datetime64[D]").astype(np.int64) - 1


def money(name: str) -> pl.Expr:
    """A column of minor units as text."""
    return (pl.col(name).cast(pl.Decimal(38, 2)) / MINOR_PER_UNIT).cast(pl.String)
