"""Raw tables -> integer facts: rows that break a rule are held back and counted, keys become dense integers.

Works inside one DuckDB connection on relations ``raw.<table>`` with the columns of ``tables.FACT_COLUMNS``, typed.
Nothing here depends on the order of the raw rows, nor on any day.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loanmetrics import tables
from loanmetrics.facts import held, oddities
from loanmetrics.facts.held import MONEY_SUMS
from loanmetrics.policy import Policy
from loanmetrics.tables import (
    FACT_COLUMNS,
    LOAN_STATUSES,
    TABLES,
    UNASSIGNED,
    UNKNOWN,
    WAIVER_TYPES,
    Table,
    facts_only,
)

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

SQL_TYPES: dict[tables.Kind, str] = {
    "text": "VARCHAR",
    "date": "DATE",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "serial": "BIGINT",
    "money": "DECIMAL(18,2)",
    "rate": "DECIMAL(9,6)",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "json": "JSON",
}
CHILDREN = ("loan_schedule", "repayments")


@dataclass(frozen=True)
class Known:
    """Integers given out by earlier versions of the facts, which the next rows must keep to."""

    cells: "pl.DataFrame | None" = None
    channels: "pl.DataFrame | None" = None
    methods: "pl.DataFrame | None" = None
    next_loan: int = 0


@dataclass(frozen=True)
class Intake:
    """What came in: rows and sums by table, rows held back by (table, rule), findings."""

    rows: dict[str, int]
    sums: dict[str, int]
    quarantine: dict[tuple[str, str], int]
    findings: dict[str, int]


def prepare(connection: "DuckDBPyConnection", policy: Policy, known: Known | None = None) -> Intake:
    """Make relations ``facts_loans``, ``facts_schedule``, ``facts_repayments`` and the dimension tables.

    Beside them stand ``held``, the rows held back, and ``odd``, what is worth knowing of usable loans.
    """
    before = known or Known()
    _recall(connection, before)
    held.create(connection, "held")
    connection.execute("INSERT INTO held FROM raw_held")
    for name in FACT_COLUMNS:
        _sift(connection, facts_only(TABLES[name]), policy)
    _hold_back_loans_without_due_date(connection)
    _name_cells(connection)
    _name_dimension(
        connection,
        "channels",
        "channel",
        "SELECT channel FROM usable_loans UNION SELECT primary_channel FROM usable_officers",
    )
    _name_dimension(connection, "methods", "payment_method", "SELECT payment_method FROM usable_repayments")
    _key_loans(connection, before.next_loan)
    for name in CHILDREN:
        _hold_back_orphans(connection, name)
    _make_facts(connection)
    oddities.note(connection)
    return Intake(_counts(connection), _sums(connection), _held(connection), oddities.counted(connection))


def _recall(connection: "DuckDBPyConnection", known: Known) -> None:
    columns = {
        "cells": "cell INTEGER, officer_id VARCHAR, region VARCHAR, branch VARCHAR",
        "channels": "channel INTEGER, name VARCHAR",
        "methods": "method INTEGER, name VARCHAR",
    }
    for name, declared in columns.items():
        connection.execute(f"CREATE TABLE known_{name} ({declared})")
        frame = getattr(known, name)
        if frame is not None and len(frame):
            connection.register("recalled", frame.to_arrow())
            connection.execute(f"INSERT INTO known_{name} BY NAME SELECT * FROM recalled")
            connection.unregister("recalled")


def _sift(connection: "DuckDBPyConnection", table: Table, policy: Policy) -> None:
    """``usable_<table>``: rows that break no rule of their own, and one row of each identity."""
    name = table.name
    broken = _first_broken_rule(table, policy)
    about = held.about(table)
    connection.execute(
        f"INSERT INTO held SELECT '{name}', rule, {about} "
        f"FROM (SELECT *, {broken} AS rule FROM raw.{name}) WHERE rule IS NOT NULL"
    )
    connection.execute(f"CREATE VIEW sound_{name} AS SELECT * FROM raw.{name} WHERE ({broken}) IS NULL")
    identity = ", ".join(table.identity)
    connection.execute(
        f"CREATE TABLE twice_{name} AS SELECT {identity} FROM sound_{name} GROUP BY ALL HAVING count(*) > 1"
    )
    if connection.execute(f"SELECT count(*) FROM twice_{name}").fetchone() == (0,):
        connection.execute(f"CREATE VIEW usable_{name} AS SELECT * FROM sound_{name}")
        return
    order = [*([table.partition_by] if table.partition_by else []), *table.names]
    first = ", ".join(f"{column} NULLS FIRST" for column in order)
    connection.execute(
        f"CREATE TABLE shared_{name} AS "
        f"SELECT *, row_number() OVER (PARTITION BY {identity} ORDER BY {first}) AS place "
        f"FROM sound_{name} SEMI JOIN twice_{name} USING ({identity})"
    )
    connection.execute(
        f"INSERT INTO held SELECT '{name}', 'duplicate_id', {about} FROM shared_{name} WHERE place > 1"
    )
    connection.execute(
        f"CREATE VIEW usable_{name} AS SELECT * FROM sound_{name} ANTI JOIN twice_{name} USING ({identity}) "
        f"UNION ALL SELECT * EXCLUDE (place) FROM shared_{name} WHERE place = 1"
    )


def _first_broken_rule(table: Table, policy: Policy) -> str:
    limit = f"{policy.max_amount}::DECIMAL(18,2)"
    cases = [
        f"WHEN {rule.bad.replace('$max_amount', limit)} THEN '{rule.name}'" for rule in tables.rules(table)
    ]
    return f"CASE {' '.join(cases)} END"


def _hold_back_loans_without_due_date(connection: "DuckDBPyConnection") -> None:
    connection.execute(
        f"""
        CREATE TABLE endless AS SELECT loan_id FROM usable_loans
            WHERE maturity_date IS NULL AND loan_term_days IS NULL;
        DELETE FROM endless WHERE loan_id IN (
            SELECT loan_id FROM usable_loan_schedule SEMI JOIN endless USING (loan_id)
            WHERE COALESCE(principal_due, 0) + COALESCE(interest_due, 0) + COALESCE(fee_due, 0) > 0);
        INSERT INTO held SELECT 'loans', 'no_due_date', {held.about(facts_only(TABLES["loans"]))}
            FROM usable_loans SEMI JOIN endless USING (loan_id);
        """
    )


def _name_cells(connection: "DuckDBPyConnection") -> None:
    connection.execute(
        f"""
        CREATE VIEW placed_loans AS SELECT * REPLACE (COALESCE(officer_id, '{UNASSIGNED}') AS officer_id,
            COALESCE(region, '{UNKNOWN}') AS region, COALESCE(branch, '{UNKNOWN}') AS branch)
        FROM usable_loans ANTI JOIN endless USING (loan_id);
        CREATE TABLE facts_cells AS SELECT cell, officer_id, region, branch FROM known_cells UNION ALL
            SELECT ((SELECT count(*) FROM known_cells)
                + row_number() OVER (ORDER BY officer_id, region, branch) - 1)::INTEGER AS cell, *
            FROM (SELECT DISTINCT officer_id, region, branch FROM placed_loans
                ANTI JOIN known_cells USING (officer_id, region, branch));
        CREATE TABLE facts_officers AS SELECT officer_id, officer_name, COALESCE(region, '{UNKNOWN}') AS region,
            COALESCE(branch, '{UNKNOWN}') AS branch, primary_channel, TRUE AS listed FROM usable_officers
        UNION ALL SELECT DISTINCT officer_id, NULL, '{UNKNOWN}', '{UNKNOWN}', NULL, FALSE FROM facts_cells
            WHERE officer_id NOT IN (SELECT officer_id FROM usable_officers);
        CREATE TABLE facts_holidays AS SELECT DISTINCT {_day("holiday_date")} AS day FROM usable_holidays ORDER BY day;
        CREATE TABLE facts_gl_balances AS SELECT {_day("balance_date")} AS day, branch,
            {_minor("principal")} AS principal FROM usable_gl_balances;
        """
    )


def _name_dimension(connection: "DuckDBPyConnection", dimension: str, column: str, source: str) -> None:
    key = dimension.removesuffix("s")
    connection.execute(
        f"CREATE TABLE facts_{dimension} AS SELECT {key}, name FROM known_{dimension} UNION ALL "
        f"SELECT ((SELECT count(*) FROM known_{dimension}) + row_number() OVER (ORDER BY name) - 1)::INTEGER, name "
        f"FROM (SELECT DISTINCT {column} AS name FROM ({source}) WHERE {column} IS NOT NULL) "
        f"ANTI JOIN known_{dimension} USING (name)"
    )


def _key_loans(connection: "DuckDBPyConnection", first: int) -> None:
    connection.execute(
        "CREATE TABLE loan_keys AS SELECT loan_id, disbursement_date AS begins, "
        f"({first} + row_number() OVER (ORDER BY disbursement_date, loan_id) - 1)::INTEGER AS loan "
        "FROM placed_loans"
    )


def _hold_back_orphans(connection: "DuckDBPyConnection", name: str) -> None:
    connection.execute(
        f"INSERT INTO held SELECT '{name}', 'orphan', {held.about(facts_only(TABLES[name]))} "
        f"FROM usable_{name} ANTI JOIN loan_keys USING (loan_id)"
    )


def _make_facts(connection: "DuckDBPyConnection") -> None:
    connection.execute(
        f"""
        CREATE VIEW facts_loans AS SELECT loan, loan_id, cell, {_minor("loan_amount")} AS amount,
            {_day("disbursement_date")} AS disbursed, {_day("maturity_date")} AS maturity, loan_term_days AS term,
            (interest_rate * {tables.RATE_SCALE})::BIGINT AS rate, {_minor("fee_amount")} AS fee, channel.channel,
            {_code("status", LOAN_STATUSES)} AS status, {_day("closed_date")} AS closed
        FROM placed_loans JOIN loan_keys USING (loan_id) JOIN facts_cells USING (officer_id, region, branch)
        LEFT JOIN facts_channels AS channel ON channel.name = placed_loans.channel;
        CREATE VIEW facts_schedule AS SELECT loan, {_day("due_date")} AS due, installment_number AS number,
            {_minor("principal_due")} AS principal, {_minor("interest_due")} AS interest,
            {_minor("fee_due")} AS fee
        FROM usable_loan_schedule JOIN loan_keys USING (loan_id);
        CREATE VIEW facts_repayments AS SELECT loan, {_day("payment_date")} AS day, repayment_id,
            {_minor("payment_amount")} AS amount, {_minor("principal_paid")} AS principal,
            {_minor("interest_paid")} AS interest, {_minor("fees_paid")} AS fees, {_minor("penalty_paid")} AS penalty,
            method.method, COALESCE(is_backdated, FALSE) AS backdated, COALESCE(is_reversed, FALSE) AS reversed,
            {_day("reversal_date")} AS reversal, {_minor("waiver_amount")} AS waiver,
            COALESCE({_code("waiver_type", WAIVER_TYPES)}, 0)::TINYINT AS waiver_type, created_at AS created
        FROM usable_repayments JOIN loan_keys USING (loan_id)
            LEFT JOIN facts_methods AS method ON method.name = payment_method;
        """
    )


def _day(column: str) -> str:
    return f"({column} - DATE '1970-01-01')::INTEGER"


def _minor(column: str) -> str:
    return f"(COALESCE({column}, 0) * {tables.MINOR_PER_UNIT})::BIGINT"


def _code(column: str, names: tuple[str, ...]) -> str:
    return f"(list_position({list(names)!r}, {column}) - 1)::TINYINT"


def _counts(connection: "DuckDBPyConnection") -> dict[str, int]:
    return {name: _of_both(connection, name, "count(*)", "count(*)") for name in FACT_COLUMNS}


def _sums(connection: "DuckDBPyConnection") -> dict[str, int]:
    return {
        name: _of_both(connection, name, f"(sum({column}) * {tables.MINOR_PER_UNIT})::HUGEINT", "sum(amount)")
        for name, column in MONEY_SUMS.items()
    }


def _of_both(connection: "DuckDBPyConnection", name: str, readable: str, unreadable: str) -> int:
    """A total over a table's rows, those with unreadable cells included."""
    return _one(connection, f"SELECT {readable} FROM raw.{name}") + _one(
        connection, f"SELECT {unreadable} FROM raw_held WHERE table_name = '{name}'"
    )


def _one(connection: "DuckDBPyConnection", query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def _held(connection: "DuckDBPyConnection") -> dict[tuple[str, str], int]:
    rows = connection.execute(
        "SELECT table_name, rule, count(*) FROM held GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return {(table, rule): count for table, rule, count in rows}
