"""PostgreSQL as a peer: the facts in integer-keyed tables, indexed and analyzed before the clock starts."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from loanmetrics import referee
from loanmetrics.policy import Policy

SQL = Path(__file__).with_suffix(".sql")
SETTINGS = {
    "work_mem": "512MB",
    "temp_buffers": "256MB",
    "maintenance_work_mem": "512MB",
    "max_parallel_workers_per_gather": "2",
    "timezone": "UTC",
    "client_min_messages": "warning",
}
TABLES = {
    "cells": "cell int PRIMARY KEY, officer_id text, region text, branch text",
    "officers": (
        "officer_id text PRIMARY KEY, officer_name text, region text, branch text, "
        "primary_channel text, listed bool"
    ),
    "channels": "channel int PRIMARY KEY, name text",
    "methods": "method int PRIMARY KEY, name text",
    "holidays": "day int PRIMARY KEY",
    "par15": "snapshot_day int, officer_id text, region text, branch text, exposure bigint, loans bigint",
    "loans": (
        "loan int, loan_id text, cell int, amount bigint, disbursed int, maturity int, term int, "
        "rate bigint, fee bigint, channel int, status smallint, closed int"
    ),
    "schedule": "loan int, due int, number int, principal bigint, interest bigint, fee bigint",
    "repayments": (
        "loan int, day int, repayment_id text, amount bigint, principal bigint, interest bigint, "
        "fees bigint, penalty bigint, method int, backdated bool, reversed bool, reversal int, "
        "waiver bigint, waiver_type smallint, created timestamptz"
    ),
}
INDEXES = (
    "CREATE UNIQUE INDEX ON loans (loan)",
    "CREATE UNIQUE INDEX ON schedule (loan, due, number)",
    "CREATE INDEX ON repayments (loan, day)",
)
BIGINT_SUM = (
    "CREATE AGGREGATE sum8(bigint) (SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE)"
)


def load(dsn: str, folder: Path) -> None:
    """Copy the facts into a fresh schema ``peer``."""
    with _session(dsn) as connection:
        connection.execute("DROP SCHEMA IF EXISTS peer CASCADE")
        connection.execute("CREATE SCHEMA peer")
        connection.execute(BIGINT_SUM)
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
            for path in sorted(folder.glob(f"{name}-*.parquet")):
                _copy(connection, name, path)
        for statement in (*INDEXES, f"VACUUM (ANALYZE) {', '.join(TABLES)}"):
            connection.execute(statement)


def drop(dsn: str) -> None:
    """Leave nothing behind."""
    with _session(dsn) as connection:
        connection.execute("DROP SCHEMA IF EXISTS peer CASCADE")


def one_day(dsn: str, as_of: date, policy: Policy, jit: bool) -> Callable[[], pl.DataFrame]:
    """Every run is one transaction in a warm session, rolled back."""
    if policy.calendar != "calendar" or policy.first_payment_share:
        raise ValueError("the PostgreSQL peer knows calendar days and the default first-payment rule only")
    connection = _session(dsn, jit="on" if jit else "off")
    given = _parameters(connection, as_of, policy)

    def run() -> pl.DataFrame:
        with connection.transaction(force_rollback=True), psycopg.ClientCursor(connection) as cursor:
            cursor.execute(SQL.read_text().encode(), given)
            while cursor.nextset():
                pass
            names = [column.name for column in cursor.description or ()]
            return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)

    return run


def server_version(dsn: str) -> str:
    """As PostgreSQL names it, e.g. 18.1."""
    with _session(dsn) as connection:
        return connection.info.parameter_status("server_version") or "unknown"


def server_process(dsn: str) -> int:
    """The server's main process, to watch its memory; 0 if it is not on this machine."""
    with _session(dsn) as connection:
        backend = Path(f"/proc/{connection.info.backend_pid}")
        if not backend.is_dir() or "postgres" not in (backend / "comm").read_text():
            return 0
        return int((backend / "status").read_text().split("PPid:")[1].split()[0])


def _session(dsn: str, **more: str) -> psycopg.Connection:
    connection = psycopg.connect(dsn, autocommit=True)
    for name, value in (SETTINGS | more).items():
        connection.execute(f"SET {name} = '{value}'")
    connection.execute("SET search_path = peer, public")
    return connection


def _copy(connection: psycopg.Connection, name: str, path: Path) -> None:
    columns = [column.split()[0] for column in TABLES[name].split(", ")]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN (FORMAT csv)") as sink,
    ):
        for chunk in pl.read_parquet(path, columns=columns).select(columns).iter_slices(250_000):
            sink.write(chunk.write_csv(include_header=False))


def _parameters(connection: psycopg.Connection, as_of: date, policy: Policy) -> dict[str, Any]:
    given = referee.parameters(as_of, policy)
    month_start = as_of.replace(day=1)
    mid = as_of.replace(day=15) if as_of.day >= 15 else (month_start - timedelta(days=1)).replace(day=15)
    day = given["as_of"]
    stocks = {"now": day, "back": day - policy.roll_days, "mid": (mid - referee.EPOCH).days}
    cash = connection.execute("SELECT method FROM methods WHERE name = ANY (%s)", [given["cash_methods"]])
    return {
        **given,
        **stocks,
        **{f"overdue_{stock}": day + policy.inclusive for stock, day in stocks.items()},
        "month_start": (month_start - referee.EPOCH).days,
        "cash": [key for (key,) in cash],
    }
