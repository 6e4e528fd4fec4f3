"""The list of officers as one would write it by hand with Flask and psycopg: no tokens, no cache, no log.

Served by the same gunicorn with as many processes and threads as ours; sessions are kept open.
"""

import math
import os
from datetime import UTC
from functools import cache

from flask import Flask, Response, jsonify, request
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]

NEWEST = """
    SELECT calculation_date, run_id, start_time FROM metric_calculation_log
    WHERE status = 'Completed' AND calculation_date = (SELECT max(calculation_date) FROM officer_metrics_daily)
    ORDER BY log_id DESC LIMIT 1
"""
PAGE = """
    SELECT count(*) OVER () AS total, o.officer_id, o.officer_name, o.region, o.branch,
        listed.primary_channel AS channel, risk_score, risk_band, ayr, dqi, fimr, all_time_fimr, d06_slippage,
        roll, frr, porr, channel_purity, on_time_rate, total_portfolio::float8 AS portfolio_total,
        overdue_15d_amount::float8 AS overdue_15d, active_loans, total_yield::float8 AS yield, rank,
        member_name AS assignee, coalesce(audit.new_value ->> 'audit_status', 'Unassigned') AS audit_status,
        left(audit.new_value ->> 'last_audit_at', 10) AS last_audit_date, {bands}
    FROM officer_metrics_daily o
    LEFT JOIN officers listed ON listed.officer_id = o.officer_id
    LEFT JOIN LATERAL (
        SELECT new_value FROM audit_tracking
        WHERE officer_id = o.officer_id ORDER BY audit_id DESC LIMIT 1
    ) audit ON true
    LEFT JOIN team_members ON member_id = (audit.new_value ->> 'assignee_id')::bigint
    WHERE calculation_date = %(day)s AND (%(region)s::text IS NULL OR o.region = %(region)s)
    ORDER BY {order}, o.officer_id LIMIT %(limit)s OFFSET %(skip)s
"""
ORDERS = {"officer_id": "o.officer_id", "risk_score": "risk_score NULLS LAST"}
BANDS = {
    "all_time_fimr": "all_time_fimr_band",
    "ayr_30d": "ayr_30d_band",
    "d06_slippage": "d06_slippage_band",
    "fimr": "fimr_band",
    "roll": "roll_band",
    "ayr": "ayr_band",
    "risk_score": "risk_band",
    "dqi": "dqi_band",
}


@cache
def pool() -> ConnectionPool[Connection[DictRow]]:
    """The sessions of one process, opened at its first request."""
    return ConnectionPool(
        os.environ["PEER_DATABASE_URL"],
        connection_class=Connection[DictRow],
        min_size=1,
        max_size=8,
        open=True,
        kwargs={"autocommit": True, "row_factory": dict_row},
    )


@app.get("/healthz")
def alive() -> str:
    return "alive"


@app.get("/api/v1/metrics/officers")
def officers() -> Response:
    page, per_page = int(request.args.get("page", 1)), 50
    bands = ", ".join(f"{column} AS band_{name}" for name, column in BANDS.items())
    query = PAGE.format(bands=bands, order=ORDERS[request.args.get("sort", "officer_id")])
    with pool().connection() as connection:
        newest = connection.execute(NEWEST).fetchone()
        assert newest is not None
        wanted = {
            "day": newest["calculation_date"],
            "region": request.args.get("region"),
            "limit": per_page,
            "skip": (page - 1) * per_page,
        }
        rows = connection.execute(query.encode(), wanted).fetchall()
    total = rows[0]["total"] if rows else 0
    for row in rows:
        del row["total"]
        row["bands"] = {name: row.pop(f"band_{name}") for name in BANDS}
    meta = {
        "total": total,
        "page": page,
        "per_page": per_page,
        "total_pages": math.ceil(total / per_page),
        "calculation_date": newest["calculation_date"].isoformat(),
        "calculated_at": newest["start_time"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "run_id": newest["run_id"],
        "published": True,
    }
    return jsonify({"success": True, "data": rows, "meta": meta})
