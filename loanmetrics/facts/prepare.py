"""Raw tables -> integer facts: rows that break a rule are held back and counted, keys become dense integers.

Works inside one DuckDB connection on relations ``raw.<table>`` with the columns of ``tables.FACT_COLUMNS``, typed.
Nothing here depends on the order of the raw rows, nor on any day.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loanmetrics import tables
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
MONEY_SUMS = {"loans": "loan_amount", "loan_schedule": "principal_due", "repayments": "payment_amount"}
CHILDREN = ("loan_schedule", "repayments")


@dataclass(frozen=True)
class Intake:
    """What came in: rows and sums by table, rows held back by (table, rule), findings."""

    rows: dict[str, int]
    sums: dict[str, int]
    quarantine: dict[tuple[str, str], int]
    findings: dict[str, int]


def prepare(connection: "DuckDBPyConnection", policy: Policy) -> Intake:
    """Make relations ``facts_loans``, ``facts_schedule``, ``facts_repayments`` and the dimension tables."""
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
    _key_loans(connection)
    for name in CHILDREN:
        _hold_back_orphans(connection, name)
    _make_facts(connection)
    return Intake(_counts(connection), _sums(connection), _held(connection), _findings(connection))


def _sift(connection: "DuckDBPyConnection", table: Table, policy: Policy) -> None:
    """``usable_<table>``: rows that break no rule of their own, and one row of each identity."""
    name = table.name
    connection.execute("CREATE TABLE IF NOT EXISTS held (table_name VARCHAR, rule VARCHAR, row_key VARCHAR)")
    broken = _first_broken_rule(table, policy)
    key = " || '/' || ".join(f"COALESCE({column}::VARCHAR, '')" for column in table.identity)
    connection.execute(
        f"INSERT INTO held SELECT '{name}', rule, {key} "
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
        f"INSERT INTO held SELECT '{name}', 'duplicate_id', {key} FROM shared_{name} WHERE place > 1"
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
        """
        CREATE TABLE endless AS SELECT loan_id FROM usable_loans
            WHERE maturity_date IS NULL AND loan_term_days IS NULL;
        DELETE FROM endless WHERE loan_id IN (
            SELECT loan_id FROM usable_loan_schedule SEMI JOIN endless USING (loan_id)
            WHERE COALESCE(principal_due, 0) + COALESCE(interest_due, 0) + COALESCE(fee_due, 0) > 0);
        INSERT INTO held SELECT 'loans', 'no_due_date', loan_id FROM endless;
        """
    )


def _name_cells(connection: "DuckDBPyConnection") -> None:
    connection.execute(
        f"""
        CREATE VIEW placed_loans AS SELECT * REPLACE (COALESCE(officer_id, '{UNASSIGNED}') AS officer_id,
            COALESCE(region, '{UNKNOWN}') AS region, COALESCE(branch, '{UNKNOWN}') AS branch)
        FROM usable_loans ANTI JOIN endless USING (loan_id);
        CREATE TABLE facts_cells AS
            SELECT (row_number() OVER (ORDER BY officer_id, region, branch) - 1)::INTEGER AS cell, *
            FROM (SELECT DISTINCT officer_id, region, branch FROM placed_loans) ORDER BY cell;
        CREATE TABLE facts_officers AS SELECT officer_id, officer_name, COALESCE(region, '{UNKNOWN}') AS region,
            COALESCE(branch, '{UNKNOWN}') AS branch, primary_channel, TRUE AS listed FROM usable_officers
        UNION ALL SELECT DISTINCT officer_id, NULL, '{UNKNOWN}', '{UNKNOWN}', NULL, FALSE FROM facts_cells
            WHERE officer_id NOT IN (SELECT officer_id FROM usable_officers);
        CREATE TABLE facts_holidays AS SELECT DISTINCT {_day("holiday_date")} AS day FROM usable_holidays ORDER BY day;
        """
    )


def _name_dimension(connection: "DuckDBPyConnection", dimension: str, column: str, source: str) -> None:
    key = dimension.removesuffix("s")
    connection.execute(
        f"CREATE TABLE facts_{dimension} AS "
        f"SELECT (row_number() OVER (ORDER BY name) - 1)::INTEGER AS {key}, name "
        f"FROM (SELECT DISTINCT {column} AS name FROM ({source}) WHERE {column} IS NOT NULL) ORDER BY {key}"
    )


def _key_loans(connection: "DuckDBPyConnection") -> None:
    connection.execute(
        "CREATE TABLE loan_keys AS SELECT loan_id, "
        "(row_number() OVER (ORDER BY disbursement_date, loan_id) - 1)::INTEGER AS loan FROM placed_loans"
    )


def _hold_back_orphans(connection: "DuckDBPyConnection", name: str) -> None:
    key = TABLES[name].identity[0] if name == "repayments" else "loan_id"
    connection.execute(
        f"INSERT INTO held SELECT '{name}', 'orphan', {key} FROM usable_{name} ANTI JOIN loan_keys USING (loan_id)"
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
    return {name: _one(connection, f"SELECT count(*) FROM raw.{name}") for name in FACT_COLUMNS}


def _sums(connection: "DuckDBPyConnection") -> dict[str, int]:
    return {
        name: _one(connection, f"SELECT sum({_minor(column)}) FROM raw.{name}")
        for name, column in MONEY_SUMS.items()
    }


def _one(connection: "DuckDBPyConnection", query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def _held(connection: "DuckDBPyConnection") -> dict[tuple[str, str], int]:
    rows = connection.execute(
        "SELECT table_name, rule, count(*) FROM held GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return {(table, rule): count for table, rule, count in rows}


def _findings(connection: "DuckDBPyConnection") -> dict[str, int]:
    """Odd but usable rows that show without any day."""
    due = "COALESCE(principal_due, 0) + COALESCE(interest_due, 0) + COALESCE(fee_due, 0)"
    kept = "usable_loan_schedule SEMI JOIN loan_keys USING (loan_id)"
    queries = {
        "schedule_total_mismatch": f"SELECT count(*) FROM {kept} WHERE total_due <> {due}",
        "principal_mismatch": (
            f"SELECT count(*) FROM (SELECT loan_id, sum(COALESCE(principal_due, 0)) AS scheduled "
            f"FROM {kept} GROUP BY loan_id HAVING sum({due}) > 0) "
            "JOIN placed_loans USING (loan_id) WHERE scheduled <> loan_amount"
        ),
        "unsplit_payment": (
            f"SELECT count(*) FROM usable_repayments SEMI JOIN loan_keys USING (loan_id) "
            f"WHERE payment_amount > 0 AND {tables.PARTS_GIVEN} = 0"
        ),
    }
    return {name: found for name, query in queries.items() if (found := _one(connection, query))}
