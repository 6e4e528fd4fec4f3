"""What is kept of a row that is held back: whose it is, and what figures it could change at most."""

from typing import TYPE_CHECKING

import polars as pl

from loanmetrics.tables import MINOR_PER_UNIT, RATE_SCALE, UNASSIGNED, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = {
    "table_name": "VARCHAR",
    "rule": "VARCHAR",
    "row_key": "VARCHAR",
    "loan_id": "VARCHAR",
    "amount": "BIGINT",
    "stake": "BIGINT",
    "officer_id": "VARCHAR",
}
# Those of versions made before the others were kept.
OLDER = ("stake", "officer_id")
MONEY_SUMS = {"loans": "loan_amount", "loan_schedule": "principal_due", "repayments": "payment_amount"}
# A sum of a few such amounts is still one of 64 bits.
MOST = 10**18
PARTS = ("principal_paid", "interest_paid", "fees_paid", "penalty_paid")


def create(connection: "DuckDBPyConnection", name: str) -> None:
    """An empty table of rows held back."""
    connection.execute(f"CREATE TABLE {name} ({', '.join(f'{it} {kind}' for it, kind in COLUMNS.items())})")


def about(table: Table) -> str:
    """SQL for what is kept of a row beside its table and rule: see ``COLUMNS``."""
    named = [name if name in table.names else "NULL" for name in ("loan_id",)]
    amount = any_minor(MONEY_SUMS[table.name]) if table.name in MONEY_SUMS else "0"
    officer = f"COALESCE(officer_id, '{UNASSIGNED}')" if "officer_id" in table.names else "NULL"
    return ", ".join([row_key(table), *named, amount, _stake(table), officer])


def row_key(table: Table, prefix: str = "") -> str:
    """SQL (both engines) for the identity of a row as text."""
    return " || '/' || ".join(f"COALESCE(CAST({prefix}{name} AS TEXT), '')" for name in table.identity)


def any_minor(column: str) -> str:
    """Minor units of an amount that may be larger than any that is used."""
    return f"(COALESCE({column}, 0)::DECIMAL(24,2) * {MINOR_PER_UNIT})::BIGINT"


def completed(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows held back, also of a version that did not keep all there is to know: null then."""
    missing = [name for name in OLDER if name not in frame.columns]
    kinds = {"stake": pl.Int64(), "officer_id": pl.String()}
    return frame.with_columns(pl.lit(None, kinds[name]).alias(name) for name in missing)


def _stake(table: Table) -> str:
    """All the money that a row speaks of, with the interest of a whole term."""
    match table.name:
        case "loans":
            scaled = f"(COALESCE(interest_rate, 0) * {RATE_SCALE})::BIGINT::HUGEINT"
            days = f"365 * {RATE_SCALE}::HUGEINT"
            whole = f"{_money('loan_amount')} * abs({scaled} * COALESCE(loan_term_days, 0))"
            interest = f"({whole} + {days} - 1) // ({days})"
            parts = [_money("loan_amount"), _money("fee_amount"), interest]
        case "loan_schedule":
            parts = [_money(name) for name in ("principal_due", "interest_due", "fee_due")]
        case "repayments":
            split = " + ".join(map(_money, PARTS))
            parts = [f"greatest({_money('payment_amount')}, {split})", _money("waiver_amount")]
        case _:
            return "0"
    return f"least({MOST}, {' + '.join(parts)})::BIGINT"


def _money(column: str) -> str:
    return f"abs({any_minor(column)}::HUGEINT)"
