"""Days as integers since 1970-01-01, and how overdue is counted in them."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from loanmetrics.policy import Policy
from loanmetrics.tables import MAX_DATE, MIN_DATE

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EPOCH = date(1970, 1, 1)
NEVER = 2**31 - 1
FIRST_DAY = (date.fromisoformat(MIN_DATE) - EPOCH).days
LAST_DAY = (date.fromisoformat(MAX_DATE) - EPOCH).days
DAY_BITS = 19
DAY_OFFSET = 2**17


def to_day(moment: date) -> int:
    """Days since 1970-01-01."""
    return (moment - EPOCH).days


def to_date(day: int) -> date:
    """The date ``day`` days after 1970-01-01."""
    return EPOCH + timedelta(days=day)


def key(loan: Ints, day: Ints | int) -> Ints:
    """One sortable integer for (loan, day)."""
    return (loan << DAY_BITS) + (day + DAY_OFFSET)


def unkey(keys: Ints) -> tuple[Ints, Ints]:
    """The loan and the day of each key."""
    return keys >> DAY_BITS, (keys & ((1 << DAY_BITS) - 1)) - DAY_OFFSET


def latest_15th(day: int) -> int:
    """The latest 15th of a month on or before ``day``."""
    today = to_date(day)
    this_month = today.replace(day=15)
    return to_day(
        this_month if today.day >= 15 else (today.replace(day=1) - timedelta(days=1)).replace(day=15)
    )


@dataclass(frozen=True, slots=True)
class Counting:
    """How days past due are counted: the policy's calendar with its holidays, as arrays."""

    inclusive: bool
    business_days_until: Ints | None

    @classmethod
    def of(cls, policy: Policy, holidays: Ints) -> "Counting":
        """Number the business days once if the policy counts in them."""
        numbered = _business_numbers(policy, holidays) if policy.calendar == "business" else None
        return cls(policy.inclusive, numbered)

    def overdue_from(self, day: int) -> int:
        """Installments due before this day are overdue on ``day``."""
        return day + 1 if self.inclusive else day

    def dpd(self, day: Ints | int, oldest: Ints) -> Ints:
        """Days past due on ``day`` of loans whose oldest unsettled installment fell due on ``oldest`` (NEVER: none)."""
        late = oldest < np.asarray(day) + self.inclusive
        if self.business_days_until is None:
            return np.where(late, np.asarray(day) - oldest + self.inclusive, 0)
        since = np.where(late, oldest - self.inclusive, day)
        return self._number(np.asarray(day)) - self._number(since)

    def reached(self, level: Ints | int, oldest: Ints) -> Ints:
        """The first day on which loans with an installment unsettled since ``oldest`` are ``level`` days late."""
        since = oldest - self.inclusive
        if self.business_days_until is None:
            return since + level
        return np.searchsorted(self.business_days_until, self._number(since) + level) + FIRST_DAY - 1

    def back(self, day: int, days: int) -> int:
        """The day ``days`` before ``day``, in the policy's calendar."""
        if self.business_days_until is None:
            return day - days
        wanted = int(self._number(np.asarray(day))) - days
        return int(np.searchsorted(self.business_days_until, wanted, side="left")) + FIRST_DAY - 1

    def _number(self, day: Ints) -> Ints:
        assert self.business_days_until is not None
        return self.business_days_until[day - FIRST_DAY + 1]


def _business_numbers(policy: Policy, holidays: Ints) -> Ints:
    days = np.arange(FIRST_DAY - 1, LAST_DAY + 1)
    working = ~np.isin((days + 3) % 7 + 1, policy.weekend)
    inside = holidays[(holidays >= FIRST_DAY) & (holidays <= LAST_DAY)]
    working[inside - FIRST_DAY + 1] = False
    working[0] = False
    return np.cumsum(working, dtype=np.int64)
