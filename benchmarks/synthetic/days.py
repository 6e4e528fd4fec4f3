"""Days as integers since 1970-01-01, and the lender's working days."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from synthetic.dice import Bools, Ints

EPOCH = date(1970, 1, 1)
_FIXED = {
    (1, 1): "New Year",
    (5, 1): "Workers' Day",
    (6, 12): "Democracy Day",
    (10, 1): "Independence Day",
    (12, 25): "Christmas Day",
    (12, 26): "Boxing Day",
}


def number(day: date) -> int:
    return (day - EPOCH).days


def first_of_month(end: date, months: int) -> date:
    """The first day of the `months` months that end with the month of `end`."""
    index = end.year * 12 + end.month - months
    return date(index // 12, index % 12 + 1, 1)


def holidays(first_year: int, last_year: int) -> dict[date, str]:
    found: dict[date, str] = {}
    for year in range(first_year, last_year + 1):
        found |= {date(year, month, day): name for (month, day), name in _FIXED.items()}
        found[easter(year) - timedelta(days=2)] = "Good Friday"
        found[easter(year) + timedelta(days=1)] = "Easter Monday"
    return dict(sorted(found.items()))


def easter(year: int) -> date:
    """The Gregorian computus."""
    century, golden = year // 100, year % 19
    moon = (19 * golden + century - century // 4 - (8 * century + 13) // 25 + 15) % 30
    moon -= moon // 28 * (1 - 29 // (moon + 1) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    ahead = moon - weekday
    month = 3 + (ahead + 40) // 44
    return date(year, month, ahead + 28 - 31 * (month // 4))


@dataclass(frozen=True)
class WorkingDays:
    """Closed on weekends and holidays; covers [first, first + len(rolled))."""

    first: int
    working: Ints
    rolled: Ints

    @classmethod
    def between(cls, first: date, last: date) -> "WorkingDays":
        every = np.arange(number(first), number(last) + 1, dtype=np.int64)
        closed = [number(day) for day in holidays(first.year, last.year)]
        working = every[((every + 3) % 7 < 5) & ~np.isin(every, closed)]
        every = every[every <= working[-1]]
        return cls(number(first), working, working[np.searchsorted(working, every)])

    def roll(self, day: Ints) -> Ints:
        """The day itself, or the next working day after it."""
        return np.asarray(self.rolled[day - self.first])

    def after(self, day: Ints, count: Ints) -> Ints:
        """The count-th working day after `day`."""
        return np.asarray(self.working[np.searchsorted(self.working, day, side="right") + count - 1])


def month_end(day: Ints) -> Ints:
    months = day.astype("datetime64[D]").astype("datetime64[M]")
    return np.asarray((months + 1).astype("datetime64[D]").astype(np.int64) - 1)


def near_month_end(day: Ints, within: int) -> Bools:
    return np.asarray(month_end(day) - day < within)
