"""Ways into the engine for tests: from plain rows, in shards of any size, in any row order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.facts import lake, prepare, raw
from loanmetrics.policy import Policy
from loanmetrics.tables import FACT_COLUMNS, TABLES, facts_only

SAMPLE = Path(__file__).parent.parent / "data" / "sample"
SAMPLE_DAY = date(2026, 6, 30)
POLARS_TYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "date": pl.Date(),
    "int": pl.Int32(),
    "bigint": pl.Int64(),
    "money": pl.Decimal(18, 2),
    "rate": pl.Decimal(9, 6),
    "bool": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
}
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def frames(rows: Rows) -> dict[str, pl.DataFrame]:
    """Typed frames of the engine's columns."""
    made = {}
    for name in FACT_COLUMNS:
        columns = {column.name: POLARS_TYPES[column.kind] for column in facts_only(TABLES[name]).columns}
        made[name] = pl.DataFrame(
            [{key: row.get(key) for key in columns} for row in rows.get(name, ())], schema=columns
        )
    return made


def prepared(tables: Mapping[str, pl.DataFrame], policy: Policy) -> tuple[Facts, prepare.Intake]:
    """Facts from frames, as the notebook makes them."""
    connection = raw.connect()
    # Threads cost small books more than they give.
    connection.execute("SET threads = 1")
    raw.from_frames(connection, tables)
    intake = prepare.prepare(connection, policy)
    facts = lake.in_memory(connection)
    connection.close()
    return facts, intake


def book_of(
    rows: Rows, as_of: date, policy: Policy, frozen: Sequence[Mapping[str, Any]] = ()
) -> tuple[Book, prepare.Intake]:
    """A book from plain rows, with frozen PAR15 rows of ``par15_snapshots``."""
    facts, intake = prepared(frames(rows), policy)
    return Book(replace(facts, par15=_frozen(frozen)) if frozen else facts, as_of, policy), intake


def _frozen(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "snapshot_day": [(row["snapshot_date"] - date(1970, 1, 1)).days for row in rows],
            **{name: [row[name] for row in rows] for name in ("officer_id", "region", "branch")},
            "exposure": [int(row["par15_exposure"] * 100) for row in rows],
            "loans": [row["par15_count"] for row in rows],
        }
    )


@cache
def sample_facts() -> Facts:
    """The sample's facts under the default policy."""
    connection = raw.connect()
    raw.from_folder(connection, SAMPLE)
    prepare.prepare(connection, Policy())
    return lake.in_memory(connection)


def resharded(facts: Facts, size: int) -> Facts:
    """The same facts in shards of ``size`` loans."""
    loans = pl.concat([shard.loans for shard in facts.shards])
    schedule = pl.concat([shard.schedule for shard in facts.shards])
    repayments = pl.concat([shard.repayments for shard in facts.shards])
    count = loans.select(pl.len()).collect().item()
    cuts = [pl.col("loan").is_between(start, start + size - 1) for start in range(0, count, size)]
    shards = [Shard(loans.filter(cut), schedule.filter(cut), repayments.filter(cut)) for cut in cuts]
    return replace(facts, shards=tuple(shards))


def shuffled(facts: Facts, seed: int) -> Facts:
    """The same facts, every shard's rows in another order."""
    stirred = [
        Shard(_stir(shard.loans, seed), _stir(shard.schedule, seed), _stir(shard.repayments, seed))
        for shard in facts.shards
    ]
    return replace(facts, shards=tuple(stirred))


def _stir(frame: pl.LazyFrame, seed: int) -> pl.LazyFrame:
    return frame.collect().sample(fraction=1.0, shuffle=True, seed=seed).lazy()
