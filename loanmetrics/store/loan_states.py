"""The published state of every loan: of a million loans only those that differ are sent.

Each row carries a fingerprint of itself, and what is stored is compared by that. Loans come in parts, of which one at
a time is held, and are compared by the month of their disbursement: the states of ten million would take gigabytes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any

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
OF_DAYS = f"{DAY} >= %s::date AND {DAY} < %s::date"
MONTH = pl.col(DAY).dt.truncate("1mo").alias("month")
MARKS = pl.Schema({"loan_id": pl.String(), FINGERPRINT.name: pl.Int64(), "part": pl.Int32()})

Marks = dict[date, list[pl.DataFrame]]


def replace_loans(
    connection: psycopg.Connection, parts: Sequence[pl.LazyFrame], touched: pl.Series | None
) -> int:
    """Replace the loans whose fingerprint differs from the stored one, of all loans or of the touched ones.

    ``parts`` are the loans that stand. Reading 8 bytes per loan back is several times faster than sending every loan
    to be compared.
    """
    types = column_types(connection, LOAN_STATE.name)
    gone, come = [], []
    for which, given, now in _spans(_marks(parts), touched):
        before = _stored(connection, types, which, given)
        gone.append(before.join(now, on=SAME, how="anti").select("loan_id", DAY))
        come.append(now.join(before, on=SAME, how="anti").select("loan_id", "part"))
    stale, fresh = pl.concat(gone), pl.concat(come)
    _delete(connection, stale)
    for (number,), chosen in fresh.partition_by("part", as_dict=True).items():
        mine = parts[number].filter(pl.col("loan_id").is_in(chosen["loan_id"].implode()))
        copy_in(connection, LOAN_STATE.name, _fingerprinted(mine).sort(DAY, "loan_id"), types)
    return max(len(stale), len(fresh))


def _marks(parts: Sequence[pl.LazyFrame]) -> Marks:
    """Id, fingerprint and part of every loan that stands, by month."""
    found: Marks = defaultdict(list)
    for number, part in enumerate(parts):
        marks = _fingerprinted(part).select(MONTH, *SAME, part=pl.lit(number, pl.Int32))
        for (month,), mine in marks.partition_by("month", as_dict=True, include_key=False).items():
            found[month].append(mine)
    return found


def _spans(marks: Marks, touched: pl.Series | None) -> Iterator[tuple[str, Sequence[Any], pl.DataFrame]]:
    """What to compare at a time: which stored loans, by an SQL condition and its parameters, with which that stand.

    The touched loans all at once; of all loans, those from one month that has any until the next one.
    """
    if touched is not None:
        yield OF_LOANS, [touched.to_list()], pl.concat([MARKS.to_frame(), *chain(*marks.values())])
        return
    months = sorted(marks)
    starts, ends = ["-infinity", *months], [*months, "infinity"]
    standing = chain([list[pl.DataFrame]()], map(marks.pop, months))
    for first, until, now in zip(starts, ends, standing, strict=True):
        yield OF_DAYS, [first, until], pl.concat([MARKS.to_frame(), *now])


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
    connection: psycopg.Connection, types: Mapping[str, str], which: str, given: Sequence[Any]
) -> pl.DataFrame:
    """Id, day of disbursement and fingerprint of some stored loans."""
    kept = {name: types[name] for name in (*SAME, DAY)}
    found = pieces(connection, LOAN_STATE.name, kept, sql.SQL(f"WHERE {which}"), given)
    return pl.concat([schema_of(kept).to_frame(), *found])


def _delete(connection: psycopg.Connection, loans: pl.DataFrame) -> None:
    """Month by month, each loan in its own partition only: in all of them it would take three times as long."""
    for part in loans.sort("loan_id").with_columns(MONTH).partition_by("month"):
        connection.execute(
            f"DELETE FROM loan_state WHERE {DAY} BETWEEN %s AND %s AND {OF_LOANS}".encode(),
            [part[DAY].min(), part[DAY].max(), part["loan_id"].to_list()],
        )
