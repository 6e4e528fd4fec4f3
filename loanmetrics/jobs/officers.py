"""Officers as readers see them: figures, channel, how their audits stand, what their scores are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from psycopg import Connection

from loanmetrics.engine import results
from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.explain import points
from loanmetrics.errors import NotFoundError
from loanmetrics.jobs import audit
from loanmetrics.jobs.reading import Reading
from loanmetrics.store import reading as store

HISTORY = ("risk_score", "dqi", "fimr", "roll", "ayr")
HISTORY_DAYS = 90
STABLE = 2
STANDING = {
    "officer_id": pl.String(),
    "assignee": pl.String(),
    "audit_status": pl.String(),
    "last_audit_date": pl.Date(),
}
LOOKED_UP = ("channel", *list(STANDING)[1:])


@dataclass(frozen=True)
class Officer:
    """One officer: the row of the day, that of ``roll_days`` earlier if there is one, and the scores since."""

    row: dict[str, Any]
    previous: dict[str, Any] | None
    history: list[dict[str, Any]]
    terms: list[dict[str, Any]] | None

    @property
    def trend(self) -> str | None:
        """Which way the risk score went: within two points it is stable; None without both scores."""
        now = self.row["risk_score"]
        before = self.previous["risk_score"] if self.previous else None
        if now is None or before is None:
            return None
        if abs(now - before) <= STABLE:
            return "stable"
        return "improving" if now > before else "declining"


@dataclass(frozen=True)
class Tracks:
    """A metric over days, by officer; None where an officer had no row or no figure."""

    dates: list[date]
    officers: dict[str, list[float | None]]


def listed(reader: Connection, primary: Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """Officer rows with their channel and where their audits stand, the latter from the primary: it is never behind."""
    officers = rows["officer_id"].unique().to_list()
    for looked_up in (store.channels(reader, officers), _standings(primary, officers)):
        rows = rows.join(looked_up, on="officer_id", how="left", maintain_order="left")
    return rows


def book(reading: Reading) -> dict[str, Any]:
    """Every figure of the whole book on the day of a reading."""
    return results.whole(reading.officers, reading.stamp.policy(), reading.catalogue).row(0, named=True)


def tracks(
    reader: Connection, reading: Reading, metric: str, days: int, officer_ids: Sequence[str]
) -> Tracks:
    """One metric of some officers on every published day of the last ``days``."""
    rows = series(reader, reading.day - timedelta(days - 1), reading.day, [metric], officer_ids)
    found = rows["calculation_date"].unique().sort().to_list()
    wide = rows.pivot("calculation_date", index="officer_id", values=metric, aggregate_function=None)
    values = {row[0]: list(row[1:]) for row in wide.select("officer_id", *map(str, found)).iter_rows()}
    return Tracks(found, values)


def series(
    reader: Connection, first: date, last: date, wanted: Sequence[str], officer_ids: Sequence[str]
) -> pl.DataFrame:
    """Published rows of a stretch of days, of some officers or all: the wanted columns."""
    return store.officer_series(reader, first, last, wanted, sorted(officer_ids))


def officer(reader: Connection, primary: Connection, reading: Reading, officer_id: str) -> Officer:
    """One officer on the day of a reading."""
    mine = reading.officers.filter(pl.col("officer_id") == officer_id)
    if mine.is_empty():
        raise NotFoundError(f"there is no officer {officer_id}")
    row = listed(reader, primary, mine)
    earlier = reading.day - timedelta(reading.stamp.policy().roll_days)
    stored = [name for name in row.columns if name not in (*LOOKED_UP, "officer_id", "calculation_date")]
    before = series(reader, earlier, earlier, [name for name in stored if name in mine.columns], [officer_id])
    since = series(reader, reading.day - timedelta(HISTORY_DAYS - 1), reading.day, HISTORY, [officer_id])
    return Officer(
        row.row(0, named=True),
        before.row(0, named=True) if len(before) else None,
        since.rename({"calculation_date": "date"}).select("date", *HISTORY).to_dicts(),
        _terms(row, reading.catalogue),
    )


def _terms(row: pl.DataFrame, catalogue: Catalogue) -> list[dict[str, Any]] | None:
    """What each term costs: 100 less their sum is the unrounded score. None where there is no score."""
    if row["risk_score"][0] is None:
        return None
    lost = points(row, "risk_score", catalogue).row(0, named=True)
    return [
        {
            **{"term": term.name, "title": term.title, "weight": term.weight, "lost": lost[term.name]},
            **{"share": term.share, "in_words": catalogue.in_words(term.share)},
        }
        for term in catalogue.metric("risk_score").terms
    ]


def _standings(connection: Connection, officers: Sequence[str]) -> pl.DataFrame:
    found = audit.standing(connection, officers).values()
    rows = [(it.officer_id, it.assignee_name, it.audit_status, _day(it.last_audit_at)) for it in found]
    return pl.DataFrame(rows, schema=STANDING, orient="row")


def _day(moment: datetime | None) -> date | None:
    return moment and moment.astimezone(UTC).date()
