"""The lender: its window of time, and officers who differ in how well they lend."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np

from synthetic import days, names
from synthetic.dice import Bools, Dice, Floats, Ints


class Quality(NamedTuple):
    """Odds, per loan or per visit, of what goes wrong under one kind of officer."""

    first_miss: float
    default: float
    cure: float
    late: float
    rolls: float
    batches_late: float
    shorts: float
    waiver: float
    reversal: float
    backdated: float
    float_gap: float
    impure: float
    cash: float


QUALITIES = (
    Quality(0.015, 0.015, 0.60, 0.08, 0.01, 0.10, 0.001, 0.004, 0.003, 0.008, 0.002, 0.04, 0.25),
    Quality(0.22, 0.22, 0.30, 0.25, 0.08, 0.35, 0.015, 0.03, 0.03, 0.10, 0.15, 0.22, 0.35),
    Quality(0.52, 0.52, 0.08, 0.50, 0.28, 0.65, 0.06, 0.18, 0.12, 0.28, 0.60, 0.55, 0.60),
    Quality(0.95, 0.93, 0.02, 0.70, 0.60, 0.90, 0.40, 0.85, 0.45, 0.65, 0.98, 0.95, 0.90),
)
SOUND, SLIPPING, POOR, FAILING = range(4)
_PATTERN = {2: SLIPPING, 5: POOR, 8: SLIPPING, 11: FAILING, 14: SLIPPING, 17: POOR}
_MOBILE_EVERY = 7
_IDLE_SHARE = 20


@dataclass(frozen=True)
class Lender:
    loans: int
    officers: int
    months: int
    end: date
    seed: int
    mess: bool

    @cached_property
    def dice(self) -> Dice:
        return Dice(self.seed)

    @cached_property
    def first_day(self) -> date:
        return days.first_of_month(self.end, self.months)

    @cached_property
    def last_day(self) -> int:
        return days.number(self.end)

    @cached_property
    def working_days(self) -> days.WorkingDays:
        return days.WorkingDays.between(self.first_day, self.end + timedelta(days=550))

    @property
    def lending_officers(self) -> int:
        """The last few officers never made a loan."""
        return self.officers - self.officers // _IDLE_SHARE if self.mess else self.officers

    @property
    def customers(self) -> int:
        return -(-self.loans // 5) * 3

    def odds(self, field: str, officer: Ints) -> Floats:
        table = np.array([getattr(quality, field) for quality in QUALITIES])
        return np.asarray(table[quality_of(officer)])

    def mess_odds(self, field: str, officer: Ints) -> Floats:
        return self.odds(field, officer) * self.mess


def customer_of(lender: Lender, loan: Ints) -> Ints:
    """Every five loans in a row belong to three customers."""
    return 1 + (loan - 1) // 5 * 3 + lender.dice.below(3, "customer", loan)


def quality_of(officer: Ints) -> Ints:
    table = np.zeros(20, dtype=np.int64)
    table[list(_PATTERN)] = list(_PATTERN.values())
    return np.asarray(table[officer % 20])


def officer_of(lender: Lender, loan: Ints) -> Ints:
    return lender.dice.below(lender.lending_officers, "officer", loan)


def home_branch(officer: Ints) -> Ints:
    return officer % len(names.BRANCHES)


def branch_of(lender: Lender, loan: Ints, officer: Ints) -> Ints:
    """Some officers also lend in the next branch of their region."""
    home = home_branch(officer)
    size = names.BRANCHES_PER_REGION
    next_door = home // size * size + (home + 1) % size
    away = (officer % _MOBILE_EVERY == 0) & lender.dice.chance(0.3, "away", loan)
    return np.where(away, next_door, home)


def has_no_channel(officer: Ints) -> Bools:
    return np.equal(officer % 10, 9)


def usual_channel(officer: Ints) -> Ints:
    """Direct for an officer whose primary channel nobody noted."""
    return np.where(has_no_channel(officer), 0, officer // 2 % len(names.CHANNELS))
