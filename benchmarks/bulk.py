"""A synthetic lender's raw Parquet tables into PostgreSQL, as fast as it takes them.

Each month is copied into a table of its own, frozen and past the write-ahead log, gets its keys and indexes, then
becomes a partition and gets the triggers of the change log. The outcome is what ``loanmetrics load`` makes of sound
files, but for statistics, which are gathered here, and the log, which tells of nothing.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import psycopg
from psycopg import sql

from loanmetrics.store.migrate import migrate
from loanmetrics.tables import TABLES, Table

MONTHLY = ("loans", "repayments", "loan_schedule")
WHOLE = ("officers", "holidays")
BLOCK = 1 << 20


def load(url: str, raw: Path, scratch: Path, workers: int = 2) -> None:
    """Migrate an empty database and fill the lender's tables that the engine reads."""
    migrate(url)
    with psycopg.connect(url) as connection:
        for name in WHOLE:
            _copy(connection, name, TABLES[name], _csv(raw, TABLES[name], scratch / name))
            shutil.rmtree(scratch / name)
    for name in MONTHLY:
        _load_monthly(url, raw, TABLES[name], scratch / name, workers)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ANALYZE {', '.join((*WHOLE, *MONTHLY))}".encode())


def _load_monthly(url: str, raw: Path, table: Table, scratch: Path, workers: int) -> None:
    """A month at a time and worker: all months together would not fit in memory, nor on every disk."""
    day = table.partition_by
    with _reader() as connection:
        months = connection.execute(
            f"SELECT DISTINCT date_trunc('month', {day})::date {_source(raw, table)} ORDER BY 1"
        ).fetchall()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_month, url, raw, table, scratch), (month for (month,) in months)):
            pass


def _month(url: str, raw: Path, table: Table, scratch: Path, first: date) -> None:
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    day = table.partition_by
    files = _csv(raw, table, scratch / str(first), f"WHERE {day} >= '{first}' AND {day} < '{after}'")
    _partition(url, table, files, first, after)
    shutil.rmtree(files)


def _reader() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '4GB'")
    return connection


def _source(raw: Path, table: Table) -> str:
    return f"FROM read_parquet('{raw / table.name}.parquet')"


def _csv(raw: Path, table: Table, target: Path, where: str = "") -> Path:
    """The table, or some of it, as CSV in a folder."""
    target.mkdir(parents=True)
    with _reader() as connection:
        connection.execute(
            f"COPY (SELECT {', '.join(table.names)} {_source(raw, table)} {where}) "
            f"TO '{target}/all.csv' (FORMAT csv, HEADER false)"
        )
    return target


def _partition(url: str, table: Table, files: Path, first: date, after: date) -> None:
    leaf = f"{table.name}_{first:%Y_%m}"
    with psycopg.connect(url) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        names = {"leaf": sql.Identifier(leaf), "parent": sql.Identifier(table.name)}
        _drop_empty(connection, leaf, names)
        connection.execute(
            sql.SQL(
                "CREATE TABLE {leaf} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
            ).format(**names)
        )
        _copy(connection, leaf, table, files, frozen=True)
        for statement in _indexes(connection, table, leaf):
            connection.execute(statement)
        connection.execute(
            sql.SQL(
                "ALTER TABLE {parent} ATTACH PARTITION {leaf} FOR VALUES FROM ({first}) TO ({after})"
            ).format(**names, first=sql.Literal(first), after=sql.Literal(after))
        )
        connection.execute("SELECT loanmetrics_watch(%s::regclass, %s)", [leaf, table.name])


def _drop_empty(connection: psycopg.Connection, leaf: str, names: dict[str, sql.Identifier]) -> None:
    """Migrating makes partitions for the months to come."""
    if connection.execute("SELECT to_regclass(%s)", [leaf]).fetchone() != (None,):
        connection.execute(sql.SQL("ALTER TABLE {parent} DETACH PARTITION {leaf}").format(**names))
        connection.execute(sql.SQL("DROP TABLE {leaf}").format(**names))


def _copy(connection: psycopg.Connection, into: str, table: Table, files: Path, frozen: bool = False) -> None:
    options = "FORMAT csv, FREEZE" if frozen else "FORMAT csv"
    statement = sql.SQL(f"COPY {{}} ({{}}) FROM STDIN ({options})").format(
        sql.Identifier(into), sql.SQL(", ").join(map(sql.Identifier, table.names))
    )
    with connection.cursor().copy(statement) as copy:
        for block in _blocks(files):
            copy.write(block)


def _blocks(files: Path) -> Iterator[bytes]:
    for path in sorted(files.iterdir()):
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block


def _indexes(connection: psycopg.Connection, table: Table, leaf: str) -> Iterator[bytes]:
    """The parent's primary key and indexes, for the leaf."""
    yield f'ALTER TABLE "{leaf}" ADD PRIMARY KEY ({", ".join(table.key)})'.encode()
    rows = connection.execute(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass AND NOT indisprimary",
        [table.name],
    ).fetchall()
    for (definition,) in rows:
        yield f'CREATE INDEX ON "{leaf}" USING {definition.split(" USING ", 1)[1]}'.encode()
