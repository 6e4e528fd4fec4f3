"""What only triggers and runs of ours record beside the lender's tables: whom loans were taken from, and frozen PAR15.

Where the source has no triggers of ours, or does not show what they recorded, nothing is known of reassignments.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from loanmetrics.engine.book import REASSIGNED
from loanmetrics.facts.quoting import COPIED, one_file
from loanmetrics.tables import LOAN_REASSIGNMENTS, UNASSIGNED, UNKNOWN

if TYPE_CHECKING:
    import psycopg
    from duckdb import DuckDBPyConnection

RECORDS: Final = "reassigned"
TABLES: Final = {
    "par15": "snapshot_day INTEGER, officer_id VARCHAR, region VARCHAR, branch VARCHAR, exposure BIGINT, loans BIGINT",
    RECORDS: "record BIGINT, loan_id VARCHAR, officer_id VARCHAR, region VARCHAR, branch VARCHAR, until TIMESTAMPTZ",
}
READABLE = "SELECT has_table_privilege(to_regclass(%s), 'SELECT')"
UNWATCHED = "SELECT EXISTS (SELECT FROM loanmetrics_watched() WHERE source = 'loans' AND trouble IS NOT NULL)"
RECORDED = (
    f"SELECT reassignment_id, loan_id, coalesce(officer_id, '{UNASSIGNED}'), coalesce(region, '{UNKNOWN}'),"
    f" coalesce(branch, '{UNKNOWN}'), reassigned_at FROM {LOAN_REASSIGNMENTS.name} ORDER BY reassignment_id"
)


def expect(connection: "DuckDBPyConnection") -> None:
    """Have a table for each, empty unless something was told."""
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS facts_{name} ({columns})")


def relate(connection: "DuckDBPyConnection", leader: "psycopg.Connection", folder: Path) -> None:
    """Fill ``facts_reassigned`` with what the leader's snapshot shows, by way of a file in ``folder``."""
    from psycopg import sql

    from loanmetrics.store.blocks import into_file

    if not _is_recording(leader):
        return
    path = folder / f"{LOAN_REASSIGNMENTS.name}.csv"
    into_file(leader, sql.SQL(RECORDED), path)
    columns = dict(column.split() for column in TABLES[RECORDS].split(", "))
    connection.execute(
        f"INSERT INTO facts_{RECORDS} FROM read_csv({one_file(path)}, columns = {columns!r}, {COPIED})"
    )
    path.unlink()


def _is_recording(leader: "psycopg.Connection") -> bool:
    """Whether the source shows records, and every partition of the loans has the triggers that make them."""
    if leader.execute(READABLE, [LOAN_REASSIGNMENTS.name]).fetchone() != (True,):
        return False
    return leader.execute(UNWATCHED).fetchone() == (False,)


def known(told: pl.DataFrame | None) -> pl.DataFrame:
    """Records as facts have them; none of a version that was made before there were any."""
    return pl.DataFrame(schema=REASSIGNED) if told is None else told.cast(REASSIGNED)
