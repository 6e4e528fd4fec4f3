"""Months of the partitioned tables: there before rows of theirs come."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date

import psycopg

from loanmetrics.tables import TABLES

PARTITIONED = tuple(table.name for table in TABLES.values() if table.partition_by)


def ensure_partitions(
    connection: psycopg.Connection, tables: Iterable[str] = PARTITIONED, days: Iterable[date] = ()
) -> list[str]:
    """Partitions for the months of ``days``, this month, three ahead, and rows in the default partition.

    A table whose writers keep it busy is left for the next time: its rows are safe in the default
    partition. Inserts wait until this is committed, so let it be a transaction of its own.
    """
    made: list[str] = []
    months = sorted({day.replace(day=1) for day in days})
    for table in tables:
        with suppress(psycopg.errors.LockNotAvailable):
            made += _ensure(connection, table, months)
    return made


def _ensure(connection: psycopg.Connection, table: str, months: list[date]) -> list[str]:
    with connection.transaction():
        row = connection.execute(
            "SELECT loanmetrics_ensure_partitions(%s::regclass, %s::date[])", [table, months]
        ).fetchone()
    assert row is not None
    made: list[str] = row[0]
    return made
