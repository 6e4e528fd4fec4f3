"""What a case is: given facts, a day and a policy, or figures to start from; and what must come out.

Money is in units, given and expected. A figure that is not named is not checked; but where no quarantine is named,
nothing may be held back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from loanmetrics.policy import Policy

Row = dict[str, Any]
Rows = Mapping[str, Sequence[Row]]
Value = int | str | bool | date | Fraction | None
Figures = Mapping[str, Value]


@dataclass(frozen=True)
class Case:
    """A small book on one day; loans by loan_id, officers by officer_id, branches by name, the whole book."""

    name: str
    rows: Rows
    as_of: date
    policy: Policy = Policy()
    loans: Mapping[str, Figures] = field(default_factory=dict)
    officers: Mapping[str, Figures] = field(default_factory=dict)
    branches: Mapping[str, Figures] = field(default_factory=dict)
    book: Figures = field(default_factory=dict)
    quarantine: Mapping[tuple[str, str], int] = field(default_factory=dict)
    findings: Mapping[str, int] = field(default_factory=dict)
    frozen_par15: Sequence[Row] = ()


@dataclass(frozen=True)
class Formula:
    """Measures of one group (those not named are 0, money in minor units) and the metrics they must yield."""

    name: str
    measures: Mapping[str, int]
    metrics: Figures
    policy: Policy = Policy()


@dataclass(frozen=True)
class Ranking:
    """Risk score and ayr of each officer, and the place they must yield."""

    name: str
    scores: Mapping[str, tuple[str, str | None]]
    places: Mapping[str, int]
