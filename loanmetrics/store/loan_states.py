"""The published state of every loan: of a million loans only those that differ are sent.

Each row carries a fingerprint of itself, and what is stored is compared by that. Loans come in parts, of which one at
a time is held: the states of ten million would take gigabytes.
"""

from collections.abc import Sequence

import polars as pl
import psycopg

from loanmetrics.errors import StoreError
from loanmetrics.store.ddl import FINGERPRINT, TYPES
from loanmetrics.store.frames import DTYPES, column_types, copy_in
from loanmetrics.tables import LOAN_STATE

# A planner that could see the loans would weigh each of them in every partition.
SAME = ["loan_id", FINGERPRINT.name]
OF_LOANS = "WHERE loan_id = ANY ((SELECT %s::text[])::text[])"


def replace_loans(
    connection: psycopg.Connection, parts: Sequence[pl.LazyFrame], touched: pl.Series | None
) -> int:
    """Replace the loans whose fingerprint differs from the stored one, of all loans or of the touched ones.

    ``parts`` are the loans that stand. Reading 8 bytes per loan back is several times faster than sending every loan
    to be compared.
    """
    marks = (_fingerprinted(part).select(*SAME, part=pl.lit(number)) for number, part in enumerate(parts))
    now = pl.concat(marks)
    before = _fingerprints(connection) if touched is None else _fingerprints_of(connection, touched)
    stale = before.join(now, on=SAME, how="anti")["loan_id"]
    fresh = now.join(before, on=SAME, how="anti").select("loan_id", "part")
    del now, before
    if len(stale):
        _delete_loans(connection, stale)
    types = column_types(connection, LOAN_STATE.name)
    for (number,), chosen in fresh.partition_by("part", as_dict=True).items():
        mine = parts[number].filter(pl.col("loan_id").is_in(chosen["loan_id"].implode()))
        copy_in(connection, LOAN_STATE.name, _fingerprinted(mine).sort("disbursement_date", "loan_id"), types)
    return max(len(stale), len(fresh))


def _fingerprinted(part: pl.LazyFrame) -> pl.DataFrame:
    """Hashes depend on types, so these are fixed first.

    Another version of Polars may hash differently: then every loan is rewritten, once.
    """
    given = part.collect_schema().names()
    missing = [name for name in LOAN_STATE.names if name not in given]
    if missing:
        raise StoreError(f"loan state lacks {', '.join(missing)}")
    types = pl.Schema({column.name: DTYPES[TYPES[column.kind]] for column in LOAN_STATE.columns})
    whole = part.select(LOAN_STATE.names).cast(types).collect()
    return whole.with_columns(whole.hash_rows().reinterpret(signed=True).alias(FINGERPRINT.name))


def _fingerprints(connection: psycopg.Connection) -> pl.DataFrame:
    """Stored fingerprints by loan, one array per partition: a million separate rows would take longer."""
    query = "SELECT array_agg(loan_id), array_agg(row_hash) FROM loan_state GROUP BY tableoid"
    schema = {"loan_id": pl.String(), FINGERPRINT.name: pl.Int64()}
    with connection.cursor(binary=True) as cursor:
        parts = [
            pl.DataFrame(dict(zip(schema, row, strict=True)), schema=schema) for row in cursor.execute(query)
        ]
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def _fingerprints_of(connection: psycopg.Connection, loans: pl.Series) -> pl.DataFrame:
    query = f"SELECT loan_id, row_hash FROM loan_state {OF_LOANS}"
    rows = connection.execute(query.encode(), [loans.to_list()]).fetchall()
    return pl.DataFrame(rows, schema={"loan_id": pl.String(), FINGERPRINT.name: pl.Int64()}, orient="row")


def _delete_loans(connection: psycopg.Connection, loans: pl.Series) -> None:
    connection.execute(f"DELETE FROM loan_state {OF_LOANS}".encode(), [loans.to_list()])
