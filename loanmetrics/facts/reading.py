"""One file -> DuckDB table ``checked``: typed columns, row number, the first rule each row breaks (0: none).

DuckDB reads and spills to disk, so a file may be larger than memory. Times without zone are in the policy's.
"""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from loanmetrics.errors import DataError, suggest
from loanmetrics.facts.casting import Check, Given, cast, checks
from loanmetrics.facts.disk import own_folder
from loanmetrics.facts.prepare import SQL_TYPES
from loanmetrics.facts.quoting import one_file, utf8
from loanmetrics.facts.sources import Source
from loanmetrics.policy import Policy
from loanmetrics.tables import Column, Table, rules

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDER = "loanmetrics-load-"
MEMORY_LIMIT = "1GB"
HEADER_LIMIT = 1 << 20
LINE_LIMIT = 2_000_000
LONG = f"longer than {LINE_LIMIT:,} bytes"
DELIMITERS = ",;\t|"
BLANK = r"E' \t\r\n'"
# A row with these faults is one row; after any other, the rows that follow cannot be trusted.
ROW_FAULTS = ("INVALID ENCODING", "MISSING COLUMNS", "TOO MANY COLUMNS")
BAD_LINE = Check("bad_line", "", "")


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's columns in order (name, DuckDB type); ``sql`` reads them as ``given_0``, ``given_1``, ...

    Of ``lines`` some may be no rows; reading those notes them in ``rejected``.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    sql: str
    lines: bool = False

    def given(self, name: str) -> Given | None:
        """The column called ``name``, if the file has it."""
        for place, (given, type_) in enumerate(self.columns):
            if given == name:
                return Given(f"given_{place}", type_)
        return None

    @property
    def trimmed(self) -> str:
        """``sql`` with outer blanks cut off texts, and blank ones null."""
        texts = [f"given_{place}" for place, (_, type_) in enumerate(self.columns) if type_ == "VARCHAR"]
        cut = ", ".join(f"NULLIF(trim({text}, {BLANK}), '') AS {text}" for text in texts)
        return f"SELECT * REPLACE ({cut}) FROM ({self.sql})" if texts else self.sql

    def unused(self, table: Table) -> list[str]:
        """Columns of the file that the table does not have."""
        return [name for name, _ in self.columns if name and name not in table.names]

    @property
    def overflow(self) -> list[Check]:
        """A value without a name over it has slipped there, unless it is the first: a row's number or label."""
        return [
            Check("unnamed_value", "", f"given_{place} IS NOT NULL")
            for place, (name, _) in enumerate(self.columns)
            if place and not name
        ]


@contextmanager
def workshop(policy: Policy) -> Iterator[tuple["DuckDBPyConnection", Path]]:
    """A DuckDB of its own in a temporary folder, both gone afterwards; killed loads are cleaned up after."""
    import duckdb

    with own_folder(Path(gettempdir()), FOLDER) as folder:
        connection = duckdb.connect(utf8(folder / "work.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET enable_progress_bar = false")
            connection.execute("SET TimeZone = $zone", {"zone": policy.time_zone})
            yield connection, folder
        finally:
            connection.close()


def layout(connection: "DuckDBPyConnection", source: Source) -> Layout:
    """Find the file's columns; a file without a required one is refused."""
    with said_plainly(source.name):
        found = _parquet(connection, source) if source.is_parquet else _csv(source)
    return _accepted(found, source.table)


def frame_layout(connection: "DuckDBPyConnection", table: Table, relation: str) -> Layout:
    """The same of a relation that DuckDB knows."""
    with said_plainly(table.name):
        columns, picked = _described(connection, relation)
    return _accepted(
        Layout(table.name, columns, f"SELECT NULL AS row_number, {picked} FROM {relation}"), table
    )


def check(connection: "DuckDBPyConnection", table: Table, found: Layout, policy: Policy) -> list[Check]:
    """Fill ``checked`` and ``bad_lines``; ``checked.broken`` counts from 1 in the list returned."""
    return sift(connection, table, found, [*cell_checks(table, found), *row_checks(table, policy)])


def sift(connection: "DuckDBPyConnection", table: Table, found: Layout, broken: list[Check]) -> list[Check]:
    """Fill ``checked`` and ``bad_lines`` by these checks; returns them and that of bad lines."""
    cases = " ".join(f"WHEN {check.bad} THEN {place}" for place, check in enumerate(broken, 1))
    connection.execute("DROP TABLE IF EXISTS rejected; DROP TABLE IF EXISTS rejected_scans")
    with said_plainly(found.name):
        connection.execute(
            f"CREATE OR REPLACE TABLE checked AS SELECT row_number, {', '.join(table.names)}, "
            f"(CASE {cases} ELSE 0 END)::USMALLINT AS broken "
            f"FROM (SELECT *, {typed(table, found)} FROM ({found.trimmed}))"
        )
    _note_bad_lines(connection, found)
    return [*broken, BAD_LINE]


def typed(table: Table, found: Layout) -> str:
    """The table's columns, cast from the file's; those that it lacks are null."""
    return ", ".join(
        f"{_cast(column, found.given(column.name))} AS {column.name}" for column in table.columns
    )


def cell_checks(table: Table, found: Layout) -> list[Check]:
    """What can be wrong with a file's cells one by one."""
    cells = ((column, found.given(column.name)) for column in table.columns)
    return [
        *found.overflow,
        *(made for column, given in cells if given for made in checks(table, column, given)),
    ]


def row_checks(table: Table, policy: Policy) -> Iterator[Check]:
    """The table's own rules, term by term, so that a report can name the field."""
    limit = f"{policy.max_amount}::DECIMAL(18,2)"
    for rule in rules(table):
        for term in rule.bad.split(" OR "):
            fields = [name for name in table.names if re.search(rf"\b{name}\b", term)]
            yield Check(rule.name, ", ".join(fields), term.replace("$max_amount", limit))


@contextmanager
def said_plainly(name: str) -> Iterator[None]:
    """Errors of reading become one line that names the file, and quotes nothing from it."""
    import duckdb

    try:
        yield
    except UnicodeDecodeError:
        raise DataError(f"{name} line 1: not UTF-8", "export it again as UTF-8") from None
    except (OSError, EOFError, csv.Error) as error:
        raise DataError(f"{name} cannot be read: {_reason(error)}") from None
    except duckdb.Error as error:
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        where = f" line {line[1]}" if line else ""
        raise DataError(f"{name}{where} cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The part of a message that says why; lines quoted from the file are left out."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = re.sub(r"Original Line:.*?\n(?=[A-Z])", "", str(error), flags=re.DOTALL)
    for known, plain in (
        ("invalid state", "line ends are mixed, or quotes do not match"),
        ("No magic bytes", "not a whole Parquet file"),
        ("too small to be a Parquet", "not a whole Parquet file"),
        ("end of GZIP", "the compressed file is cut short"),
        ("end-of-stream marker", "the compressed file is cut short"),
        ("Could not convert", "a value does not fit its column"),
        ("out of memory", "it does not fit the memory given to it"),
        ("Out of Memory", "it does not fit the memory given to it"),
    ):
        if known in text:
            return plain
    first = text.split("\n", 1)[0].strip()
    return re.sub(r"^[A-Za-z ]+Error: ", "", first) or type(error).__name__


def _accepted(found: Layout, table: Table) -> Layout:
    for column in table.columns:
        given = found.given(column.name)
        if given is None and not column.null:
            raise DataError(f"{found.name} has no column {column.name}", _near(column, table, found))
        if given is not None and ("[" in given.type or given.type.startswith(("STRUCT", "MAP", "UNION"))):
            raise DataError(
                f"{found.name}: column {column.name} holds nested values", "give one value per cell"
            )
    return found


def _near(column: Column, table: Table, found: Layout) -> str:
    """Names to choose from, unless none is known: then they may be the cells of someone's row."""
    names = [name for name, _ in found.columns]
    return suggest(column.name, names) if set(names) & set(table.names) else "is its first line the header?"


def _parquet(connection: "DuckDBPyConnection", source: Source) -> Layout:
    if source.path.stat().st_size == 0:
        raise DataError(f"{source.name} is empty")
    reader = f"read_parquet({one_file(source.path)}, binary_as_string = true, hive_partitioning = false"
    columns, picked = _described(connection, f"{reader})")
    numbered = "file_row_number + 1 AS row_number"
    return Layout(source.name, columns, f"SELECT {numbered}, {picked} FROM {reader}, file_row_number = true)")


def _described(connection: "DuckDBPyConnection", relation: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The columns of a relation, and SQL that picks them by place."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    columns = tuple((str(name).strip().lower(), _plain_type(type_)) for name, type_, *_ in rows)
    picked = ", ".join(
        f"{_pick(name, type_)} AS given_{place}" for place, (name, type_, *_) in enumerate(rows)
    )
    return columns, picked


def _pick(name: str, type_: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{quoted}::VARCHAR" if type_.startswith("ENUM") else quoted


def _plain_type(type_: str) -> str:
    """Words of a fixed list are text."""
    return "VARCHAR" if type_.startswith("ENUM") else type_


def _csv(source: Source) -> Layout:
    head = _head(source)
    _refuse_long_lines(source)
    delimiter = max(DELIMITERS, key=lambda each: len(_names(head, each) & set(source.table.names)))
    names = [name.strip().lower() for name in next(csv.reader(io.StringIO(head), delimiter=delimiter))]
    twice = [name for place, name in enumerate(names) if name and name in names[:place]]
    if twice:
        shown = twice[0] if twice[0] in source.table.names else "of one name"
        raise DataError(f"{source.name} has two columns {shown}")
    columns = ", ".join(f"'given_{place}': 'VARCHAR'" for place in range(len(names)))
    options = (
        f"auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', escape = '\"', "
        f"columns = {{{columns}}}, "
        "store_rejects = true, rejects_table = 'rejected', rejects_scan = 'rejected_scans'"
    )
    rows = f"SELECT row_number() OVER () AS row_number, * FROM read_csv({one_file(source.path)}, {options})"
    return Layout(source.name, tuple((name, "VARCHAR") for name in names), rows, lines=True)


def _opened(source: Source) -> "gzip.GzipFile | BufferedReader":
    return gzip.open(source.path) if source.name.lower().endswith(".gz") else source.path.open("rb")


def _refuse_long_lines(source: Source) -> None:
    """DuckDB drops a line that is longer than its buffer without a word."""
    lines, length = 1, 0
    with _opened(source) as file:
        while block := file.read(HEADER_LIMIT):
            first = block.find(b"\n")
            length += len(block) if first < 0 else first
            if length > LINE_LIMIT:
                raise DataError(f"{source.name} line {lines:,}: {LONG}")
            if first >= 0:
                lines += block.count(b"\n")
                length = len(block) - 1 - block.rfind(b"\n")


def _head(source: Source) -> str:
    with _opened(source) as file:
        read = file.read(HEADER_LIMIT)
    block = read.removeprefix(codecs.BOM_UTF8)
    line, newline, _ = block.partition(b"\n")
    if not line.strip():
        raise DataError(f"{source.name} is empty" if not block.strip() else f"{source.name} line 1 is empty")
    if not newline and len(read) == HEADER_LIMIT:
        raise DataError(f"{source.name} line 1 is longer than {HEADER_LIMIT} bytes", "is it CSV?")
    return line.decode().rstrip("\r")


def _names(head: str, delimiter: str) -> set[str]:
    return {name.strip().lower() for name in next(csv.reader(io.StringIO(head), delimiter=delimiter))}


def _note_bad_lines(connection: "DuckDBPyConnection", found: Layout) -> None:
    connection.execute("CREATE OR REPLACE TABLE bad_lines (row_number BIGINT, content VARCHAR)")
    if not found.lines:
        return
    faults = ", ".join(f"'{fault}'" for fault in ROW_FAULTS)
    worse = connection.execute(
        "SELECT line, error_type::VARCHAR AS fault FROM rejected "
        f"WHERE fault NOT IN ({faults}) ORDER BY line LIMIT 1"
    ).fetchone()
    if worse:
        plain = {
            "UNQUOTED VALUE": "a quote is not closed",
            "LINE SIZE OVER MAXIMUM": LONG,
        }
        raise DataError(f"{found.name} line {worse[0]}: {plain.get(worse[1], str(worse[1]).lower())}")
    connection.execute("INSERT INTO bad_lines SELECT line, any_value(csv_line) FROM rejected GROUP BY line")


def _cast(column: Column, given: Given | None) -> str:
    return cast(column.kind, given) if given else f"NULL::{SQL_TYPES[column.kind]}"
