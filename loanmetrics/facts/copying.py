"""Rows between DuckDB and PostgreSQL: through a CSV file on disk, so that memory stays flat."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from loanmetrics.facts.quoting import literal, one_file
from loanmetrics.store.blocks import into_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg import Connection

BLOCK = 1 << 20


def copy_in(
    work: "DuckDBPyConnection",
    database: "Connection[Any]",
    query: str,
    table: str,
    columns: Sequence[str],
    file: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Append the rows of a DuckDB query to a PostgreSQL table; ``progress`` hears bytes done and in all."""
    work.execute(f"COPY ({query}) TO {literal(file)} (FORMAT csv, HEADER false)")
    total, done = file.stat().st_size, 0
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with database.cursor().copy(into) as copy, file.open("rb") as rows:
        while block := rows.read(BLOCK):
            copy.write(block)
            done += len(block)
            progress(done, total)
    file.unlink()


def copy_out(
    database: "Connection[Any]", query: str, work: "DuckDBPyConnection", table: str, file: Path
) -> None:
    """Make a DuckDB table of the row numbers that a PostgreSQL query returns."""
    into_file(database, sql.SQL(query), file)
    columns = "auto_detect = false, header = false, columns = {'row_number': 'BIGINT'}"
    work.execute(
        f"CREATE OR REPLACE TABLE {table} AS SELECT DISTINCT row_number FROM read_csv({one_file(file)}, {columns})"
    )
    file.unlink()
