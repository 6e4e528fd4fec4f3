"""DDL as text, derived from the declared tables: types, keys, checks, partitions, indexes, one view.

Migration files are this text, frozen; ``python -m loanmetrics.store.ddl`` prints what is declared today.
"""

import re
import sys
from collections.abc import Iterable

from loanmetrics.tables import LOAN_STATE, LOANS, TABLES, Column, Table

TYPES = {
    "text": "text",
    "date": "date",
    "int": "integer",
    "bigint": "bigint",
    "money": "numeric(18,2)",
    "rate": "numeric(9,6)",
    "bool": "boolean",
    "timestamp": "timestamptz",
    "json": "jsonb",
    "serial": "bigint GENERATED ALWAYS AS IDENTITY",
    "ratio": "double precision",
    "score": "integer",
    "xid": "xid8",
}
# numeric(9,6) ends at 999 s, and a first run over ten million loans may take longer.
WIDER = {("metric_calculation_log", "duration_seconds"): "numeric(14,6)"}
# Lets publishing find the loans that changed without reading every column back.
FINGERPRINT = Column("row_hash", "bigint", null=False)
TECHNICAL: dict[str, tuple[Column, ...]] = {LOAN_STATE.name: (FINGERPRINT,)}
STAMPED = ("created_at", "updated_at")
DEFAULTS = {
    ("change_log", "xid"): "pg_current_xact_id()",
    ("loan_reassignments", "reassigned_at"): "clock_timestamp()",
    ("team_members", "member_version"): "1",
}

# Primary keys that start with loan_id already serve look-ups by loan.
INDEXES: dict[str, tuple[str, ...]] = {
    "officers": ("(branch)",),
    "loans": ("(officer_id)", "(branch)", "(customer_id)"),
    "repayments": ("(loan_id)",),
    "loan_state": ("(loan_id) WHERE fimr_tagged", "(loan_id) WHERE early_indicator_tagged"),
    "officer_metrics_daily": ("(calculation_date, officer_id)", "(calculation_date, branch)"),
    "branch_metrics_daily": ("(calculation_date, region, branch)",),
    "dpd_transitions": ("(officer_id, transition_date)",),
    "audit_tracking": ("(officer_id, audit_id)",),
    "metric_calculation_log": ("(start_time)", "(calculation_date, calculation_type)"),
    "quarantined_rows": ("(table_name, rule)", "(quarantined_at)"),
    "audit_anchors": ("(kind, reference)",),
    "loan_reassignments": ("(loan_id, reassignment_id)",),
    "refresh_tokens": ("(family)", "(member_id)", "(expires_at)"),
    "login_attempts": ("(account_hash, attempted_at)", "(address_hash, attempted_at)", "(attempted_at)"),
}
UNIQUE = {"team_members": ("(lower(member_email))",), "audit_tracking": ("(previous_hash)",)}


def schema() -> str:
    """Everything tables.py declares, as one SQL text."""
    parts = [*(create_table(table) for table in TABLES.values()), *indexes(), loans_with_state()]
    return "\n\n".join(parts) + "\n"


def create_table(table: Table) -> str:
    """One table with its keys and checks; a partitioned one with its default partition.

    >>> from loanmetrics.tables import HOLIDAYS
    >>> print(create_table(HOLIDAYS))
    CREATE TABLE holidays (
        holiday_date date NOT NULL,
        name text,
        PRIMARY KEY (holiday_date)
    );
    """
    columns = (*table.columns, *TECHNICAL.get(table.name, ()))
    lines = [_column(table, column) for column in columns] + _constraints(table)
    body = ",\n".join(f"    {line}" for line in lines)
    if table.partition_by is None:
        return f"CREATE TABLE {table.name} (\n{body}\n);"
    return (
        f"CREATE TABLE {table.name} (\n{body}\n) PARTITION BY RANGE ({table.partition_by});\n"
        f"CREATE TABLE {table.name}_default PARTITION OF {table.name} DEFAULT;"
    )


def indexes() -> list[str]:
    """The indexes beside the keys, one statement each, named after table and columns."""
    return [
        f"CREATE {kind} {_index_name(name, what)} ON {name} {what};"
        for kind, tables in (("INDEX", INDEXES), ("UNIQUE INDEX", UNIQUE))
        for name, listed in tables.items()
        for what in listed
    ]


def loans_with_state() -> str:
    """The view that shows computed columns beside the lender's, each table with its one writer."""
    computed = [name for name in LOAN_STATE.names if name not in LOANS.names]
    columns = [f"loans.{name}" for name in LOANS.names] + [f"loan_state.{name}" for name in computed]
    listed = ",\n".join(f"    {name}" for name in columns)
    return (
        f"CREATE VIEW loans_with_state AS SELECT\n{listed}\n"
        f"FROM loans LEFT JOIN loan_state USING ({', '.join(LOAN_STATE.key)});"
    )


def add_columns(table: str, columns: Iterable[tuple[str, str]]) -> str:
    """One statement that adds the given (name, kind) columns.

    >>> add_columns("branch_metrics_daily", [("fimr", "ratio")])
    'ALTER TABLE branch_metrics_daily ADD COLUMN IF NOT EXISTS fimr double precision'
    """
    adds = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {TYPES[kind]}" for name, kind in columns)
    return f"ALTER TABLE {table} {adds}"


def sql_type(table: Table, column: Column) -> str:
    """The PostgreSQL type of one column."""
    return WIDER.get((table.name, column.name), TYPES[column.kind])


def _column(table: Table, column: Column) -> str:
    required = "" if column.null or column.kind == "serial" else " NOT NULL"
    default = "now()" if column.name in STAMPED else DEFAULTS.get((table.name, column.name))
    return f"{column.name} {sql_type(table, column)}{required}{f' DEFAULT {default}' if default else ''}"


def _constraints(table: Table) -> list[str]:
    unique = table.identity and table.identity != table.key and table.partition_by is None
    return [
        f"PRIMARY KEY ({', '.join(table.key)})",
        *([f"UNIQUE ({', '.join(table.identity)})"] if unique else []),
        *(_one_of(table, column) for column in table.columns if column.one_of),
        *_no_nan(table),
    ]


def _one_of(table: Table, column: Column) -> str:
    allowed = ", ".join(f"'{value}'" for value in column.one_of)
    return f"CONSTRAINT {table.name}_{column.name}_known CHECK ({column.name} IN ({allowed}))"


def _no_nan(table: Table) -> list[str]:
    """PostgreSQL sorts NaN above every number; numeric(p,s) refuses infinity by itself."""
    numbers = [column.name for column in table.columns if sql_type(table, column).startswith("numeric")]
    tests = " AND ".join(f"{name} < 'NaN'" for name in numbers)
    return [f"CONSTRAINT {table.name}_no_nan CHECK ({tests})"] if numbers else []


def _index_name(table: str, what: str) -> str:
    columns, _, condition = what.partition(" WHERE ")
    words = [table, *re.findall(r"\w+", columns), *condition.split()]
    return "_".join(words) + "_index"


if __name__ == "__main__":
    sys.stdout.write(schema())
