"""The published state of every loan: of a million loans only those that differ are sent.

Each row carries a fingerprint of itself, and what is stored is compared by that. Loans come in parts, of which one at
a time is held: the states of ten million would take gigabytes.
"""

from collections.abc import Mapping, Sequence

import polars as pl
import psycopg
from psycopg import sql

from loanmetrics.errors import StoreError
from loanmetrics.store.ddl import FINGERPRINT, TYPES
from loanmetrics.store.frames import column_types, copy_in, pieces, schema_of
from loanmetrics.tables import LOAN_STATE

DAY = "disbursement_date"
SAME = ["loan_id", FINGERPRINT.name]
# A planner that could see the loans would weigh each of them in every partition.
OF_LOANS = "loan_id = ANY ((SELECT %s::text[])::text[])"


def replace_loans(
    connection: psycopg.Connection, parts: Sequence[pl.LazyFrame], touched: pl.Series | None
) -> int:
    """Replace the loans whose fingerprint differs from the stored one, of all loans or of the touched ones.

    ``parts`` are the loans that stand. Reading 8 bytes per loan back is several times faster than sending every loan
    to be compared.
    """
    types = column_types(connection, LOAN_STATE.name)
    marks = (_fingerprinted(part).select(*SAME, part=pl.lit(number)) for number, part in enumerate(parts))
    now = pl.concat(marks)
    before = _stored(connection, types, touched)
    stale = before.join(now, on=SAME, how="anti").select("loan_id", DAY)
    fresh = now.join(before, on=SAME, how="anti").select("loan_id", "part")
    del now, before
    _delete(connection, stale)
    for (number,), chosen in fresh.partition_by("part", as_dict=True).items():
        mine = parts[number].filter(pl.col("loan_id").is_in(chosen["loan_id"].implode()))
        copy_in(connection, LOAN_STATE.name, _fingerprinted(mine).sort(DAY, "loan_id"), types)
    return max(len(stale), len(fresh))


def _fingerprinted(part: pl.LazyFrame) -> pl.DataFrame:
    """Hashes depend on types, so these are fixed first.

    Another version of Polars may hash differently: then every loan is rewritten, once.
    """
    given = part.collect_schema().names()
    missing = [name for name in LOAN_STATE.names if name not in given]
    if missing:
        raise StoreError(f"loan state lacks {', '.join(missing)}")
    types = schema_of({column.name: TYPES[column.kind] for column in LOAN_STATE.columns})
    whole = part.select(LOAN_STATE.names).cast(types).collect()
    return whole.with_columns(whole.hash_rows().reinterpret(signed=True).alias(FINGERPRINT.name))


def _stored(
    connection: psycopg.Connection, types: Mapping[str, str], touched: pl.Series | None
) -> pl.DataFrame:
    """Id, day of disbursement and fingerprint of all stored loans, or of the touched ones."""
    kept = {name: types[name] for name in (*SAME, DAY)}
    if touched is None:
        found = pieces(connection, LOAN_STATE.name, kept, sql.SQL(""))
    else:
        found = pieces(connection, LOAN_STATE.name, kept, sql.SQL(f"WHERE {OF_LOANS}"), [touched.to_list()])
    return pl.concat([schema_of(kept).to_frame(), *found])


def _delete(connection: psycopg.Connection, loans: pl.DataFrame) -> None:
    """Month by month, each loan in its own partition only: in all of them it would take three times as long."""
    months = loans.sort("loan_id").with_columns(month=pl.col(DAY).dt.truncate("1mo"))
    for part in months.partition_by("month"):
        connection.execute(
            f"DELETE FROM loan_state WHERE {DAY} BETWEEN %s AND %s AND {OF_LOANS}".encode(),
            [part[DAY].min(), part[DAY].max(), part["loan_id"].to_list()],
        )
