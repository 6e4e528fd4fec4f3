"""What lists can be filtered by."""

from typing import Any

import msgspec

from loanmetrics.engine.catalogue import SQL_KINDS, load
from loanmetrics.engine.diff.causes import CAUSES
from loanmetrics.engine.evidence import judged
from loanmetrics.engine.metric import Side, titled
from loanmetrics.engine.review.rule import rules
from loanmetrics.engine.rollforward import MOVES, TITLES
from loanmetrics.formatting import FORMS
from loanmetrics.http.routes import Answer, Asked
from loanmetrics.jobs.reading import dated
from loanmetrics.store import reading as store
from loanmetrics.tables import AUDIT_STATUSES, LOAN_STATUSES


class BranchOption(msgspec.Struct, frozen=True):
    """A branch and its region."""

    branch: str
    region: str


class OfficerOption(msgspec.Struct, frozen=True):
    """An officer and his home branch. ``person`` is false of the row that stands for loans without an officer."""

    officer_id: str
    officer_name: str | None
    branch: str | None
    person: bool


class MetricOption(msgspec.Struct, frozen=True):
    """What a metric is; ``in_words``: its formula by titles; ``better``: its better side, if it has one; ``certain``:
    intervals and funnel limits can be told.
    """

    name: str
    title: str
    unit: str
    formula: str
    in_words: str | None
    about: str
    bands: str
    better: Side | None
    certain: bool


class MeasureOption(msgspec.Struct, frozen=True):
    """What a measure is, on which metrics rest."""

    name: str
    title: str
    unit: str
    about: str


class CauseOption(msgspec.Struct, frozen=True):
    """Why a figure moves."""

    name: str
    title: str
    about: str


class UnitOption(msgspec.Struct, frozen=True):
    """How numbers of a unit are written: so many ``times`` as large, with ``digits``, ``after`` behind.

    ``finely`` is how many digits they have where parts are to add up.
    """

    unit: str
    times: int
    digits: int
    finely: int
    after: str


class RuleOption(msgspec.Struct, frozen=True):
    """What a review rule asks about, and what it looks at."""

    name: str
    title: str
    about: str
    counted: str


class Options(msgspec.Struct, frozen=True):
    """All that can be chosen from, as last published."""

    regions: list[str]
    branches: list[BranchOption]
    officers: list[OfficerOption]
    channels: list[str]
    risk_bands: list[str]
    audit_statuses: list[str]
    loan_statuses: list[str]
    metrics: list[MetricOption]
    measures: list[MeasureOption]
    causes: list[CauseOption]
    review_rules: list[RuleOption]
    units: list[UnitOption]


def options(asked: Asked) -> Answer:
    """Everything that the filters of lists may hold."""
    with asked.desk.reader() as connection:
        found = store.choices(connection)
        channels = store.channels(connection)["channel"].drop_nulls().unique().sort().to_list()
        day, stamp = dated(connection, None)
    policy = stamp.policy()
    catalogue = load(policy, day)
    bands, certain = catalogue.metrics["risk_score"].bands, judged(catalogue)
    data: dict[str, Any] = {
        "regions": sorted({it["region"] for it in found["branches"]}),
        **found,
        "channels": channels,
        "risk_bands": [*(name for name, _ in bands.limits), bands.otherwise] if bands else [],
        "audit_statuses": AUDIT_STATUSES,
        "loan_statuses": LOAN_STATUSES,
        "metrics": [
            MetricOption(
                **{name: row[name] for name in ("name", "title", "unit", "formula", "about", "bands")},
                in_words=catalogue.in_words(row["formula"]),
                better=catalogue.metrics[row["name"]].better,
                certain=row["name"] in certain,
            )
            for row in catalogue.rows()
        ],
        "measures": [
            MeasureOption(it.name, it.title, it.unit, it.about) for it in catalogue.measures.values()
        ],
        "causes": [
            CauseOption(name, TITLES.get(name) or titled(name), about)
            for name, about in {**CAUSES, **MOVES}.items()
        ],
        "review_rules": [
            RuleOption(it.name, it.title, it.told(policy), it.counted) for it in rules().values()
        ],
        "units": [
            UnitOption(unit, form.times, form.digits, form.finely, form.after)
            for unit, kind in SQL_KINDS.items()
            if (form := FORMS.get(kind))
        ],
    }
    return Answer(data)
