"""PostgreSQL -> typed raw relations: parallel readers of one exported snapshot, lean columns, leaf by leaf."""

import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from loanmetrics.errors import DataError, StoreError, UnreachableError
from loanmetrics.facts import records, sifting
from loanmetrics.facts.held import MONEY_SUMS
from loanmetrics.facts.prepare import SQL_TYPES
from loanmetrics.facts.quoting import COPIED, literal, one_file
from loanmetrics.store.blocks import into_file
from loanmetrics.tables import FACT_COLUMNS, TABLES, facts_only

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BLOCK_ORDER = ("repayments", "loan_schedule", "loans", "officers", "holidays", "gl_balances")
TOLD = {"source_rows": "BIGINT", "source_sum": "BIGINT"}
LEAVES = """
    SELECT relid::regclass::text, has_table_privilege(relid, 'SELECT')
    FROM pg_partition_tree(%s::regclass) WHERE isleaf
    ORDER BY pg_relation_size(relid) DESC, 1
"""


@dataclass(frozen=True)
class Source:
    """What the source itself says it holds, in the snapshot that was read."""

    rows: dict[str, int]
    sums: dict[str, int]


@dataclass(frozen=True)
class Snapshot:
    """One state of the source, which any number of readers may share while it is held."""

    url: str
    leader: psycopg.Connection
    name: str


def extract(
    snapshot: Snapshot,
    connection: "DuckDBPyConnection",
    folder: Path,
    readers: int = 2,
    loans: Collection[str] | None = None,
    own: psycopg.Connection | None = None,
) -> Source:
    """Copy what the engine reads into ``folder`` and relate it as ``raw.<table>``; returns the source's own totals.

    With ``loans``, of the tables by loan only the rows of these loans, and totals of no others. Where what we froze
    stands in another database than the source, ``own`` leads there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    leader = snapshot.leader
    tasks = [(name, leaf) for name in BLOCK_ORDER for leaf in _parts(leader, name, loans)]
    with ThreadPoolExecutor(readers) as pool:
        copies = [
            pool.submit(_copy, snapshot, name, leaf, folder / f"{name}-{number:04}.csv", loans)
            for number, (name, leaf) in enumerate(tasks)
        ]
        counted = _totals(leader, [name for name in FACT_COLUMNS if not _is_picked(name, loans)])
        for copied in copies:
            copied.result()
    frozen = _frozen_par15(own or leader)
    _relate(connection, folder, loans, leader)
    source = counted if loans is None else _with_told(counted, connection, folder)
    records.expect(connection)
    records.relate(connection, leader, folder)
    if frozen:
        connection.executemany("INSERT INTO facts_par15 VALUES (?, ?, ?, ?, ?, ?)", frozen)
    return source


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Hold one state of the source for as long as the block."""
    with psycopg.connect(url) as leader:
        _read_only(leader)
        row = leader.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield Snapshot(url, leader, row[0])


def _read_only(connection: psycopg.Connection) -> None:
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'")


def _parts(leader: psycopg.Connection, name: str, loans: Collection[str] | None) -> list[str]:
    """What to copy one by one."""
    return partitions(leader, name) if loans is None else [name]


def sum_of(money: str) -> str:
    """SQL for the sum of what is a number among a table's money: PostgreSQL has one that is none."""
    return f"sum(nullif({money}::numeric, 'NaN'))"


def partitions(leader: psycopg.Connection, name: str) -> list[str]:
    """The partitions of a table, largest first; a table is its own if it has none or may be read as a whole only."""
    try:
        leaves = leader.execute(LEAVES, [name]).fetchall()
    except psycopg.errors.UndefinedTable:
        raise StoreError(f"the database has no table {name}", "run: loanmetrics migrate") from None
    readable = all(may_read for _, may_read in leaves)
    return [leaf for leaf, _ in leaves] if leaves and readable else [name]


@contextmanager
def reader(snapshot: Snapshot) -> Iterator[psycopg.Connection]:
    """One more session in a snapshot that is held."""
    with psycopg.connect(snapshot.url) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.read_only = True
        try:
            session.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot.name))
        except psycopg.errors.UndefinedObject:
            raise UnreachableError("the snapshot that was read has ended with its session") from None
        session.execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'")
        yield session


def _copy(snapshot: Snapshot, name: str, leaf: str, path: Path, loans: Collection[str] | None) -> None:
    with reader(snapshot) as session:
        into_file(session, _rows(name, leaf, loans), path)


def _rows(name: str, leaf: str, loans: Collection[str] | None) -> sql.Composable:
    """What to copy: whole rows, or those of some loans, each with the totals of them all.

    The loans are found by index: a planner that could see their ids would weigh each in every partition.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, _columns(name)))
    if loans is None or not _is_picked(name, loans):
        return sql.SQL("SELECT {} FROM {}").format(columns, sql.SQL(leaf))
    return sql.SQL(
        f"SELECT {{}}, count(*) OVER (), ({sum_of(MONEY_SUMS[name])} OVER () * 100)::bigint FROM {{}}"
        " WHERE loan_id = ANY ((SELECT {}::text[])::text[])"
    ).format(columns, sql.SQL(leaf), sql.Literal(sorted(loans)))


def _is_picked(name: str, loans: Collection[str] | None) -> bool:
    return loans is not None and name in MONEY_SUMS


def _columns(name: str) -> tuple[str, ...]:
    return facts_only(TABLES[name]).names


def _totals(leader: psycopg.Connection, names: Collection[str]) -> Source:
    rows, sums = {}, {}
    for name in names:
        money = f"sum({MONEY_SUMS[name]})::numeric" if name in MONEY_SUMS else "0"
        row = leader.execute(sql.SQL(f"SELECT count(*), {money} FROM {name}")).fetchone()
        assert row is not None
        rows[name], total = row
        if name in MONEY_SUMS:
            sums[name] = int((_readable(leader, name) if total and total.is_nan() else total or 0) * 100)
    return Source(rows, sums)


def _readable(leader: psycopg.Connection, name: str) -> Decimal:
    """The sum of what is a number: a row without one is held back."""
    row = leader.execute(sql.SQL(f"SELECT {sum_of(MONEY_SUMS[name])} FROM {name}")).fetchone()
    return row[0] if row and row[0] else Decimal(0)


def _with_told(counted: Source, connection: "DuckDBPyConnection", folder: Path) -> Source:
    """The totals that came along with picked rows."""
    rows, sums = dict(counted.rows), dict(counted.sums)
    for name in MONEY_SUMS:
        told = ", ".join(f"max({column})" for column in TOLD)
        row = connection.execute(f"SELECT {told} FROM {_parsed(name, folder)}").fetchone()
        assert row is not None
        rows[name], sums[name] = (total or 0 for total in row)
    return Source(rows, sums)


def _frozen_par15(leader: psycopg.Connection) -> list[tuple[object, ...]]:
    return leader.execute(
        "SELECT snapshot_date - DATE '1970-01-01', officer_id, region, branch, "
        "(par15_exposure * 100)::bigint, par15_count FROM par15_snapshots"
    ).fetchall()


def _relate(
    connection: "DuckDBPyConnection",
    folder: Path,
    loans: Collection[str] | None,
    leader: psycopg.Connection,
) -> None:
    """Parse each table's copies once, typed, into one Parquet file, and drop the copies.

    Cell by cell where the source has other types than ours, or a value that is none of ours.
    """
    for name in FACT_COLUMNS:
        copies, target = sorted(folder.glob(f"{name}-*.csv")), folder / f"{name}.parquet"
        told = TOLD if _is_picked(name, loans) else {}
        plain = sifting.as_declared(leader, name)
        if not (plain and _parse(connection, name, copies, told, target)):
            _sift(connection, name, copies, told, target)
        for copy in copies:
            copy.unlink()
        columns = ", ".join(_columns(name))
        connection.execute(f"CREATE VIEW raw.{name} AS SELECT {columns} FROM {_parsed(name, folder)}")


def _parse(
    connection: "DuckDBPyConnection", name: str, copies: list[Path], told: dict[str, str], target: Path
) -> bool:
    """Whether all could be read."""
    import duckdb

    rows = _typed(name, copies, told)
    try:
        connection.execute(f"COPY ({rows}) TO {literal(target)} (FORMAT parquet, COMPRESSION lz4)")
    except duckdb.IOException:
        raise
    except duckdb.Error:
        return False
    return True


def _sift(
    connection: "DuckDBPyConnection", name: str, copies: list[Path], told: dict[str, str], target: Path
) -> None:
    import duckdb

    columns = sifting.columns_as_text([*_columns(name), *told])
    line = sifting.LONGEST_LINE
    rows = _read(copies, columns, f", max_line_size = {line}, buffer_size = {line}, parallel = false")
    try:
        sifting.sift(connection, name, rows, told, target)
    except duckdb.IOException:
        raise
    except duckdb.Error as error:
        raise DataError(*_plainly(name, str(error))) from None


def _parsed(name: str, folder: Path) -> str:
    return f"read_parquet({one_file(folder / f'{name}.parquet')})"


def _plainly(name: str, error: str) -> tuple[str, str]:
    """What a parser's error means; it quotes rows, which may hold personal data."""
    column = re.search(r"[Cc]olumn (?:named )?\"?(\w+)\"?", error)
    where = f" of column {column[1]}" if column and column[1] in _columns(name) else ""
    return (
        f"{name}: a value{where} cannot be read from the source",
        "e.g. text of many MB",
    )


def _typed(name: str, copies: list[Path], more: dict[str, str]) -> str:
    types = {column.name: SQL_TYPES[column.kind] for column in facts_only(TABLES[name]).columns} | more
    return _read(copies, types)


def _read(copies: list[Path], types: dict[str, str], options: str = "") -> str:
    if not copies:
        return (
            f"SELECT {', '.join(f'NULL::{kind} AS {column}' for column, kind in types.items())} WHERE false"
        )
    files = ", ".join(one_file(copy) for copy in copies)
    return f"SELECT * FROM read_csv([{files}], columns = {types!r}, {COPIED}{options})"
