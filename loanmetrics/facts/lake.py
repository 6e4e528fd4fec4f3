"""Sharded integer files: written once per extraction, read by the engine and by nothing else."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loanmetrics.engine.book import DUE_ORDER, LOAN_ORDER, REPAYMENT_ORDER, Book, Facts, Shard
from loanmetrics.errors import DataError
from loanmetrics.facts.prepare import Intake
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

FORMAT = 1
SHARD_LOANS = 250_000
ORDERS: dict[str, tuple[str, ...]] = {
    "loans": LOAN_ORDER,
    "schedule": DUE_ORDER,
    "repayments": REPAYMENT_ORDER,
}
DIMENSIONS = {
    "cells": "cell",
    "officers": "officer_id",
    "channels": "channel",
    "methods": "method",
    "holidays": "day",
}
PAR15_SCHEMA = (
    "snapshot_day INTEGER, officer_id VARCHAR, region VARCHAR, branch VARCHAR, exposure BIGINT, loans BIGINT"
)
PARQUET = "FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 262144"


def write(
    connection: "DuckDBPyConnection", folder: Path, intake: Intake, shard_loans: int = SHARD_LOANS
) -> None:
    """Write prepared facts to an empty ``folder``; the manifest comes last, so half a folder is never read."""
    folder.mkdir(parents=True, exist_ok=True)
    row = connection.execute("SELECT count(*) FROM loan_keys").fetchone()
    shards = max(1, -(-(row[0] if row else 0) // shard_loans))
    for name, order in ORDERS.items():
        _write_shards(connection, folder, name, ", ".join(order), shards, shard_loans)
    connection.execute(f"CREATE TABLE IF NOT EXISTS facts_par15 ({PAR15_SCHEMA})")
    for name, sorted_by in (*DIMENSIONS.items(), ("par15", "ALL")):
        connection.execute(
            f"COPY (SELECT * FROM facts_{name} ORDER BY {sorted_by}) "
            f"TO '{_quoted(folder / f'{name}.parquet')}' ({PARQUET})"
        )
    _write_manifest(folder, shards, intake)


def _write_shards(
    connection: "DuckDBPyConnection", folder: Path, name: str, order: str, shards: int, size: int
) -> None:
    """One sorted file per loan range; several shards are first split apart, so that each sort stays small."""
    if shards == 1:
        connection.execute(
            f"COPY (SELECT * FROM facts_{name} ORDER BY {order}) TO '{_shard_path(folder, name, 0)}' ({PARQUET})"
        )
        return
    split = folder / f".split-{name}"
    connection.execute(
        f"COPY (SELECT *, loan // {size} AS shard FROM facts_{name}) TO '{_quoted(split)}' "
        "(FORMAT parquet, PARTITION_BY (shard), OVERWRITE)"
    )
    for number in range(shards):
        part = split / f"shard={number}"
        source = (
            f"read_parquet('{_quoted(part)}/*.parquet', hive_partitioning = false)"
            if part.exists()
            else f"(SELECT * FROM facts_{name} LIMIT 0)"
        )
        connection.execute(
            f"COPY (SELECT * FROM {source} ORDER BY {order}) TO '{_shard_path(folder, name, number)}' ({PARQUET})"
        )
    shutil.rmtree(split)


def _shard_path(folder: Path, name: str, number: int) -> str:
    return _quoted(folder / f"{name}-{number:04}.parquet")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _write_manifest(folder: Path, shards: int, intake: Intake) -> None:
    manifest = {
        "format": FORMAT,
        "shards": shards,
        "rows": intake.rows,
        "sums": intake.sums,
        "quarantine": [[table, rule, count] for (table, rule), count in intake.quarantine.items()],
        "findings": intake.findings,
    }
    temporary = folder / "manifest.json.new"
    temporary.write_text(json.dumps(manifest, indent=1))
    temporary.rename(folder / "manifest.json")


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a facts folder."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(f"{folder} holds no facts", "it has no manifest.json; extract or load first")
    found: dict[str, Any] = json.loads(path.read_text())
    if found.get("format") != FORMAT:
        raise DataError(f"{folder} is of facts format {found.get('format')}, not {FORMAT}", "extract again")
    return found


def rows(folder: Path) -> dict[str, int]:
    """Rows of the sharded files by source table."""
    import polars as pl

    facts = open_facts(folder).shards
    names = {"loans": "loans", "loan_schedule": "schedule", "repayments": "repayments"}
    return {
        table: sum(getattr(shard, name).select(pl.len()).collect().item() for shard in facts)
        for table, name in names.items()
    }


def open_facts(folder: Path) -> Facts:
    """The facts of a folder, as lazy scans of its shards."""
    import polars as pl

    def scan(name: str, number: int) -> "pl.LazyFrame":
        return pl.scan_parquet(folder / f"{name}-{number:04}.parquet", glob=False)

    shards = tuple(
        Shard(scan("loans", number), scan("schedule", number), scan("repayments", number), ordered=True)
        for number in range(manifest(folder)["shards"])
    )
    return Facts(
        shards, **{name: pl.read_parquet(folder / f"{name}.parquet") for name in (*DIMENSIONS, "par15")}
    )


def open_book(folder: Path, as_of: date, policy: Policy | None = None) -> Book:
    """The book of a facts folder at one day."""
    return Book(open_facts(folder), as_of, policy or Policy())


def in_memory(connection: "DuckDBPyConnection") -> Facts:
    """Prepared facts as frames, for notebooks: one shard."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS facts_par15 ({PAR15_SCHEMA})")
    frames = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {', '.join(order)}").pl().lazy()
        for name, order in ORDERS.items()
    }
    small = {
        name: connection.sql(f"SELECT * FROM facts_{name} ORDER BY {order}").pl()
        for name, order in DIMENSIONS.items()
    }
    return Facts(
        (Shard(**frames, ordered=True),), **small, par15=connection.sql("SELECT * FROM facts_par15").pl()
    )
