"""What a database holds, read without the code under test."""

from typing import Any

import psycopg

DERIVED = ("officer_metrics_daily", "branch_metrics_daily", "loan_state")
LOG = "metric_calculation_log"
Row = tuple[Any, ...]


def asked(url: str, query: str) -> list[Row]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def told(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def rows(url: str, *tables: str) -> list[list[str]]:
    """Every row with its place and the transaction that wrote it, so that a rewrite shows too."""
    query = "SELECT tableoid, ctid, xmin, t::text FROM {} t ORDER BY 1, 2"
    return [[str(row) for row in asked(url, query.format(table))] for table in tables or DERIVED]


def statuses(url: str) -> list[Row]:
    """Status and reason of every run, oldest first."""
    return asked(url, f"SELECT status, error_message FROM {LOG} ORDER BY log_id")
