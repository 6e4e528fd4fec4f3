"""Copies of a source's table, cell by cell: what plain parsing would stumble over, or round without a word.

Our own schema admits values of our types only. A source that is the lender's own may hold NaN, days before the year 1
or a third decimal: such a row is held back under the name of what is wrong with it, and the others are read.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from loanmetrics.facts import held
from loanmetrics.facts.casting import SCALES, Given, cast, checks
from loanmetrics.facts.prepare import SQL_TYPES
from loanmetrics.facts.quoting import literal
from loanmetrics.tables import TABLES, Column, Kind, Table, facts_only

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LONGEST_LINE = 64 << 20
# PostgreSQL's types of which no value is lost in ours, by kind; any type may be text.
SAME: dict[Kind, tuple[str, ...]] = {
    "date": ("date",),
    "int": ("integer", "smallint"),
    "bool": ("boolean",),
    "timestamp": ("timestamp with time zone",),
    "money": ("integer", "smallint"),
}
WHOLE_DIGITS: dict[Kind, int] = {"money": 16, "rate": 3}
TYPES = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""


def as_declared(leader: psycopg.Connection, name: str) -> bool:
    """Whether the source's table has our types, so that its copies can be parsed as they are."""
    found: dict[str, str] = dict(leader.execute(TYPES, [name]).fetchall())
    columns = facts_only(TABLES[name]).columns
    return all(keeps(column.kind, found.get(column.name, "")) for column in columns)


def keeps(kind: Kind, type_: str) -> bool:
    """Whether our type for ``kind`` keeps every value of a type of PostgreSQL, NaN aside."""
    numeric = re.fullmatch(r"numeric\((\d+),(\d+)\)", type_)
    if numeric and kind in SCALES:
        digits, scale = map(int, numeric.groups())
        return scale <= SCALES[kind] and digits - scale <= WHOLE_DIGITS[kind]
    return kind == "text" or type_ in SAME.get(kind, ())


def sift(
    connection: "DuckDBPyConnection", name: str, texts: str, told: Mapping[str, str], target: Path
) -> None:
    """Write the rows of ``texts``, all of whose columns are text, to ``target``, typed, as far as they can be read.

    The others go to ``raw_held``. ``told`` are columns that every row repeats, with their types.
    """
    table = facts_only(TABLES[name])
    given = ", ".join(f"{column} AS given_{column}" for column in (*table.names, *told))
    cells = [f"{_cast(column)} AS {column.name}" for column in table.columns]
    cells += [f"given_{column}::{kind} AS {column}" for column, kind in told.items()]
    kept = ", ".join([*table.names, *told])
    connection.execute(
        f"""
        CREATE TABLE sifted_{name} AS
            SELECT {kept}, {_first_fault(table)} AS fault
            FROM (SELECT *, {", ".join(cells)} FROM (SELECT {given} FROM ({texts})));
        INSERT INTO raw_held SELECT '{name}', fault, {held.about(table)} FROM sifted_{name} WHERE fault IS NOT NULL;
        COPY (SELECT {kept} FROM sifted_{name} WHERE fault IS NULL) TO {literal(target)}
            (FORMAT parquet, COMPRESSION lz4);
        DROP TABLE sifted_{name}
        """
    )


def columns_as_text(names: Sequence[str]) -> dict[str, str]:
    """How ``read_csv`` is to take all columns."""
    return dict.fromkeys(names, "VARCHAR")


def _cast(column: Column) -> str:
    """Days and times that plain parsing takes are taken here too, endless ones among them: a rule tells of those."""
    given = f"given_{column.name}"
    if column.kind in ("date", "timestamp"):
        return f"TRY_CAST({given} AS {SQL_TYPES[column.kind]})"
    return cast(column.kind, Given(given, "VARCHAR"))


def _first_fault(table: Table) -> str:
    """The name of what is wrong first with a row's cells; text is taken as it is."""
    faults = [
        f"WHEN {check.bad} THEN '{check.rule}'"
        for column in table.columns
        if column.kind != "text"
        for check in checks(table, column, Given(f"given_{column.name}", "VARCHAR"))
    ]
    return f"CASE {' '.join(faults)} END"
