"""What a measure and a metric are. A metric file holds one ``METRIC`` and imports nothing but this."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Unit = Literal["money", "count", "ratio", "score", "flag", "rank"]
Side = Literal["low", "high"]
Kind = Literal["sum", "distinct", "distinct_cell"]

GUARD = re.compile(r"NULLIF\((\w+), 0(?:\.0)?\)")
NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
SQL_WORDS = frozenset(
    "CASE WHEN THEN ELSE END AND OR NOT NULL IS IN BETWEEN COALESCE NULLIF LEAST GREATEST TRUE FALSE".split()
)


def names_in(sql: str) -> tuple[str, ...]:
    """Names a formula reads, in order of first use.

    >>> names_in("a / NULLIF(b + a, 0)")
    ('a', 'b')
    """
    words = NAME.findall(sql)
    return tuple(dict.fromkeys(word for word in words if word.upper() not in SQL_WORDS))


def in_words(sql: str, titles: Mapping[str, str]) -> str | None:
    """A formula as people write it, by titles; None if it is no plain arithmetic of what has one.

    That nothing is divided by nothing goes without saying.

    >>> in_words("1 - a / NULLIF(b, 0)", {"a": "Paid", "b": "Due"})
    '1 \u2212 Paid \xf7 Due'
    """
    plain = GUARD.sub(r"\1", sql)
    if not set(NAME.findall(plain)) <= titles.keys():
        return None
    signs = plain.replace(" - ", " \u2212 ").replace(" * ", " \xd7 ").replace(" / ", " \xf7 ")
    return NAME.sub(lambda word: titles[word[0]], signs)


def titled(name: str) -> str:
    """What a name without a title of its own is called.

    >>> titled("fees_due")
    'Fees due'
    """
    return name[:1].upper() + name[1:].replace("_", " ")


@dataclass(frozen=True, slots=True)
class Measure:
    """A count or sum: ``sql`` is an integer per loan, over the columns that ``measures.LOAN_COLUMNS`` names.

    ``distinct`` counts officers: ``sql`` is 1 for a loan that makes its officer count. ``distinct_cell`` likewise,
    over the other measures of an (officer, region, branch) cell.
    """

    name: str
    sql: str
    about: str
    unit: Unit
    kind: Kind = "sum"
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or titled(self.name))


@dataclass(frozen=True, slots=True)
class Bands:
    """Names for stretches of the whole line: the first limit that holds wins, ``otherwise`` takes the rest."""

    comparison: Literal["<=", ">="]
    limits: tuple[tuple[str, float], ...]
    otherwise: str

    @property
    def better(self) -> Side:
        """On which side of the line the best band lies."""
        return "low" if self.comparison == "<=" else "high"

    def __str__(self) -> str:
        steps = [f"{name} {self.comparison} {limit:g}" for name, limit in self.limits]
        return ", ".join([*steps, f"else {self.otherwise}"])

    def of(self, value: float | None) -> str:
        """The band of one value; ``n/a`` of none.

        >>> Bands("<=", (("Green", 0.03), ("Watch", 0.06)), "Flag").of(0.06)
        'Watch'
        """
        if value is None:
            return "n/a"
        sign = 1 if self.comparison == "<=" else -1
        return next((name for name, limit in self.limits if sign * value <= sign * limit), self.otherwise)


@dataclass(frozen=True, slots=True)
class Term:
    """One penalty of a score: ``weight`` points times ``share``, clamped to 0..1; no evidence costs nothing."""

    name: str
    weight: int
    share: str
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or titled(self.name))

    @property
    def points(self) -> str:
        """The points this term costs, as a formula."""
        return f"{self.weight} * LEAST(1.0, GREATEST(0.0, COALESCE({self.share}, 0.0)))"


@dataclass(frozen=True, slots=True)
class Example:
    """Worked example: given these measures and metrics, the metric is ``value``."""

    given: Mapping[str, float | None]
    value: float | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A formula over measures and metrics, evaluated after summing; pipeline, DDL, CLI and docs derive from it.

    ``better``: whether low or high is; by default as the bands say.
    """

    name: str
    title: str
    formula: str
    unit: Unit
    about: str
    reason: str = "no_evidence"
    bands: Bands | None = None
    better: Side | None = None
    band_column: str = ""
    terms: tuple[Term, ...] = ()
    rounded: bool = False
    measures: tuple[Measure, ...] = ()
    examples: tuple[Example, ...] = ()
    revision: int = 1
    source: str = ""
    needs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "needs", names_in(self.formula))
        object.__setattr__(self, "better", self.better or (self.bands.better if self.bands else None))
        object.__setattr__(self, "band_column", self.band_column or f"{self.name}_band")

    @property
    def beside(self) -> dict[str, str]:
        """What its columns are called where they stand beside those of the revision in force."""
        columns = [self.name, self.band_column] if self.bands else [self.name]
        return {name: f"{name}_r{self.revision}" for name in columns}

    def revised(self, revision: int, **changes: Any) -> "Metric":
        """A later revision of this metric: it counts from the day that a policy says, and changes no day before.

        What is not given stays, but for the measures and the examples: they are the revision's own.
        """
        own: dict[str, Any] = {"revision": revision, "measures": (), "examples": ()}
        return replace(self, **{**own, **changes})


def ratio(part: str, whole: str) -> str:
    """The formula of a ratio: nothing to divide by is no data, not zero."""
    return f"{part} / NULLIF({whole}, 0)"


def penalties(terms: tuple[Term, ...], when: str) -> str:
    """The formula of a score of 100 less penalties, where ``when`` holds."""
    return f"CASE WHEN {when} THEN 100 - {' - '.join(term.points for term in terms)} END"
