"""Officers by the loans that were theirs on another day, as the run that published a day knew it."""

from collections.abc import Sequence

from loanmetrics.engine.attribution import attribution
from loanmetrics.jobs.cohorts import Question


def by_rule(rule: str, metrics: Sequence[str] = ()) -> Question:
    """Value and band now and as attributed by a rule, those who gain or lose most loans first; names are looked up."""
    return lambda book, pool: attribution(book, rule, tuple(metrics), pool).drop("officer_name")
