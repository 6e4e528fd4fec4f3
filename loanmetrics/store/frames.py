"""Polars frames in and out of tables. Outside money is Int64 minor units, inside numeric(18,2)."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from loanmetrics.errors import StoreError
from loanmetrics.store.blocks import blocks
from loanmetrics.store.mapped import aside
from loanmetrics.tables import MINOR_PER_UNIT

ROWS_AT_ONCE = 250_000
BYTES_AT_ONCE = 1 << 20
TEXT_AT_ONCE = 4 << 20
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
# Whole numbers that tell other things: money in minor units, days and microseconds since 1970, and whether.
TOLD = {
    MONEY: "({} * 100)::bigint",
    "date": "{} - DATE '1970-01-01'",
    "timestamp with time zone": "(extract(epoch FROM {}) * 1000000)::bigint",
    "boolean": "{}::integer",
}
PLAIN: dict[pl.DataType, pl.DataType] = {
    pl.Date(): pl.Int32(),
    pl.Datetime("us", "UTC"): pl.Int64(),
    pl.Boolean(): pl.Int8(),
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
    wanted: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows of ``table`` as an engine-native frame, money back in minor units: all columns, or the ``wanted`` ones.

    As CSV, which Polars reads several times faster than it makes columns of rows of Python's numbers. Of very many
    rows only some are held in memory at once: the others lie in files that end with the frame.
    """
    types = column_types(connection, table)
    chosen = {name: types[name] for name in (types if wanted is None else wanted)}
    which = sql.SQL("WHERE {} ORDER BY {}").format(where, columns(order))
    found = pieces(connection, table, chosen, which, parameters)
    return pl.concat([next(found, schema_of(chosen).to_frame()), *map(aside, found)])


def schema_of(types: Mapping[str, str]) -> pl.Schema:
    """Polars' types of columns of PostgreSQL's."""
    return pl.Schema({name: DTYPES[kind] for name, kind in types.items()})


def pieces(
    connection: psycopg.Connection,
    table: str,
    types: Mapping[str, str],
    which: sql.Composable,
    parameters: Sequence[Any] = (),
) -> Iterator[pl.DataFrame]:
    """Some columns of a table, in frames of a few MiB of text; ``which`` rows is SQL that follows the table."""
    query = sql.SQL("COPY (SELECT {} FROM {} {}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(_told(name, kind) for name, kind in types.items()), sql.Identifier(table), which
    )
    schema = schema_of(types)
    plain = {name: PLAIN.get(kind, kind) for name, kind in schema.items()}
    with connection.cursor() as cursor, cursor.copy(query, parameters) as copy:
        for text in blocks(copy, TEXT_AT_ONCE):
            yield pl.read_csv(text, has_header=False, schema=plain).cast(schema)


def columns(names: Sequence[str], of: str | None = None) -> sql.Composed:
    """Names as an SQL list, of one table or alias where given."""
    return sql.SQL(", ").join(sql.Identifier(*([of] if of else []), name) for name in names)


def _units(name: str) -> pl.Expr:
    exact = pl.col(name).cast(pl.Decimal(38, 2)) / MINOR_PER_UNIT
    return exact.cast(pl.Decimal(38, 2)).alias(name)


def _told(name: str, kind: str) -> sql.Composed:
    """A column as a whole number where that is exact, otherwise as its text."""
    return sql.SQL(TOLD.get(kind, "{}")).format(sql.Identifier(name))
