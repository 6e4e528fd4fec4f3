"""Officers and branches: lists, series, one officer in full."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from loanmetrics.errors import suggest
from loanmetrics.export import About
from loanmetrics.export.sheet import Sheet
from loanmetrics.http.fields import money
from loanmetrics.http.parameters import Dated, DatedPaging, Text, Texts
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.resources import audits
from loanmetrics.http.resources.metric_fields import (
    BANDS,
    OFFICER_METRICS,
    OFFICERS,
    REVISIONS,
    RISK_BANDS,
    TRACKED,
    declared,
)
from loanmetrics.http.routes import Answer, Asked
from loanmetrics.jobs import officer_sheet
from loanmetrics.jobs import officers as job
from loanmetrics.jobs.beside import By
from loanmetrics.jobs.listing import Listing
from loanmetrics.jobs.reading import Told

if TYPE_CHECKING:
    import polars as pl

    from loanmetrics.http.desk import Desk

MOST_DAYS = 400
MOST_TRACKS = 100
IDENTITY = ("officer_id", "officer_name", "region", "branch", "channel")


class OfficersQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which officers, of which day, or of which days."""

    region: Texts = ()
    branch: Texts = ()
    officer_id: Texts = ()
    channel: Texts = ()
    risk_band: Texts = ()
    start_date: date | None = None
    end_date: date | None = None


class BranchesQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which branches, of which day."""

    region: Texts = ()
    branch: Texts = ()


class OfficerQuery(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which day, as what."""

    format: Literal["json", "pdf"] | None = None


class BookQuery(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which day."""


class Trend(msgspec.Struct, frozen=True):
    """Figures now and ``roll_days`` earlier, and which way the risk score went."""

    current: dict[str, Any]
    previous: dict[str, Any] | None
    trend: str | None


class Explanation(msgspec.Struct, frozen=True):
    """The points that each term of the risk score costs: 100 less their sum is the unrounded score."""

    score: int
    lost: float
    points: list[dict[str, Any]]


class Officer(msgspec.Struct, frozen=True):
    """One officer in full."""

    officer_id: str
    officer_name: str | None
    region: str | None
    branch: str | None
    channel: str | None
    metrics: Trend
    history: list[dict[str, Any]]
    explanation: Explanation | None
    audit_info: audits.Info


class Whole(msgspec.Struct, frozen=True):
    """Every figure of the whole book."""

    metrics: dict[str, Any]


class TracksQuery(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose metric, over how many days."""

    officer_id: Texts = ()
    metric: Text = "risk_score"
    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = 90


class Track(msgspec.Struct, frozen=True):
    """A metric over published days: one value per date and officer, null where there is none."""

    dates: list[date]
    officers: dict[str, list[float | None]]


def officers(asked: Asked) -> Listing:
    """Officers of one day, or of every published day of a stretch."""
    query: OfficersQuery = asked.query
    if query.start_date or query.end_date:
        return _series(asked)
    reading = asked.desk.reading(query.date)
    rows = _with_revisions(asked, reading, reading.officers, "officer")
    return _chosen(_listing(asked, rows, ("officer_id",), "officer_id", meta(reading)), query)


def _with_revisions(asked: Asked, told: Told, rows: "pl.DataFrame", by: By) -> "pl.DataFrame":
    """Rows of a day, with the figures by other revisions that the fields and the order ask for."""
    query: OfficersQuery | BranchesQuery = asked.query
    words = f"{query.fields},{query.sort}".split(",")
    wanted = {REVISIONS[name] for word in words if (name := word.strip().removeprefix("-")) in REVISIONS}
    whole = rows
    for nth in sorted({nth for _, nth in wanted}):
        whole = whole.hstack(asked.desk.beside(told, rows, by, nth))
    return whole


def _series(asked: Asked) -> Listing:
    query: OfficersQuery = asked.query
    for parameter in ("fields", "sort"):
        for word in getattr(query, parameter).split(","):
            if word.strip().removeprefix("-") in REVISIONS:
                raise ProblemError.bad(parameter, f"{word.strip()} goes with one day")
    if query.date or not query.start_date or not query.end_date:
        raise ProblemError.bad("start_date", "goes with end_date, and without date")
    if not 0 <= (query.end_date - query.start_date).days < MOST_DAYS:
        raise ProblemError.bad("end_date", f"must be within {MOST_DAYS} days from start_date")
    key = ("calculation_date", "officer_id")
    with asked.desk.reader() as reader:
        stored = job.series(reader, query.start_date, query.end_date, _columns(asked), query.officer_id)
    listing = _listing(asked, stored, key, "date,officer_id", meta(asked.desk.reading(None)))
    return _chosen(listing, query)


def _listing(
    asked: Asked, rows: "pl.DataFrame", key: tuple[str, ...], sort: str, about: Mapping[str, Any]
) -> Listing:
    """Channels and audits are looked up for the rows shown only, unless the choice or the order rests on them."""
    query: OfficersQuery = asked.query
    steps = {step.strip().removeprefix("-") for step in query.sort.split(",")}
    if query.channel or steps.intersection(job.LOOKED_UP):
        return Listing(_looked_up(asked.desk, rows).lazy(), key, sort, about)
    return Listing(rows.lazy(), key, sort, about, partial(_looked_up, asked.desk))


def _looked_up(desk: "Desk", rows: "pl.DataFrame") -> "pl.DataFrame":
    with desk.reader() as reader, desk.database() as primary:
        return job.listed(reader, primary, rows)


def _columns(asked: Asked) -> list[str]:
    """Stored columns that the fields, the sort and the filters of a series need."""
    given = f"{asked.query.fields},{asked.query.sort}"
    named = {word.strip().lstrip("-") for word in given.split(",")}
    everything = not asked.query.fields
    stored = [field for field in OFFICERS if field.name not in (*job.LOOKED_UP, "bands")]
    fields = [field for field in stored if (everything and field.shown) or field.name in named]
    bands = list(BANDS.values()) if everything or "bands" in named else []
    return ["officer_name", "region", "branch", "risk_band", *(field.source for field in fields), *bands]


def _chosen(listing: Listing, query: OfficersQuery) -> Listing:
    for band in query.risk_band:
        if band not in RISK_BANDS:
            raise ProblemError.bad("risk_band", suggest(band, RISK_BANDS))
    wanted = ("region", "branch", "officer_id", "channel", "risk_band")
    return listing.narrowed((name, getattr(query, name)) for name in wanted)


def branches(asked: Asked) -> Listing:
    """Branches of one day."""
    query: BranchesQuery = asked.query
    told = asked.desk.branches(query.date)
    rows = _with_revisions(asked, told, told.branches, "branch")
    listing = Listing(rows.lazy(), ("region", "branch"), "region,branch", meta(told))
    return listing.narrowed([("region", query.region), ("branch", query.branch)])


def book(asked: Asked) -> Answer:
    """The whole book on one day."""
    reading = asked.desk.reading(asked.query.date)
    return Answer(Whole(_figures(job.book(reading))), meta(reading))


def tracks(asked: Asked) -> Answer:
    """One metric of some officers over the last days, for a small picture each."""
    query: TracksQuery = asked.query
    if query.metric not in TRACKED:
        raise ProblemError.bad("metric", suggest(query.metric, TRACKED))
    if not 0 < len(query.officer_id) <= MOST_TRACKS:
        raise ProblemError.bad("officer_id", f"give 1 to {MOST_TRACKS} of them")
    reading = asked.desk.reading(query.date)
    with asked.desk.reader() as reader:
        found = job.tracks(reader, reading, query.metric, query.days, query.officer_id)
    return Answer(Track(found.dates, found.officers), meta(reading))


def meta(reading: Told) -> dict[str, Any]:
    """What every answer says of where its figures come from."""
    return {
        "calculation_date": reading.day,
        "calculated_at": reading.stamp.calculated_at,
        "run_id": reading.stamp.run_id,
        "published": reading.published,
    }


def officer(asked: Asked) -> Answer:
    """One officer: figures, trend, history, what the score is made of, and the audit."""
    reading = asked.desk.reading(asked.query.date)
    officer_id = asked.path["officer_id"]
    with asked.desk.reader() as reader, asked.desk.database() as primary:
        found = job.officer(reader, primary, reading, officer_id)
        info = audits.info(primary, officer_id)
    current = _figures(found.row)
    data = Officer(
        **{name: found.row[name] for name in IDENTITY},
        metrics=Trend(current, found.previous and _figures(found.previous), found.trend),
        history=found.history,
        explanation=_explanation(found),
        audit_info=info,
    )
    return Answer(data, meta(reading))


def sheet(asked: Asked) -> tuple[Sheet, About]:
    """The same officer on paper, with his riskiest loans; telephone numbers whole for those who audit."""
    day, officer_id = asked.query.date, asked.path["officer_id"]
    with asked.desk.reader() as reader, asked.desk.database() as primary:
        desk = officer_sheet.Desk(
            asked.desk.settings, reader, primary, asked.desk.lake, whole=asked.member.may("auditor")
        )
        narrowed = {"officer_id": officer_id, **({"date": str(day)} if day else {})}
        return officer_sheet.sheet(desk, asked.desk.reading(day), officer_id, narrowed)


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Every measure, metric and band of one officer."""
    fields = [field for field in declared(OFFICER_METRICS, rank=True).values() if field.source in row]
    return {
        field.name: money(row[field.source]) if field.kind == "money" else row[field.source]
        for field in fields
    }


def _explanation(found: job.Officer) -> Explanation | None:
    if found.terms is None:
        return None
    return Explanation(found.row["risk_score"], sum(term["lost"] for term in found.terms), found.terms)
