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
ROWS_IN_MEMORY = 20_000  # of each month and thread, while a table is split into months


def load(url: str, raw: Path, scratch: Path, workers: int = 2) -> None:
    """Migrate an empty database and fill the lender's tables that the engine reads."""
    migrate(url)
    with psycopg.connect(url) as connection:
        for name in WHOLE:
            _copy(connection, name, TABLES[name], _csv(raw, TABLES[name], scratch / name))
            shutil.rmtree(scratch / name)
    for name in MONTHLY:
        _load_monthly(url, raw, TABLES[name], scratch / name, workers)
        shutil.rmtree(scratch / name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ANALYZE {', '.join((*WHOLE, *MONTHLY))}".encode())


def _load_monthly(url: str, raw: Path, table: Table, scratch: Path, workers: int) -> None:
    _csv(raw, table, scratch)
    months = sorted(folder for folder in scratch.iterdir() if folder.is_dir())
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_partition, url, table), months):
            pass


def _csv(raw: Path, table: Table, target: Path) -> Path:
    """The table as CSV: one folder, or one for each month."""
    target.mkdir(parents=True)
    columns, source = ", ".join(table.names), f"FROM read_parquet('{raw / table.name}.parquet')"
    with duckdb.connect() as connection:
        connection.execute(f"SET partitioned_write_flush_threshold = {ROWS_IN_MEMORY}; SET TimeZone = 'UTC'")
        if table.partition_by is None:
            connection.execute(
                f"COPY (SELECT {columns} {source}) TO '{target}/all.csv' (FORMAT csv, HEADER false)"
            )
        else:
            month = f"strftime({table.partition_by}, '%Y_%m') AS month"
            connection.execute(
                f"COPY (SELECT {columns}, {month} {source}) TO '{target}' "
                "(FORMAT csv, HEADER false, PARTITION_BY (month), OVERWRITE)"
            )
    return target


def _partition(url: str, table: Table, files: Path) -> None:
    year, month = map(int, files.name.removeprefix("month=").split("_"))
    leaf = f"{table.name}_{year}_{month:02}"
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
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
