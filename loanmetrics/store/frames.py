"""Polars frames in and out of tables. Outside money is Int64 minor units, inside numeric(18,2)."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from loanmetrics.errors import StoreError
from loanmetrics.tables import MINOR_PER_UNIT

ROWS_AT_ONCE = 250_000
BYTES_AT_ONCE = 1 << 20
MONEY = "numeric(18,2)"
DTYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "date": pl.Date(),
    "integer": pl.Int32(),
    "bigint": pl.Int64(),
    MONEY: pl.Int64(),
    "boolean": pl.Boolean(),
    "double precision": pl.Float64(),
    "timestamp with time zone": pl.Datetime("us", "UTC"),
}


def column_types(connection: psycopg.Connection, table: str) -> dict[str, str]:
    """Type of each column, in order, as PostgreSQL writes it."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    return dict(rows.fetchall())


def check_columns(table: str, frame: pl.DataFrame, types: Mapping[str, str]) -> None:
    """Refuse a frame with columns the table lacks."""
    strange = [name for name in frame.columns if name not in types]
    if strange:
        raise StoreError(f"table {table} has no column {', '.join(strange)}", "run: loanmetrics migrate")


def copy_in(
    connection: psycopg.Connection, table: str, frame: pl.DataFrame, types: Mapping[str, str]
) -> None:
    """Append ``frame`` to ``table`` by COPY, money turned from minor units into units."""
    money = [name for name in frame.columns if types[name] == MONEY]
    command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), columns(frame.columns)
    )
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for part in frame.iter_slices(ROWS_AT_ONCE):
            buffer = BytesIO()
            part.with_columns(_units(name) for name in money).write_csv(buffer, include_header=False)
            text = buffer.getbuffer()
            for start in range(0, len(text), BYTES_AT_ONCE):
                copy.write(text[start : start + BYTES_AT_ONCE])


def fetch(
    connection: psycopg.Connection,
    table: str,
    where: sql.Composable,
    parameters: Sequence[Any],
    order: Sequence[str],
) -> pl.DataFrame:
    """Rows of ``table`` as an engine-native frame, money back in minor units."""
    types = column_types(connection, table)
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(native(name, kind) for name, kind in types.items()),
        sql.Identifier(table),
        where,
        columns(order),
    )
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query, parameters).fetchall()
    return pl.DataFrame(rows, schema={name: DTYPES[kind] for name, kind in types.items()}, orient="row")


def columns(names: Sequence[str], of: str | None = None) -> sql.Composed:
    """Names as an SQL list, of one table or alias where given."""
    return sql.SQL(", ").join(sql.Identifier(*([of] if of else []), name) for name in names)


def _units(name: str) -> pl.Expr:
    exact = pl.col(name).cast(pl.Decimal(38, 2)) / MINOR_PER_UNIT
    return exact.cast(pl.Decimal(38, 2)).alias(name)


def native(name: str, kind: str) -> sql.Composed:
    """A column as the engine holds it: money in minor units."""
    if kind == MONEY:
        return sql.SQL("({} * 100)::bigint").format(sql.Identifier(name))
    return sql.Composed([sql.Identifier(name)])
