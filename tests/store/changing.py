"""Readers of the change log that keep a mirror of the lender's tables by it, and what lenders do to these."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from loanmetrics.store.changes import LOAN_TABLES, WHOLE_TABLES, Mark, Touched, advance, mark, touched
from loanmetrics.store.session import connect

Rows = set[tuple[Any, ...]]
SPLIT, LATER = "2026-01-31", "2026-02-28"
PAY = (
    "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, updated_at)"
    " VALUES (%s, %s, %s, 10, '2020-01-01')"
)
LEND = "INSERT INTO loans (loan_id, loan_amount, disbursement_date) VALUES (%s, 100, '2026-01-31')"


def run(connection: psycopg.Connection, statement: str, *values: object) -> None:
    connection.execute(statement.encode(), values or None)


def pay(connection: psycopg.Connection, repayment: str, loan: str, day: str = SPLIT) -> None:
    run(connection, PAY, repayment, loan, day)


def enable(connection: psycopg.Connection, table: str) -> None:
    for happening in ("insert", "update", "delete", "truncate"):
        run(connection, f"ALTER TABLE ONLY {table} ENABLE ALWAYS TRIGGER loanmetrics_log_{happening}")


@contextmanager
def snapshot(connection: psycopg.Connection) -> Iterator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


@dataclass
class Reader:
    """Looks at what was touched, and copies only that; ``true`` asks whether the copy is exact."""

    url: str
    name: str = "reader"
    at: Mark | None = None
    mirror: dict[str, Rows] = field(default_factory=dict)

    def look(self, finish: bool = True) -> Touched:
        with connect(self.url) as connection:
            with snapshot(connection):
                reached, found = mark(connection), touched(connection, self.at)
                mirror = self._copied(connection, found)
                assert mirror == {table: rows(connection, table) for table in mirror}, found
            if finish:
                advance(connection, self.name, reached)
                self.at, self.mirror = reached, mirror
        return found

    def _copied(self, connection: psycopg.Connection, found: Touched) -> dict[str, Rows]:
        return {
            table: rows(connection, table)
            if found.reason or table in found.tables
            else self._patched(connection, table, found.loans)
            for table in (*LOAN_TABLES, *WHOLE_TABLES)
        }

    def _patched(self, connection: psycopg.Connection, table: str, loans: frozenset[str]) -> Rows:
        if table in WHOLE_TABLES:
            return self.mirror[table]
        kept = {row for row in self.mirror[table] if row[0] not in loans}
        return kept | rows(connection, table, list(loans))


def rows(connection: psycopg.Connection, table: str, loans: list[str] | None = None) -> Rows:
    """Rows of a table, the loan first."""
    loan = "loan_id" if table in LOAN_TABLES else "NULL"
    where = "" if loans is None else " WHERE loan_id = ANY(%s)"
    query = f"SELECT {loan}, t.*::text FROM {table} t{where}"
    return set(connection.execute(query.encode(), None if loans is None else [loans]))
