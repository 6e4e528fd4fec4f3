"""Raw tables from wherever they are (folder of Parquet or CSV, frames) as typed relations for ``prepare``.

Cells are read and checked as the loader does. What needs no change is read from where it is, again and again;
the rest becomes a table, and rows with a cell that is no value of its column stand in ``raw_held``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loanmetrics.errors import DataError, unknown
from loanmetrics.facts import held
from loanmetrics.facts.casting import untidy
from loanmetrics.facts.prepare import SQL_TYPES
from loanmetrics.facts.quoting import utf8
from loanmetrics.facts.reading import (
    Layout,
    cell_checks,
    frame_layout,
    layout,
    row_checks,
    said_plainly,
    sift,
    typed,
)
from loanmetrics.facts.sources import find
from loanmetrics.policy import Policy
from loanmetrics.tables import FACT_COLUMNS, TABLES, Table, facts_only

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


MOST_MEMORY = 3 << 30
UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def connect(scratch: Path | None = None, time_zone: str = "UTC") -> "DuckDBPyConnection":
    """A private DuckDB with the schema ``raw``, spilling to ``scratch``; times without a zone are in ``time_zone``.

    ``raw_held`` are the rows that no ``raw.<table>`` shows, as ``prepare`` tells of the rows it holds back.
    """
    import duckdb

    connection = duckdb.connect(config={"temp_directory": utf8(scratch)} if scratch else {})
    if scratch:
        _hold_little(connection)
    connection.execute("SET TimeZone = $zone", {"zone": time_zone})
    connection.execute("SET pandas_analyze_sample = 0; CREATE SCHEMA raw")
    held.create(connection, "raw_held")
    return connection


def _hold_little(connection: "DuckDBPyConnection") -> None:
    """What does not fit is spilled: a first run of a large book takes turns with the database on the same machine.

    DuckDB's own limit, four fifths of the machine or container, stands where it is lower.
    """
    told = connection.sql("SELECT current_setting('memory_limit')").fetchall()[0][0]
    size, unit = told.split()
    if float(size) * UNITS[unit] > MOST_MEMORY:
        connection.execute(f"SET memory_limit = '{MOST_MEMORY}B'")


def from_folder(connection: "DuckDBPyConnection", folder: Path, policy: Policy = Policy()) -> None:
    """Relations over the files that ``load`` would take, in its order; tables without a file are empty."""
    parts: dict[str, list[Layout]] = {name: [] for name in FACT_COLUMNS}
    for source in find([folder]):
        if source.table.name in FACT_COLUMNS:
            read = replace(source, table=facts_only(source.table))
            parts[source.table.name].append(layout(connection, read))
    if not parts["loans"]:
        raise DataError(
            f"{folder} holds no loans.parquet or loans.csv", f"expected: {', '.join(FACT_COLUMNS)}"
        )
    for name, found in parts.items():
        _relate(connection, facts_only(TABLES[name]), found, policy)


def from_frames(connection: "DuckDBPyConnection", frames: Mapping[str, Any]) -> None:
    """Relations over Polars, pandas or Arrow frames by table name; tables not given are empty."""
    for name in frames:
        if name not in FACT_COLUMNS:
            raise unknown("table", name, FACT_COLUMNS)
    for name in FACT_COLUMNS:
        table, found = facts_only(TABLES[name]), []
        if name in frames:
            connection.register(f"given_{name}", _arrow_like(frames[name]))
            found = [frame_layout(connection, table, f"given_{name}")]
        _relate(connection, table, found, Policy())


def connection_error() -> type[Exception]:
    """DuckDB's own error, imported when needed."""
    import duckdb

    return duckdb.Error


def _arrow_like(frame: Any) -> Any:
    """Polars frames become Arrow tables; what DuckDB reads by itself stays as it is."""
    collected = frame.collect() if hasattr(frame, "collect") else frame
    return collected.to_arrow() if hasattr(collected, "to_arrow") else collected


def _relate(connection: "DuckDBPyConnection", table: Table, parts: Sequence[Layout], policy: Policy) -> None:
    """``raw.<table>``: every column the engine reads, of its declared type; a missing optional one is null."""
    rows = [_part(connection, table, found, place) for place, found in enumerate(parts)]
    if len(rows) > 1:
        rows = _without_repeats(connection, table, rows, policy)
    empty = ", ".join(f"NULL::{SQL_TYPES[column.kind]} AS {column.name}" for column in table.columns)
    united = " UNION ALL ".join(rows) or f"SELECT {empty} WHERE false"
    connection.execute(f"CREATE VIEW raw.{table.name} AS {united}")


def _part(connection: "DuckDBPyConnection", table: Table, found: Layout, place: int) -> str:
    """SQL for the rows of one file whose cells are fine; the others go to ``raw_held``."""
    if not found.lines and _is_fine(connection, table, found):
        return f"SELECT {typed(table, found)} FROM ({found.sql})"
    checks = sift(connection, table, found, cell_checks(table, found))
    checked = f"checked_{table.name}_{place}"
    rules = "[" + ", ".join(f"'{check.rule}'" for check in checks) + "]"
    connection.execute(
        f"""
        ALTER TABLE checked RENAME TO {checked};
        INSERT INTO raw_held SELECT '{table.name}', {rules}[broken], {held.about(table)} FROM {checked} WHERE broken > 0
            UNION ALL SELECT '{table.name}', 'bad_line', NULL, NULL, 0, 0, NULL FROM bad_lines
        """
    )
    return f"SELECT {', '.join(table.names)} FROM {checked} WHERE broken = 0"


def _is_fine(connection: "DuckDBPyConnection", table: Table, found: Layout) -> bool:
    """Whether all cells are values of their columns as they stand; only what types leave open is looked at."""
    given = [cell for column in table.columns if (cell := found.given(column.name))]
    doubts = [
        *(untidy(cell.sql) for cell in given if cell.type == "VARCHAR"),
        *(f"({check.bad})" for check in cell_checks(table, found)),
    ]
    if not doubts:
        return True
    with said_plainly(found.name):
        first = connection.execute(
            f"SELECT 1 FROM (SELECT *, {typed(table, found)} FROM ({found.sql})) WHERE {' OR '.join(doubts)} LIMIT 1"
        ).fetchone()
    return first is None


def _without_repeats(
    connection: "DuckDBPyConnection", table: Table, parts: Sequence[str], policy: Policy
) -> list[str]:
    """Hold back the sound rows whose identity a sound row of an earlier file has, as the loader does."""
    name, identity = table.name, ", ".join(table.identity)
    sound = " AND ".join(f"NOT COALESCE({check.bad}, false)" for check in row_checks(table, policy))
    each = " UNION ALL ".join(
        f"SELECT {identity}, {place} AS part FROM ({part}) WHERE {sound}" for place, part in enumerate(parts)
    )
    connection.execute(
        f"CREATE TABLE repeated_{name} AS SELECT {identity}, min(part) AS first_part FROM ({each}) "
        f"GROUP BY {identity} HAVING min(part) < max(part)"
    )
    if connection.execute(f"SELECT count(*) FROM repeated_{name}").fetchone() == (0,):
        return list(parts)
    kept = []
    for place, part in enumerate(parts):
        earlier = f"(SELECT {identity} FROM repeated_{name} WHERE first_part < {place})"
        again = f"{sound} AND ({identity}) IN {earlier}"
        connection.execute(
            f"INSERT INTO raw_held SELECT '{name}', 'duplicate_id', {held.about(table)} FROM ({part}) WHERE {again}"
        )
        kept.append(f"SELECT * FROM ({part}) WHERE NOT ({again})")
    return kept
