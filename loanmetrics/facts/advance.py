"""The next version of the facts from the last one and the loans that changed since.

Every changed loan is taken out whole and put in whole: its old key is retired, its rows as they are now stand under
a new key in the newest shard. Nothing else is written again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from loanmetrics.engine.book import Shard
from loanmetrics.facts.disk import write_parquet
from loanmetrics.facts.extract import Source
from loanmetrics.facts.held import MONEY_SUMS, completed
from loanmetrics.facts.lake import (
    LEDGER,
    ORDERS,
    SMALL_ORDERS,
    SOURCE_TABLES,
    Lake,
    inhabited,
)
from loanmetrics.facts.prepare import Intake, Known
from loanmetrics.facts.version import SHARDED, ShardFiles, Version
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MONEY = {"loans": "amount", "schedule": "principal", "repayments": "amount"}
WHOLE = ("officers", "holidays", LEDGER)
# A shard of fewer loans than this share of a full one is small; so many small ones are made into one.
SMALL_SHARE = 4
SMALL_SHARDS = 8


@dataclass(frozen=True)
class Rows:
    """The rows of some loans, collected."""

    loans: pl.DataFrame
    schedule: pl.DataFrame
    repayments: pl.DataFrame

    @property
    def shard(self) -> Shard:
        """The same rows as a shard of their own."""
        return Shard(self.loans.lazy(), self.schedule.lazy(), self.repayments.lazy(), ordered=True)


@dataclass(frozen=True)
class Advanced:
    """A new version, and the touched loans as they stood before and as they stand now.

    ``source`` is what the source holds: that of the touched loans as it counted them, and of the others, whose rows
    did not change, what it held before.
    """

    version: Version
    before: Rows
    now: Rows
    source: Source


def known(lake: Lake, version: Version) -> Known:
    """The integers that a version gave out."""
    return Known(
        cells=lake.small(version, "cells").drop("loans"),
        channels=lake.small(version, "channels"),
        methods=lake.small(version, "methods"),
        next_loan=version.next_loan,
    )


def rows_of(lake: Lake, version: Version, loan_ids: pl.Series) -> Rows:
    """All rows of some loans in one version."""
    shards = list(lake.shards(version))
    scans = [pl.concat([getattr(shard, kind) for shard in shards]) for kind in SHARDED]
    if not len(loan_ids):
        return Rows(*pl.collect_all([scan.head(0) for scan in scans]))
    loans = scans[0].filter(pl.col("loan_id").is_in(loan_ids.implode())).collect()
    mine = pl.col("loan").is_in(loans["loan"].implode())
    schedule, repayments = pl.collect_all([scan.filter(mine) for scan in scans[1:]])
    return Rows(_ordered(loans, "loans"), _ordered(schedule, "schedule"), _ordered(repayments, "repayments"))


def coupled(
    lake: Lake, version: Version, before: Rows, held: pl.DataFrame, fresh: pl.Series
) -> frozenset[str]:
    """Other loans that share a repayment id with the touched ones: what is kept of them may change too.

    An id is kept once: of those kept for the touched loans, other loans have none but what is held back.
    """
    kept = before.repayments["repayment_id"]
    ids = pl.concat([fresh, kept, held["row_key"]]).unique()
    shared = pl.col("repayment_id").is_in(ids.filter(~ids.is_in(kept.implode())).implode())
    shards = list(lake.shards(version))
    keys = pl.concat([shard.repayments.filter(shared).select("loan").unique() for shard in shards]).collect()[
        "loan"
    ]
    others = keys.filter(~keys.is_in(before.loans["loan"].implode()))
    named = pl.concat([shard.loans for shard in shards]).filter(pl.col("loan").is_in(others.implode()))
    waiting = lake.small(version, "held").filter(
        (pl.col("table_name") == "repayments") & pl.col("row_key").is_in(ids.implode())
    )
    return frozenset((*named.select("loan_id").collect()["loan_id"], *waiting["loan_id"].drop_nulls()))


def held_of(lake: Lake, version: Version, loan_ids: pl.Series) -> pl.DataFrame:
    """Rows of some loans that a version holds back."""
    return lake.small(version, "held").filter(pl.col("loan_id").is_in(loan_ids.implode()))


def advance(
    connection: "DuckDBPyConnection",
    lake: Lake,
    last: Version,
    run_id: str,
    loan_ids: Collection[str],
    before: Rows,
    intake: Intake,
    counted: Source,
    policy: Policy,
    shard_loans: int,
    **about: Any,
) -> Advanced:
    """Write the version that follows ``last``, from the prepared rows of ``loan_ids`` and the whole small tables.

    ``before`` are the rows of these loans in ``last``; ``counted`` is what the source says it holds of them now.
    """
    touched = pl.Series("loan_id", sorted(loan_ids), dtype=pl.String)
    now = _prepared(connection)
    held = held_of(lake, last, touched)
    shards = _with_newest(lake, last, run_id, before, now, shard_loans)
    small = _write_small(connection, lake, last, run_id, before, now, touched)
    rows, sums = _totals(last, before, held, intake.rows, intake.sums)
    source = Source(*_totals(last, before, held, counted.rows, counted.sums))
    version = Version(
        run_id=run_id,
        policy=policy.as_dict(),
        shards=shards,
        small=small,
        next_loan=last.next_loan + len(now.loans),
        rows=rows,
        sums=sums,
        stored=last.stored,
        **about,
    )
    return Advanced(version, before, now, source)


def _prepared(connection: "DuckDBPyConnection") -> Rows:
    return Rows(
        *(connection.sql(f"SELECT * FROM facts_{kind} ORDER BY {ORDERS[kind]}").pl() for kind in SHARDED)
    )


def _ordered(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    return frame.sort(ORDERS[kind].split(", "))


def _with_newest(
    lake: Lake, last: Version, run_id: str, before: Rows, now: Rows, shard_loans: int
) -> tuple[ShardFiles, ...]:
    """The last shards and one more of what changed; many small shards become one."""
    if not len(now.loans):
        return last.shards
    small = [shard for shard in last.shards if shard.loans < shard_loans // SMALL_SHARE]
    small = small if len(small) >= SMALL_SHARDS else []
    gone = lake.small(last, "gone")["loan"]
    taken_in = [*(_without(lake, last, shard, gone, before) for shard in small), now]
    parts = {kind: _ordered(pl.concat([getattr(rows, kind) for rows in taken_in]), kind) for kind in SHARDED}
    for kind, frame in parts.items():
        path = lake.path(f"{kind}-{run_id}-0000.parquet")
        write_parquet(frame, path, row_group_size=262_144)
    keys = parts["loans"]["loan"]
    made = ShardFiles(f"{run_id}-0000", len(keys), keys[0], keys[-1])
    return (*(shard for shard in last.shards if shard not in small), made)


def _without(lake: Lake, last: Version, files: ShardFiles, gone: pl.Series, before: Rows) -> Rows:
    """What still stands of one shard."""
    shard = lake.shard(last, files, pl.concat([gone, before.loans["loan"].cast(gone.dtype)]))
    return Rows(*pl.collect_all([shard.loans, shard.schedule, shard.repayments]))


def _write_small(
    connection: "DuckDBPyConnection",
    lake: Lake,
    last: Version,
    run_id: str,
    before: Rows,
    now: Rows,
    touched: pl.Series,
) -> dict[str, str]:
    tables = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {order}").pl()
        for name, order in SMALL_ORDERS.items()
    }
    tables["cells"] = _counted(lake.small(last, "cells"), tables["cells"], before, now)
    tables["officers"] = _at_work(tables["officers"], inhabited(tables["cells"]))
    gone = lake.small(last, "gone")
    tables["gone"] = pl.concat([gone, before.loans.select(pl.col("loan").cast(gone["loan"].dtype))]).sort(
        "loan"
    )
    tables["held"] = _held(
        completed(lake.small(last, "held")), connection.sql("SELECT * FROM held").pl(), touched
    )
    odd = lake.small(last, "odd")
    stays = odd.filter(~pl.col("loan").is_in(before.loans["loan"].implode()))
    tables["odd"] = pl.concat([stays, connection.sql("SELECT * FROM odd").pl().cast(odd.schema)])
    return {name: write_small_table(lake, last, run_id, name, frame) for name, frame in tables.items()}


def write_small_table(lake: Lake, last: Version | None, run_id: str, name: str, frame: pl.DataFrame) -> str:
    """The file of a small table: the last version's, if it says the same."""
    if last and name in last.small and lake.small(last, name).equals(frame):
        return last.small[name]
    file = f"{name}-{run_id}.parquet"
    write_parquet(frame, lake.path(file))
    return file


def _counted(last: pl.DataFrame, cells: pl.DataFrame, before: Rows, now: Rows) -> pl.DataFrame:
    """All cells ever named, with the loans each holds now."""
    moved = pl.concat(
        [
            last.select("cell", "loans"),
            before.loans.select("cell", loans=pl.lit(-1, pl.Int64)),
            now.loans.select("cell", loans=pl.lit(1, pl.Int64)),
        ]
    )
    counts = moved.group_by("cell").agg(pl.col("loans").sum())
    return cells.join(counts, on="cell", how="left").with_columns(pl.col("loans").fill_null(0)).sort("cell")


def _at_work(officers: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Listed officers, and the others with loans."""
    return officers.filter(pl.col("listed") | pl.col("officer_id").is_in(cells["officer_id"].implode())).sort(
        "officer_id"
    )


def _held(last: pl.DataFrame, fresh: pl.DataFrame, touched: pl.Series) -> pl.DataFrame:
    replaced = pl.col("table_name").is_in(WHOLE) | pl.col("loan_id").is_in(touched.implode()).fill_null(False)
    return pl.concat([last.filter(~replaced), fresh.select(last.columns).cast(last.schema)])


def _totals(
    last: Version, before: Rows, held: pl.DataFrame, rows: Mapping[str, int], sums: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Rows and sums of whole tables: the last ones, with those of the touched loans in place of what they were."""
    all_rows, all_sums = dict(rows), dict(sums)
    for table, kind in SOURCE_TABLES.items():
        frame, back = getattr(before, kind), held.filter(table_name=table)
        all_rows[table] += last.rows[table] - len(frame) - len(back)
        all_sums[table] += last.sums[table] - int(frame[MONEY[kind]].sum()) - int(back["amount"].sum())
    assert set(all_sums) == set(MONEY_SUMS)
    return all_rows, all_sums
