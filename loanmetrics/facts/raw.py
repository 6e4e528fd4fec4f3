"""Raw tables from wherever they are (folder of Parquet or CSV, frames) as typed relations for ``prepare``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loanmetrics.errors import DataError, unknown
from loanmetrics.facts.prepare import SQL_TYPES
from loanmetrics.tables import FACT_COLUMNS, TABLES, Table, facts_only

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

READERS = {
    ".parquet": "read_parquet('{path}')",
    ".csv": "read_csv('{path}', all_varchar = true, header = true)",
}


def connect(scratch: Path | None = None) -> "DuckDBPyConnection":
    """A private DuckDB with the schema ``raw``, spilling to ``scratch``; times are read as UTC."""
    import duckdb

    connection = duckdb.connect(config={"temp_directory": str(scratch)} if scratch else {})
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA raw")
    return connection


def from_folder(connection: "DuckDBPyConnection", folder: Path) -> None:
    """Relations over ``<table>.parquet`` or ``<table>.csv``; tables without a file are empty."""
    sources = {}
    for name in FACT_COLUMNS:
        for suffix, reader in READERS.items():
            if (folder / f"{name}{suffix}").is_file():
                sources[name] = reader.format(path=str(folder / f"{name}{suffix}").replace("'", "''"))
    if "loans" not in sources:
        raise DataError(
            f"{folder} holds no loans.parquet or loans.csv", f"expected: {', '.join(FACT_COLUMNS)}"
        )
    for name in FACT_COLUMNS:
        _relate(connection, facts_only(TABLES[name]), sources.get(name))


def from_frames(connection: "DuckDBPyConnection", frames: Mapping[str, Any]) -> None:
    """Relations over Polars, pandas or Arrow frames by table name; tables not given are empty."""
    for name in frames:
        if name not in FACT_COLUMNS:
            raise unknown("table", name, FACT_COLUMNS)
    for name in FACT_COLUMNS:
        if name in frames:
            connection.register(f"given_{name}", _arrow_like(frames[name]))
        _relate(connection, facts_only(TABLES[name]), f"given_{name}" if name in frames else None)


def _arrow_like(frame: Any) -> Any:
    """Polars frames become Arrow tables; what DuckDB reads by itself stays as it is."""
    collected = frame.collect() if hasattr(frame, "collect") else frame
    return collected.to_arrow() if hasattr(collected, "to_arrow") else collected


def _relate(connection: "DuckDBPyConnection", table: Table, source: str | None) -> None:
    """``raw.<table>``: every column the engine reads, of its declared type; a missing optional one is null."""
    given = _columns(connection, source) if source else set()
    missing = [column.name for column in table.columns if not column.null and column.name not in given]
    if source and missing:
        raise DataError(f"{table.name} lacks the column {missing[0]}", f"it has: {', '.join(sorted(given))}")
    casts = [
        f"{column.name if column.name in given else 'NULL'}::{SQL_TYPES[column.kind]} AS {column.name}"
        for column in table.columns
    ]
    rows = f"FROM {source}" if source else "WHERE false"
    try:
        connection.execute(f"CREATE VIEW raw.{table.name} AS SELECT {', '.join(casts)} {rows}")
    except connection_error() as error:
        raise DataError(f"{table.name} cannot be read: {error}") from None


def connection_error() -> type[Exception]:
    """DuckDB's own error, imported when needed."""
    import duckdb

    return duckdb.Error


def _columns(connection: "DuckDBPyConnection", source: str) -> set[str]:
    return {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
