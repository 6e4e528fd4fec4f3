"""The worked cases of the definitions ("a: ..." to "q: ...") and the sharpest edge cases, as data."""

from tests.cases import (
    balances,
    calendars,
    first_payment,
    formulas,
    intake,
    lateness,
    people,
    reversals,
    revisions,
    waivers,
    windows,
)
from tests.cases.case import Case, Formula, Ranking

CASES: list[Case] = [
    *lateness.CASES,
    *first_payment.CASES,
    *reversals.CASES,
    *balances.CASES,
    *waivers.CASES,
    *windows.CASES,
    *calendars.CASES,
    *people.CASES,
    *intake.CASES,
    *revisions.CASES,
]
FORMULAS: list[Formula] = [*formulas.FORMULAS, *revisions.FORMULAS]
RANKINGS: list[Ranking] = formulas.RANKINGS
