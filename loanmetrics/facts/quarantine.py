"""Rows held back: which, under which rule; whole in ``quarantined_rows``, without personal data in a report.

A held row leaves the quarantine when a later load brings a sound row of the same identity.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from loanmetrics.facts.casting import Check
from loanmetrics.facts.copying import copy_in
from loanmetrics.facts.held import row_key
from loanmetrics.facts.quoting import literal
from loanmetrics.facts.reading import Layout, said_plainly
from loanmetrics.facts.sources import REPORT_COLUMNS, Source
from loanmetrics.tables import FACT_COLUMNS, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg import Connection

CELL_LIMIT = 1_000
MASK = "***"
HOLDING = ("row_number", "row_key", "rule", "field", "content")


def hold_broken(work: "DuckDBPyConnection", table: Table, checks: list[Check]) -> None:
    """Start ``held`` with the rows of ``checked`` that break a rule and the lines that are no rows.

    ``sound`` is what is left of ``checked``, whatever is held later.
    """
    work.execute("CREATE OR REPLACE TABLE rules (place USMALLINT, rule VARCHAR, field VARCHAR)")
    rows = [[place, check.rule, check.field] for place, check in enumerate(checks, 1)]
    work.executemany("INSERT INTO rules VALUES (?, ?, NULLIF(?, ''))", rows)
    work.execute(
        f"""
        CREATE OR REPLACE TABLE held AS
            SELECT row_number, {row_key(table)} AS row_key, rule, field
            FROM checked JOIN rules ON broken = place
            UNION ALL SELECT row_number, NULL, 'bad_line', NULL FROM bad_lines;
        CREATE OR REPLACE VIEW sound AS
            SELECT * EXCLUDE (broken) FROM checked ANTI JOIN held USING (row_number) WHERE broken = 0;
        """
    )


def hold_duplicates(work: "DuckDBPyConnection", table: Table) -> None:
    """Of sound rows that share an identity keep the first by content, not by place; hold the rest.

    Identities of files loaded before are in ``seen_<table>``; those came first.
    """
    identity = ", ".join(table.identity)
    order = ", ".join(f"{name} NULLS FIRST" for name in _by_content(table))
    work.execute(
        f"""
        CREATE TABLE IF NOT EXISTS seen_{table.name} AS SELECT {identity} FROM sound LIMIT 0;
        CREATE OR REPLACE TABLE twice AS SELECT {identity} FROM sound GROUP BY ALL HAVING count(*) > 1;
        CREATE OR REPLACE TABLE late AS
            SELECT row_number FROM sound SEMI JOIN twice USING ({identity})
            QUALIFY row_number() OVER (PARTITION BY {identity} ORDER BY {order}, row_number) > 1
            UNION SELECT row_number FROM sound SEMI JOIN seen_{table.name} USING ({identity});
        """
    )
    hold_late(work, table, "duplicate_id", identity)


def hold_late(work: "DuckDBPyConnection", table: Table, rule: str, field: str) -> None:
    """Hold the rows numbered in ``late`` under ``rule``."""
    work.execute(
        f"INSERT INTO held SELECT row_number, {row_key(table)}, $rule, $field "
        "FROM checked SEMI JOIN late USING (row_number)",
        {"rule": rule, "field": field},
    )


def remember(work: "DuckDBPyConnection", table: Table) -> None:
    """Note the identities of this file's sound rows for the files to come."""
    work.execute(f"INSERT INTO seen_{table.name} SELECT {', '.join(table.identity)} FROM sound")


def counts(work: "DuckDBPyConnection") -> dict[str, int]:
    """Held rows by rule."""
    return dict(work.execute("SELECT rule, count(*) FROM held GROUP BY rule ORDER BY rule").fetchall())


def store(
    work: "DuckDBPyConnection", database: "Connection[Any]", source: Source, found: Layout, folder: Path
) -> None:
    """Write ``held`` to ``quarantined_rows``, once, and clear what ``staging`` brings soundly."""
    _contents(work, source, found)
    database.execute(
        "CREATE TEMP TABLE holding (row_number bigint, row_key text, rule text, field text, content jsonb) "
        "ON COMMIT DROP"
    )
    whole = "SELECT * REPLACE (to_json(map_from_entries(content)) AS content) FROM contents"
    copy_in(work, database, whole, "holding", HOLDING, folder / "held.csv")
    this = {"source": source.name, "table": source.table.name}
    known = (
        "q.source = %(source)s AND q.table_name = %(table)s AND q.row_number = h.row_number "
        "AND q.rule = h.rule AND q.content = h.content"
    )
    database.execute(
        sql.SQL(
            f"INSERT INTO quarantined_rows (source, table_name, {', '.join(HOLDING)}, quarantined_at) "
            "SELECT %(source)s, %(table)s, h.*, now() FROM holding h "
            f"WHERE NOT EXISTS (SELECT FROM quarantined_rows q WHERE {known})"
        ),
        this,
    )
    database.execute(
        sql.SQL(
            "DELETE FROM quarantined_rows q USING staging s "
            f"WHERE q.table_name = %(table)s AND q.row_key = {row_key(source.table, 's.')} "
            f"AND q.rule <> 'duplicate_id' AND NOT EXISTS (SELECT FROM holding h WHERE {known})"
        ),
        this,
    )


def report(work: "DuckDBPyConnection", source: Source, found: Layout) -> None:
    """Add this file's held rows to ``reported``, with only the table's columns that are not personal."""
    _make_reported(work)
    shown = ["''", *(literal(c.name) for c in source.table.columns if not c.personal and found.given(c.name))]
    value = f"CASE WHEN e.k IN ({', '.join(shown)}) OR e.v IS NULL THEN e.v ELSE '{MASK}' END"
    masked = f"list_transform(content, lambda e: {{'k': e.k, 'v': {value}}})"
    work.execute(
        f"INSERT INTO reported SELECT $source, $table, row_number, {_harmless('row_key')}, rule, field, "
        f"to_json(map_from_entries({masked}))::VARCHAR FROM contents ORDER BY row_number",
        {"source": source.name, "table": source.table.name},
    )


def write_report(work: "DuckDBPyConnection", path: Path) -> None:
    """Write ``reported`` as CSV."""
    _make_reported(work)
    work.execute(f"COPY reported TO {literal(path)} (FORMAT csv, HEADER, USE_TMP_FILE false)")


def _make_reported(work: "DuckDBPyConnection") -> None:
    columns = ", ".join(f"{name} VARCHAR" for name in REPORT_COLUMNS)
    work.execute(f"CREATE TABLE IF NOT EXISTS reported ({columns})")


def _contents(work: "DuckDBPyConnection", source: Source, found: Layout) -> None:
    """``contents``: held rows as (column, text) pairs, read again from the file; very long cells are cut."""
    pairs = ", ".join(
        _pair(literal(name or f"column {place + 1}"), f"given_{place}::VARCHAR")
        for place, (name, _) in enumerate(found.columns)
    )
    work.execute("DROP TABLE IF EXISTS rejected; DROP TABLE IF EXISTS rejected_scans")
    with said_plainly(source.name):
        work.execute(
            f"""
            CREATE OR REPLACE TABLE contents AS
            SELECT held.*, [{pairs}] AS content FROM held JOIN ({found.sql}) USING (row_number)
            WHERE rule <> 'bad_line'
            UNION ALL
            SELECT held.*, [{_pair("'line'", "content")}] FROM held JOIN bad_lines USING (row_number)
            WHERE rule = 'bad_line'
            """
        )


def _pair(name: str, value: str) -> str:
    return f"{{'k': {name}, 'v': left(replace({value}, chr(0), ''), {CELL_LIMIT})}}"


def _by_content(table: Table) -> dict[str, None]:
    """The order that decides among duplicates: what the engine reads first, so that it keeps the same row."""
    read = FACT_COLUMNS.get(table.name, ())
    first = [name for name in table.names if name in read]
    return dict.fromkeys([*([table.partition_by] if table.partition_by else []), *first, *table.names])


def _harmless(column: str) -> str:
    """A cell that a spreadsheet would run as a formula is marked as text."""
    return f"CASE WHEN regexp_matches({column}, '^[=+@-]') THEN '''' || {column} ELSE {column} END"
