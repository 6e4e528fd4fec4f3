"""What COPY sends, in blocks: the same bytes as row by row, and the same errors."""

from collections.abc import Iterator

import psycopg
import pytest

from loanmetrics.store.blocks import BLOCK, blocks
from loanmetrics.store.session import connect

ROWS = (
    "COPY (SELECT n, 'a \"quoted\"' || chr(10) || 'line', repeat('x', n % 90) FROM generate_series(1, {}) n) "
    "TO STDOUT (FORMAT csv)"
)
MUCH = ROWS.format(10_000_000).encode()
HALFWAY = "COPY (SELECT 1 / (50000 - n) FROM generate_series(1, 100000) n) TO STDOUT"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def row_by_row(connection: psycopg.Connection, query: str) -> list[bytes]:
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        return [bytes(row) for row in copy]


@pytest.mark.parametrize("size", [1, 1_000, BLOCK])
@pytest.mark.parametrize("rows", [0, 1, 5_000])
def test_blocks_hold_all_rows_whole_and_in_order(
    connection: psycopg.Connection, rows: int, size: int
) -> None:
    single = row_by_row(connection, ROWS.format(rows))
    with connection.cursor() as cursor, cursor.copy(ROWS.format(rows).encode()) as copy:
        found = list(blocks(copy, size))
    assert b"".join(found) == b"".join(single)
    assert all(size <= len(block) and block.endswith(b"\n") for block in found[:-1])
    assert bool(found) == bool(rows)
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_rows_may_be_longer_than_a_block(connection: psycopg.Connection) -> None:
    query = b"COPY (SELECT repeat('x', 1000000) FROM generate_series(1, 3)) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        assert b"".join(blocks(copy)) == (b"x" * 1_000_000 + b"\n") * 3


def test_what_ends_a_copy_early_is_told(connection: psycopg.Connection) -> None:
    with (
        pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"),
        connection.cursor() as cursor,
        cursor.copy(HALFWAY.encode()) as copy,
    ):
        list(blocks(copy))
    connection.rollback()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_ends_halfway_is_told(connection: psycopg.Connection, database: str) -> None:
    with connection.cursor() as cursor, cursor.copy(MUCH) as copy, connect(database) as other:
        read = blocks(copy)
        next(read)
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            list(read)


def test_who_stops_halfway_may_go_on_with_the_session(connection: psycopg.Connection) -> None:
    with connection.cursor() as cursor, cursor.copy(MUCH) as copy:
        next(blocks(copy))
        copy.finish(KeyError("enough"))
    connection.rollback()
    assert connection.execute("SELECT 1").fetchone() == (1,)
