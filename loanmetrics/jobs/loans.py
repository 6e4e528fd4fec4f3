"""Loans behind the figures of a day, for people: chosen, named, sorted; phone numbers show their last digits only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import psycopg
from polars import selectors

from loanmetrics.engine import drilldown
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import UsageError, unknown
from loanmetrics.export import About
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs import catalogue, reading
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.drilldown import Where, explains, knowledge, loan_rows, masked, with_names
from loanmetrics.jobs.listing import Listing
from loanmetrics.jobs.paging import in_order, ordered
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.people import NAMES
from loanmetrics.store.publish import newest_day
from loanmetrics.store.session import connect

TAGS = {"fimr": "fimr_tagged", "early": "early_indicator_tagged"}
NAMED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Choice:
    """Which loans to show, and how: ``metric`` those that add to it, ``tagged`` those that carry the flag."""

    where: Where
    metric: str | None = None
    tagged: str | None = None
    sort: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Found:
    """The loans of a day; ``measures`` are what they add, ``total`` how many there are, ``about`` what they are."""

    about: About
    rows: pl.DataFrame
    measures: tuple[str, ...]
    total: int


def loans(settings: Settings, as_of: date | None, choice: Choice) -> Found:
    """Loans of a day, the newest published by default."""
    with opened(settings) as url, connect(url, "loanmetrics show loans") as connection:
        lake = lake_of(settings, connection)
        day = as_of or newest_day(connection)
        if day is None:
            raise UsageError("nothing is published", "run: loanmetrics compute")
        version = knowledge(connection, lake, day)
        _insist(lake, version, choice.where)
        rows, measures = _rows(settings, lake, version, day, choice)
        order = ordered(rows, _sort(choice, measures), "loan_id")
        total = rows.select(pl.len()).collect().item()
        shown = in_order(rows, order).head(total if choice.limit is None else choice.limit).collect()
        _, stamp = reading.dated(connection, day)
        about = About(
            "Loans",
            run_id=stamp.run_id,
            known_at=version.run_id,
            as_of=day,
            calculated_at=stamp.calculated_at,
            filters=_filters(choice),
            policy_hash=Policy.from_dict(version.policy).hash,
        )
        return Found(about, _named(connection, shown), measures, total)


def _filters(choice: Choice) -> dict[str, object]:
    given = {
        **{name: list(getattr(choice.where, name)) for name in ("officer_id", "region", "branch")},
        **{"metric": choice.metric, "tagged": choice.tagged, "limit": choice.limit},
    }
    return {name: value for name, value in given.items() if value}


def listing(
    settings: Settings, connection: psycopg.Connection, lake: Lake, as_of: date | None, where: Where
) -> Listing:
    """The loans of a day as a list for readers, whole; ``with_people`` adds whose they are."""
    day, stamp = reading.dated(connection, as_of)
    version = knowledge(connection, lake, day)
    rows = loan_rows(settings, lake, version, day, where)
    meta = {
        "calculation_date": day,
        "calculated_at": stamp.calculated_at,
        "run_id": stamp.run_id,
        "known_at": version.run_id,
    }
    plain = rows.with_columns(selectors.categorical().cast(pl.String))
    return Listing(plain, ("loan_id",), "loan_id", meta)


def with_people(connection: psycopg.Connection, rows: pl.DataFrame, whole: bool) -> pl.DataFrame:
    """Customers' and officers' names, and telephone numbers, ``whole`` or their last digits only."""
    named = with_names(connection, rows)
    return named if whole else named.with_columns(masked(pl.col("customer_phone")).alias("customer_phone"))


def with_customers(connection: psycopg.Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """Customers' names for loans of which no more than ``loan_id`` need be known; null where there is no loan."""
    missing = {"disbursement_date": pl.Date(), "officer_id": pl.String()}
    nulls = [pl.lit(None, kind).alias(name) for name, kind in missing.items() if name not in rows.columns]
    named = with_names(connection, rows.with_columns(nulls))
    return rows.with_columns(named["customer_name"])


def people_of(connection: psycopg.Connection, loan: Mapping[str, Any], whole: bool) -> dict[str, Any]:
    """Whose a loan is, as ``with_people`` has it."""
    key = pl.DataFrame([{name: loan[name] for name in ("loan_id", "disbursement_date", "officer_id")}])
    return with_people(connection, key, whole).select(NAMES).row(0, named=True)


def kinds() -> dict[str, str]:
    """How each column is to be shown."""
    return catalogue.kinds() | drilldown.kinds()


def _insist(lake: Lake, version: Version, where: Where) -> None:
    """Refuse a name that neither a loan nor the officers' list knows."""
    both = [lake.small(version, name).select(PLACE) for name in ("cells", "officers")]
    known = pl.concat(both)
    for what, given in (("officer", where.officer_id), ("region", where.region), ("branch", where.branch)):
        choices = known["officer_id" if what == "officer" else what].unique().to_list()
        for name in given:
            if name not in choices:
                raise unknown(what, name, choices)


def _rows(
    settings: Settings, lake: Lake, version: Version, day: date, choice: Choice
) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    every = loan_rows(settings, lake, version, day, choice.where)
    rows, measures = every, tuple[str, ...]()
    if choice.metric is not None:
        measures = load(Policy.from_dict(version.policy), day).measures_of(choice.metric)
        added = explains(settings, lake, version, day, choice.metric, choice.where).lazy()
        known = every.drop("officer_id", "region", "branch", "disbursement_date")
        rows = added.join(known, on="loan_id", how="left", maintain_order="left")
    return rows.filter(TAGS[choice.tagged]) if choice.tagged else rows, measures


def _sort(choice: Choice, measures: Sequence[str]) -> list[str]:
    if choice.sort:
        return [name.strip() for name in choice.sort.split(",")]
    return [f"-{name}" for name in (*measures, drilldown.SCORE)]


def _named(connection: psycopg.Connection, rows: pl.DataFrame) -> pl.DataFrame:
    parts = [with_names(connection, part) for part in rows.iter_slices(NAMED_AT_ONCE)]
    named = pl.concat(parts) if parts else with_names(connection, rows)
    return named.select("loan_id", *NAMES, pl.exclude("loan_id", *NAMES)).with_columns(
        masked(pl.col("customer_phone")).alias("customer_phone")
    )
