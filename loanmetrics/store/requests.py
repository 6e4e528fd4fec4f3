"""Requests that may be sent again: the row of the audit chain that answered one is found by its key."""

from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from loanmetrics.errors import ConflictError
from loanmetrics.store.audit import Row


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, under which key, and the hash of what is asked."""

    actor: str
    key: str
    digest: str


def answered(connection: psycopg.Connection, request: Request) -> Row | None:
    """The row that answered the request; refused if the key stood for another request then."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT request_hash, a.* FROM audit_requests JOIN audit_tracking a USING (audit_id)"
            " WHERE (audit_requests.actor, request_key) = (%s, %s)",
            [request.actor, request.key],
        )
        row = cursor.fetchone()
    if row and row["request_hash"] != request.digest:
        raise ConflictError(
            "this Idempotency-Key stands for another request", "use a new key for a new request"
        )
    return row


def remember(connection: psycopg.Connection, request: Request, audit_id: int) -> None:
    """Note which row answers the request, in the transaction that writes the row."""
    connection.execute(
        "INSERT INTO audit_requests (actor, request_key, request_hash, audit_id) VALUES (%s, %s, %s, %s)",
        [request.actor, request.key, request.digest, audit_id],
    )
