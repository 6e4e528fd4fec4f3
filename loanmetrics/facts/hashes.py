"""What changed in the lender's tables since the last run, told by their content alone.

For sources that forbid triggers: it needs nothing but the right to read. Every partition is hashed, row by row, in the
columns that the engine reads; in those that changed, the rows are summed by loan and held against the sums kept of the
last run. Sums do not depend on the order of rows, and their differences add up over partitions: a row that is moved to
another partition as it is touches nobody. A change would be missed if two sums of 64-bit hashes under different
seeds both stayed the same: about once in 2^128 partitions that changed.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

import polars as pl
import psycopg
from psycopg import sql

from loanmetrics.errors import DataError
from loanmetrics.facts.extract import Snapshot, partitions, reader
from loanmetrics.facts.held import MONEY_SUMS
from loanmetrics.facts.lake import SOURCE_TABLES, Lake
from loanmetrics.facts.leaves import SCHEMA, Content, Leaf, Leaves
from loanmetrics.facts.version import Version
from loanmetrics.store.changes import Touched
from loanmetrics.tables import MINOR_PER_UNIT, TABLES, Table, facts_only

# Kept with a file's sums: the last 63 bits of the first. They add up modulo 2^63, whatever wraps.
LOW_BITS = 2**63 - 1
# Without OFFSET 0 the row would be put together once for each hash.
ROWS = (
    "(SELECT loan_id, nullif({money}::numeric, 'NaN') AS money, ROW({columns}) AS content"
    " FROM {leaf} OFFSET 0) AS rows"
)
# The hash of a row is a weighted sum of its columns' hashes: where two rows swap their values of a column, the sum of
# their hashes stays. Hashed once more, sums tell them apart.
ROW_HASH = "hash_numeric_extended(hash_record_extended(content, {seed})::numeric, {seed})"
TOTALS = "count(*) AS rows, sum(money) AS money, " + ", ".join(
    f"sum({ROW_HASH.format(seed=seed)}) AS {name}" for seed, name in ((1, "first"), (2, "second"))
)
WHOLE = f"SELECT rows, money, first, second FROM (SELECT {TOTALS} FROM {ROWS}) AS whole"
BY_LOAN = (
    "SELECT sum(rows)::bigint, sum(money), sum(first), sum(second), array_agg(loan_id),"
    f" array_agg((first % {LOW_BITS + 1})::bigint)"
    f" FROM (SELECT loan_id, {TOTALS} FROM {ROWS} GROUP BY loan_id) AS loans"
)
Result = TypeVar("Result")
Part = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """All partitions as they are now, and which loans differ from the last run's."""

    leaves: Leaves
    touched: Touched

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table."""
        return {
            table: sum(leaf.content.rows for leaf in found.values()) for table, found in self.leaves.items()
        }

    @property
    def sums(self) -> dict[str, int]:
        """Money of each table, in minor units."""
        return {
            table: sum(leaf.content.amount for leaf in found.values()) for table, found in self.leaves.items()
        }


def find(
    held: Snapshot, lake: Lake, last: Version | None, run_id: str, readers: int, reason: str | None
) -> Found:
    """Hash all partitions of a snapshot; with a ``reason`` nothing can be told, and the next run goes by this one."""
    parts = [(table, leaf) for table in SOURCE_TABLES for leaf in partitions(held.leader, table)]
    before = last.leaves if last else {}
    why = reason or _doubt(lake, last)
    with _readers(held, readers) as sessions:
        contents = {} if why else dict(zip(parts, sessions.each(_whole, parts), strict=True))
        kept = {part: leaf for part, found in contents.items() if (leaf := _same(before, part, found))}
        changed = [part for part in parts if part not in kept]
        made = {
            part: _written(lake, run_id, number, *summed)
            for number, (part, summed) in enumerate(
                zip(changed, sessions.each(_by_loan, changed), strict=True)
            )
        }
    leaves = {
        table: {name: (kept | made)[table, name] for (of, name) in parts if of == table}
        for table in SOURCE_TABLES
    }
    if why:
        return Found(leaves, Touched(frozenset(), frozenset(), why))
    return Found(leaves, _touched(lake, before, leaves))


def _doubt(lake: Lake, last: Version | None) -> str | None:
    if last is None or not last.leaves:
        return "the last run took no hashes"
    with suppress(DataError):
        lake.bring(last, last.leaf_files)
    return None if lake.leaves.holds(last.leaves) else "hashes of the last run are missing"


def _same(before: Leaves, part: Part, found: Content) -> Leaf | None:
    """The last run's leaf, if it is as it was."""
    table, name = part
    leaf = before.get(table, {}).get(name)
    return leaf if leaf and leaf.content == found else None


def _touched(lake: Lake, before: Leaves, now: Leaves) -> Touched:
    loans: set[str] = set()
    tables: set[str] = set()
    for table in SOURCE_TABLES:
        was, found = dict(before.get(table, {})), dict(now[table])
        for name in was.keys() & found.keys():
            if was[name] == found[name]:
                del was[name], found[name]
        named = _named(lake.leaves.read([*was.values()]), lake.leaves.read([*found.values()]))
        if None in named or (not named and _sums(was) != _sums(found)):
            tables.add(table)
        loans |= {loan for loan in named if loan is not None}
    return Touched(frozenset(loans), frozenset(tables))


def _named(was: pl.DataFrame, now: pl.DataFrame) -> set[str | None]:
    """Loans whose rows in these partitions are not the same; None speaks for rows without a loan."""
    both = pl.concat([now, was.with_columns(-pl.col("hash"))])
    differences = both.group_by("loan_id").agg(pl.col("hash").sum() & LOW_BITS)
    return set(differences.filter(pl.col("hash") != 0)["loan_id"])


def _sums(leaves: dict[str, Leaf]) -> tuple[int, ...]:
    contents = [leaf.content for leaf in leaves.values()]
    hashes = (sum(int(content.hashes[seed]) for content in contents) for seed in (0, 1))
    return (sum(content.rows for content in contents), *hashes)


def _whole(connection: psycopg.Connection, part: Part) -> Content:
    row = connection.execute(_query(WHOLE, *part)).fetchone()
    assert row is not None
    return _content(*row)


def _by_loan(connection: psycopg.Connection, part: Part) -> tuple[Content, pl.DataFrame]:
    with connection.cursor(binary=True) as cursor:
        row = cursor.execute(_query(BY_LOAN, *part)).fetchone()
    assert row is not None
    *totals, loans, hashes = row
    return _content(*totals), pl.DataFrame({"loan_id": loans or [], "hash": hashes or []}, SCHEMA)


def _content(rows: int | None, *totals: Decimal | None) -> Content:
    """Of no rows, the totals are null."""
    money, first, second = (total or Decimal(0) for total in totals)
    return Content(rows or 0, int(money * MINOR_PER_UNIT), (str(first), str(second)))


def _written(lake: Lake, run_id: str, number: int, content: Content, loans: pl.DataFrame) -> Leaf:
    name = f"{run_id}-{number:04}.parquet"
    lake.leaves.write(name, loans)
    return Leaf(content, name)


def _query(text: str, table: str, leaf: str) -> sql.Composed:
    return sql.SQL(text).format(
        money=sql.Identifier(MONEY_SUMS[table]),
        columns=_columns(facts_only(TABLES[table])),
        leaf=sql.SQL(leaf),
    )


def _columns(table: Table) -> sql.Composed:
    """Text by its bytes: a collation may hold different texts for the same."""
    return sql.SQL(", ").join(
        sql.SQL('{} COLLATE "C"' if column.kind == "text" else "{}").format(sql.Identifier(column.name))
        for column in table.columns
    )


@dataclass(frozen=True)
class _Readers:
    """Several sessions in one snapshot."""

    pool: Executor
    free: "SimpleQueue[psycopg.Connection]"

    def each(
        self, visit: Callable[[psycopg.Connection, Part], Result], parts: list[Part]
    ) -> Iterator[Result]:
        """Go to each partition, several at a time."""
        return self.pool.map(partial(self._one, visit), parts)

    def _one(self, visit: Callable[[psycopg.Connection, Part], Result], part: Part) -> Result:
        connection = self.free.get()
        try:
            return visit(connection, part)
        finally:
            self.free.put(connection)


@contextmanager
def _readers(held: Snapshot, count: int) -> Iterator[_Readers]:
    free: SimpleQueue[psycopg.Connection] = SimpleQueue()
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        for _ in range(count):
            free.put(stack.enter_context(reader(held)))
        yield _Readers(pool, free)
