"""One officer on paper: figures and what they mean, points per term, ninety days, the riskiest loans."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import Connection

from loanmetrics.engine import drilldown
from loanmetrics.engine.catalogue import RANK_ABOUT, Catalogue
from loanmetrics.engine.metric import Metric
from loanmetrics.export import About, ColumnAbout
from loanmetrics.export import sheet as paper
from loanmetrics.export.sheet import Figure, Line, Points, Sheet
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs import exports, reading
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.drilldown import Where, knowledge, loan_rows
from loanmetrics.jobs.loans import with_people
from loanmetrics.jobs.officers import HISTORY_DAYS, Officer, officer
from loanmetrics.jobs.reading import Reading
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store.session import connect

WHAT = "officer-sheet"
RISKIEST = 20
LINES = ("risk_score", "dqi")
FIGURES = (
    *("risk_score", "dqi", "rank", "active_loans", "total_portfolio", "overdue_15d_amount", "porr", "par30"),
    *("fimr", "all_time_fimr", "roll", "d06_slippage", "on_time_rate", "frr", "total_yield", "ayr"),
    *("channel_purity", "float_gap_count"),
)
LOANS = (
    ColumnAbout("loan_id", "text", "loan"),
    ColumnAbout("customer_name", "text", "customer"),
    ColumnAbout("customer_phone", "text", "telephone"),
    ColumnAbout("disbursement_date", "date", "disbursed"),
    ColumnAbout("loan_amount", "money", "amount"),
    ColumnAbout("outstanding_balance", "money", "owed"),
    ColumnAbout("current_dpd", "int", "DPD", "Days past due of the oldest unsettled installment."),
    ColumnAbout(
        drilldown.SCORE,
        "points",
        "risk",
        "Loan risk score: 50 for 90 days past due, 25 for the officer's largest debt, 15 for a missed first payment, "
        "10 for 90 days past due ever; in proportion below that.",
    ),
)


@dataclass(frozen=True)
class Desk:
    """Where an officer's sheet is made from; ``primary`` tells the audits. ``whole``: telephone numbers unmasked."""

    settings: Settings
    reader: Connection
    primary: Connection
    lake: Lake
    whole: bool = False


def save(settings: Settings, officer_id: str, as_of: date | None, path: Path) -> date:
    """Write an officer's sheet of a day, the newest published by default, and note it in the audit chain."""
    with opened(settings) as url, connect(url, "loanmetrics show officer") as connection:
        lake = lake_of(settings, connection)
        told = reading.figures(connection, lake, as_of)
        asked = {"officer_id": officer_id, **({"date": str(as_of)} if as_of else {})}
        made, about = sheet(Desk(settings, connection, connection, lake), told, officer_id, asked)
        paper.write(path, made, about)
        exports.record(connection, WHAT, about.run_id, about.filters, by=None)
    return told.day


def sheet(desk: Desk, told: Reading, officer_id: str, asked: Mapping[str, object]) -> tuple[Sheet, About]:
    """An officer's sheet of the day of a reading, and what it is; ``asked`` is what it was narrowed by."""
    found = officer(desk.reader, desk.primary, told, officer_id)
    version = knowledge(desk.reader, desk.lake, told.day)
    every = loan_rows(desk.settings, desk.lake, version, told.day, Where(officer_id=[officer_id]))
    on_book = every.filter(pl.col(drilldown.SCORE).is_not_null()).collect()
    falling = [drilldown.SCORE, "outstanding_balance"]
    riskiest = on_book.sort(*falling, "loan_id", descending=[True, True, False]).head(RISKIEST)
    policy = told.stamp.policy()
    about = About(
        title=f"Officer {officer_id} as of {told.day}",
        run_id=told.stamp.run_id,
        known_at=version.run_id,
        as_of=told.day,
        calculated_at=told.stamp.calculated_at,
        filters=asked,
        policy_hash=policy.hash,
    )
    made = Sheet(
        name=found.row["officer_name"] or officer_id,
        place=_place(found.row),
        headline=_figure(told.catalogue, "risk_score", found.row),
        facts=list(_facts(found, told)),
        figures=[_figure(told.catalogue, name, found.row) for name in FIGURES if name in found.row],
        points=[Points(it["title"], it["lost"], it["weight"], it["share"]) for it in found.terms or ()],
        lines=[_line(told.catalogue, name, found) for name in LINES],
        limits=_limits(told.catalogue),
        columns=LOANS,
        loans=with_people(desk.reader, riskiest, desk.whole).with_columns(
            pl.col(pl.Categorical).cast(pl.String)
        ),
        more=len(on_book) - len(riskiest),
        turns=_turns(told),
    )
    return made, about


def moved(score: int, was: int, day: date) -> str:
    """Which way the risk score went, and no more: old evidence may have left its window.

    >>> moved(57, 61, date(2026, 6, 23))
    'the risk score was 61 on 2026-06-23: down 4'
    """
    change = f"{'up' if score > was else 'down'} {abs(score - was)}" if score != was else "the same"
    return f"the risk score was {was} on {day}: {change}"


def _place(row: Mapping[str, Any]) -> str:
    where = [row["branch"], row["region"]]
    channel = f", channel {row['channel']}" if row["channel"] else ""
    return f"{row['officer_id']}: {', '.join(name for name in where if name)}{channel}"


def _facts(found: Officer, told: Reading) -> Iterator[tuple[str, str]]:
    yield "as of", str(told.day) + ("" if told.published else ", a day no run published: by the newest facts")
    yield "run", told.stamp.run_id
    yield "computed at", told.stamp.calculated_at.isoformat(" ", "seconds")
    yield "policy", told.stamp.policy().hash
    if found.trend and found.previous:
        before = told.day - timedelta(told.stamp.policy().roll_days)
        yield "moved", moved(found.row["risk_score"], found.previous["risk_score"], before)
    assignee = f", {found.row['assignee']}" if found.row["assignee"] else ""
    yield "audit", f"{found.row['audit_status']}{assignee}"


def _figure(catalogue: Catalogue, name: str, row: Mapping[str, Any]) -> Figure:
    if name == "rank":
        return Figure("Rank", row[name], "int", RANK_ABOUT)
    metric = catalogue.metrics.get(name)
    if metric is None:
        measure = catalogue.measures[name]
        return Figure(measure.title, row[name], measure.unit, measure.about)
    band = row[metric.band_column] if metric.bands else ""
    return Figure(metric.title, row[name], metric.unit, _about(metric), band, metric.formula)


def _about(metric: Metric) -> str:
    return f"{metric.about} Revision {metric.revision}." if metric.revision > 1 else metric.about


def _line(catalogue: Catalogue, name: str, found: Officer) -> Line:
    return Line(catalogue.metric(name).title, [(row["date"], row[name]) for row in found.history])


def _limits(catalogue: Catalogue) -> list[tuple[str, float]]:
    bands = catalogue.metric("risk_score").bands
    return list(bands.limits) if bands else []


def _turns(told: Reading) -> dict[date, str]:
    """Days in the picture on which another revision began to count."""
    policy, first = told.stamp.policy(), told.day - timedelta(HISTORY_DAYS - 1)
    return {
        day: ", ".join(
            f"{metric} {nth}"
            for metric, begins in policy.revisions.items()
            for nth in begins
            if begins[nth] == day
        )
        for day in policy.turns(first, told.day)
    }
