"""What readers of published figures ask of the database: days, series, officers as they are listed, choices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from loanmetrics.policy import Policy
from loanmetrics.store.frames import fetch
from loanmetrics.tables import BRANCH_METRICS, OFFICER_METRICS, UNASSIGNED


@dataclass(frozen=True, slots=True)
class Stamp:
    """Under which run the figures of a day were last computed, and when."""

    run_id: str
    calculated_at: datetime
    said: Mapping[str, Any]

    def policy(self) -> Policy:
        """The conventions the run went by."""
        return Policy.from_dict(dict(self.said))


def last_stamp(connection: psycopg.Connection) -> Stamp | None:
    """The last completed run."""
    row = connection.execute(
        "SELECT run_id, start_time, policy FROM metric_calculation_log WHERE status = 'Completed'"
        " ORDER BY log_id DESC LIMIT 1"
    ).fetchone()
    return Stamp(*row) if row else None


def day_stamp(connection: psycopg.Connection, day: date) -> Stamp | None:
    """The run that the figures of ``day`` come from: rows that stayed the same keep an older one's name."""
    row = connection.execute(
        "SELECT run_id, start_time, policy FROM metric_calculation_log WHERE run_id = greatest("
        "(SELECT max(run_id) FROM officer_metrics_daily WHERE calculation_date = %(day)s),"
        " (SELECT max(run_id) FROM metric_calculation_log WHERE calculation_date = %(day)s"
        " AND calculation_type IN ('day', 'event', 'backfill') AND status = 'Completed'))",
        {"day": day},
    ).fetchone()
    return Stamp(*row) if row else None


def is_stored(connection: psycopg.Connection, day: date) -> bool:
    """Whether figures of ``day`` are published."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM officer_metrics_daily WHERE calculation_date = %s)", [day]
    ).fetchone()
    return row == (True,)


def channels(connection: psycopg.Connection, officer_ids: Sequence[str] | None = None) -> pl.DataFrame:
    """The primary channel of these officers, by default of all; those who are not listed have none."""
    rows = connection.execute(
        "SELECT officer_id, primary_channel FROM officers WHERE %(all)s OR officer_id = ANY(%(some)s)",
        {"all": officer_ids is None, "some": list(officer_ids or ())},
    ).fetchall()
    return pl.DataFrame(rows, schema={"officer_id": pl.String(), "channel": pl.String()}, orient="row")


def officer_names(connection: psycopg.Connection, officer_ids: Sequence[str]) -> pl.DataFrame:
    """What these officers are called; those who are not listed, or have no name, are left out."""
    rows = connection.execute(
        "SELECT officer_id, officer_name FROM officers WHERE officer_id = ANY(%s) AND officer_name IS NOT NULL",
        [list(officer_ids)],
    ).fetchall()
    return pl.DataFrame(rows, schema={"officer_id": pl.String(), "officer_name": pl.String()}, orient="row")


def officer_series(
    connection: psycopg.Connection, first: date, last: date, wanted: Sequence[str], officer_ids: Sequence[str]
) -> pl.DataFrame:
    """Published rows of some officers, or of all, over a stretch of days; only the wanted columns."""
    narrowed = "calculation_date BETWEEN %s AND %s" + (" AND officer_id = ANY(%s)" if officer_ids else "")
    return fetch(
        connection,
        OFFICER_METRICS.name,
        sql.SQL(narrowed),
        [first, last, *([list(officer_ids)] if officer_ids else [])],
        ("calculation_date", "officer_id"),
        ("officer_id", "calculation_date", *wanted),
    )


def choices(connection: psycopg.Connection) -> dict[str, list[dict[str, Any]]]:
    """What lists can be filtered by, as last published."""
    newest = "(SELECT max(calculation_date) FROM {})"
    branches = connection.execute(
        f"SELECT DISTINCT branch, region FROM {BRANCH_METRICS.name}"
        f" WHERE calculation_date = {newest.format(BRANCH_METRICS.name)} ORDER BY 1, 2".encode()
    ).fetchall()
    officers = connection.execute(
        f"SELECT officer_id, officer_name, branch FROM {OFFICER_METRICS.name}"
        f" WHERE calculation_date = {newest.format(OFFICER_METRICS.name)} ORDER BY 1".encode()
    ).fetchall()
    return {
        "branches": [{"branch": branch, "region": region} for branch, region in branches],
        "officers": [
            {
                **{"officer_id": officer_id, "officer_name": name, "branch": branch},
                "person": officer_id != UNASSIGNED,
            }
            for officer_id, name, branch in officers
        ],
    }
