"""How fresh the published figures are, and how the last run went: what health checks and monitors ask."""

from dataclasses import dataclass
from datetime import date

import psycopg

QUERY = """
    SELECT done.run_id, done.calculation_date,
        extract(epoch FROM clock_timestamp() - done.end_time)::float8,
        done.duration_seconds::float8,
        (done.reconciliation -> 'source_rows' ->> 'loans')::bigint,
        (SELECT count(*) FROM officer_metrics_daily WHERE calculation_date = done.calculation_date),
        ended.status = 'Completed'
    FROM (VALUES (1)) AS one
    LEFT JOIN LATERAL (
        SELECT * FROM metric_calculation_log WHERE status = 'Completed' ORDER BY log_id DESC LIMIT 1
    ) AS done ON true
    LEFT JOIN LATERAL (
        SELECT status FROM metric_calculation_log WHERE status <> 'Running' ORDER BY log_id DESC LIMIT 1
    ) AS ended ON true
"""


@dataclass(frozen=True, slots=True)
class Freshness:
    """The newest completed run, nothing known of it where there is none; ``succeeded`` is of the last run that ended.

    ``age`` is in seconds since the run was published; ``loans`` were read, ``officers`` have figures.
    """

    run_id: str | None = None
    as_of: date | None = None
    age: float | None = None
    seconds: float | None = None
    loans: int | None = None
    officers: int = 0
    succeeded: bool | None = None


def freshness(connection: psycopg.Connection) -> Freshness:
    """One look at the log."""
    row = connection.execute(QUERY).fetchone()
    assert row is not None
    return Freshness(*row)
