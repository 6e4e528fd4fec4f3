"""What COPY ... TO STDOUT sends, many rows at a time: to be handed each row by itself costs more than to parse it."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.waiting import Wait

if TYPE_CHECKING:
    from psycopg import Connection, Copy
    from psycopg.abc import PQGen

BLOCK = 1 << 16


def blocks(copy: "Copy", size: int = BLOCK) -> Iterator[bytes]:
    """All rows, in blocks of whole rows and at least this many bytes; raises the error that ended them early."""
    connection = copy.connection
    last = False
    while not last:
        block, last = connection.wait(_next(connection, size))
        if block:
            yield block


def into_file(connection: "Connection[Any]", query: sql.Composable, path: Path) -> None:
    """The rows of a query, as CSV without a header."""
    copied = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
    with connection.cursor().copy(copied) as copy, path.open("wb") as out:
        out.writelines(blocks(copy))


def _next(connection: "Connection[Any]", size: int) -> "PQGen[tuple[bytes, bool]]":
    """The next rows, and whether they are the last."""
    session = connection.pgconn
    rows, take = BytesIO(), session.get_copy_data
    while True:
        length, row = take(1)
        while length > 0:
            rows.write(row)
            length, row = take(1)
        if length < 0:
            yield from _ended(connection)
            return rows.getvalue(), True
        if rows.tell() >= size:
            return rows.getvalue(), False
        while not (yield Wait.R):
            continue
        session.consume_input()


def _ended(connection: "Connection[Any]") -> "PQGen[None]":
    for result in (yield from fetch_many(connection.pgconn)):
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result, encoding=connection.info.encoding)
