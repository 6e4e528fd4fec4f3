"""Figures by other revisions than those in force, beside them: what they would say of the same facts.

A figure by revision N reads what lies beneath it by revision N too, or by the last one there is: the second index rests
on the second risk score.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy


@dataclass(frozen=True)
class Beside:
    """Some figures by one revision: ``policy`` has it in force on the day, ``columns`` says what each is called."""

    policy: Policy
    catalogue: Catalogue
    columns: Mapping[str, str]

    @property
    def shown(self) -> list[pl.Expr]:
        """The columns under their names."""
        return [pl.col(name).alias(called) for name, called in self.columns.items()]


def beside(policy: Policy, day: date, asked: Mapping[str, int]) -> Iterator[Beside]:
    """The figures and bands of these revisions of these metrics, revision by revision."""
    called = names(asked)
    for nth in sorted(set(asked.values())):
        known = load()
        all_of_it = {name: min(nth, len(every)) for name, every in known.revisions.items()}
        other = policy.with_revisions(all_of_it, since=day)
        mine = {
            name: column
            for metric in asked
            if asked[metric] == nth
            for name, column in called[metric].items()
        }
        yield Beside(other, load(other, day), mine)


def names(asked: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """What the columns of each metric are called, by what they are called where that revision is in force."""
    known = load()
    return {name: known.revision(name, nth).beside for name, nth in asked.items()}


def read(words: Iterable[str]) -> dict[str, int]:
    """Which revisions ``NAME=NUMBER`` asks for.

    >>> read(["risk_score=2", "dqi=2"])
    {'risk_score': 2, 'dqi': 2}
    """
    found: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        if not (number.isascii() and number.isdecimal()) or name in found:
            raise UsageError(f"revision {word!r} cannot be read", "one of each metric, as in risk_score=2")
        found[name] = int(number)
    return found
