"""What happened, in a few words: for people, and the same for the same facts."""

from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from loanmetrics.engine.calendar import to_date
from loanmetrics.policy import Policy
from loanmetrics.tables import LOAN_STATUSES, MINOR_PER_UNIT, RATE_SCALE, WAIVER_TYPES

MOST_NAMED: Final = 5
NONE: Final = pl.lit("none")
NOTHING: Final = "none"
SCALES: Final = {"money": (2, MINOR_PER_UNIT), "rate": (6, RATE_SCALE)}
CODES: Final = {"status": LOAN_STATUSES, "waiver_type": WAIVER_TYPES}


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> some(["A", "B"]), some(list("ABCDEFG"))
    ('A, B', 'A, B, C, D, E and 2 more')
    """
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def sets(then: Collection[str], now: Collection[str]) -> str:
    """What came and what went.

    >>> sets({"Agent", "Web"}, {"Direct", "Web"})
    '+Direct, -Agent'
    """
    came, went = (sorted(set(one) - set(other)) for one, other in ((now, then), (then, now)))
    return some([*(f"+{name}" for name in came), *(f"-{name}" for name in went)])


def days(then: Collection[int], now: Collection[int]) -> str:
    """Which days came and went."""
    return sets(*({str(to_date(day)) for day in side} for side in (then, now)))


def policies(then: Policy, now: Policy) -> str:
    """Which names of a policy say something else.

    >>> policies(Policy(), Policy(flow_days=10))
    'flow_days 30 -> 10'
    """
    return ", ".join(f"{name} {was} -> {is_}" for name, was, is_ in differing(then, now))


def differing(then: Policy, now: Policy) -> list[tuple[str, str, str]]:
    """Names of which two policies say something else, with what either says."""
    was, is_ = then.whole(), now.whole()
    sides = [(name, was.get(name, NOTHING), is_.get(name, NOTHING)) for name in dict.fromkeys([*was, *is_])]
    return [(name, _said(one), _said(other)) for name, one, other in sides if one != other]


def _said(value: object) -> str:
    """A policy's value in words.

    >>> _said({"risk_score": {"2": "2026-10-01"}})
    'risk_score 2 from 2026-10-01'
    """
    if isinstance(value, dict):
        begins = [f"{metric} {nth} from {day}" for metric, nths in value.items() for nth, day in nths.items()]
        return ", ".join(begins)
    return str(value)


def changed(fields: dict[str, str], then: str = "") -> pl.Expr:
    """Every field that differs from its twin with the suffix ``then``: ``amount 100.00 -> 300.00``.

    ``fields`` gives the kind of each: money, rate, date, status, waiver_type, text.
    """
    said = [
        pl.when(pl.col(f"{name}{then}").ne_missing(pl.col(name))).then(
            pl.concat_str(
                pl.lit(f"{name} "), _shown(f"{name}{then}", kind), pl.lit(" -> "), _shown(name, kind)
            )
        )
        for name, kind in fields.items()
    ]
    return pl.concat_str(said, separator=", ", ignore_nulls=True)


def _shown(name: str, kind: str) -> pl.Expr:
    value = pl.col(name)
    if kind in SCALES:
        places, scale = SCALES[kind]
        value = value.cast(pl.Decimal(38, places)) / scale
    elif kind == "date":
        value = value.cast(pl.Int32).cast(pl.Date)
    elif kind in CODES:
        value = value.replace_strict(dict(enumerate(CODES[kind])), default=None, return_dtype=pl.String)
    return pl.coalesce(value.cast(pl.String), NONE)
