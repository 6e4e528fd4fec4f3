"""Prepared facts -> a first version: one sorted file per table and range of loans."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loanmetrics.facts import records
from loanmetrics.facts.lake import ORDERS, PARQUET, SMALL_ORDERS, Lake
from loanmetrics.facts.prepare import Intake
from loanmetrics.facts.quoting import files_like, literal
from loanmetrics.facts.version import ShardFiles, Version
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHARD_LOANS = 200_000


def write(
    connection: "DuckDBPyConnection",
    lake: Lake,
    run_id: str,
    policy: Policy,
    intake: Intake,
    shard_loans: int = SHARD_LOANS,
    **about: Any,
) -> Version:
    """Write prepared facts, all of them; the caller keeps the version's manifest."""
    lake.folder.mkdir(parents=True, exist_ok=True)
    loans = _count(connection, "loan_keys")
    shards = max(1, -(-loans // shard_loans))
    for kind, order in ORDERS.items():
        _write_shards(connection, lake, run_id, kind, order, shards, shard_loans)
    small = write_small(connection, lake, run_id)
    names = [f"{run_id}-{number:04}" for number in range(shards)]
    starts = range(0, max(1, loans), shard_loans)
    stops = [min(start + shard_loans, loans) for start in starts]
    return Version(
        run_id=run_id,
        policy=policy.as_dict(),
        shards=tuple(
            ShardFiles(name, stop - start, start, stop - 1)
            for name, start, stop in zip(names, starts, stops, strict=True)
        ),
        small=small,
        next_loan=loans,
        rows=intake.rows,
        sums=intake.sums,
        **about,
    )


def write_small(connection: "DuckDBPyConnection", lake: Lake, run_id: str) -> dict[str, str]:
    """Write the small tables of a whole extraction; returns their files."""
    records.expect(connection)
    tables = {name: f"SELECT * FROM facts_{name} ORDER BY {order}" for name, order in SMALL_ORDERS.items()}
    tables |= {
        "cells": "SELECT cell, officer_id, region, branch, count(loan) AS loans FROM facts_cells "
        f"LEFT JOIN read_parquet({files_like(lake.folder, f'loans-{run_id}-*.parquet')}) USING (cell) "
        "GROUP BY ALL ORDER BY cell",
        "gone": "SELECT 0::INTEGER AS loan WHERE false",
        "held": "SELECT * FROM held ORDER BY ALL",
        "odd": "SELECT * FROM odd ORDER BY ALL",
    }
    for name, query in tables.items():
        path = lake.path(f"{name}-{run_id}.parquet")
        connection.execute(f"COPY ({query}) TO {literal(path)} ({PARQUET})")
    return {name: f"{name}-{run_id}.parquet" for name in tables}


def _count(connection: "DuckDBPyConnection", relation: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0


def _write_shards(
    connection: "DuckDBPyConnection",
    lake: Lake,
    run_id: str,
    kind: str,
    order: str,
    shards: int,
    size: int,
) -> None:
    """One sorted file per loan range; several shards are first split apart, so that each sort stays small."""
    if shards == 1:
        _write_sorted(connection, f"facts_{kind}", order, lake.path(f"{kind}-{run_id}-0000.parquet"))
        return
    split = lake.path(f".split-{kind}-{run_id}")
    connection.execute(
        f"COPY (SELECT *, loan // {size} AS shard FROM facts_{kind}) TO {literal(split)} "
        "(FORMAT parquet, PARTITION_BY (shard), OVERWRITE)"
    )
    for number in range(shards):
        part = split / f"shard={number}"
        source = (
            f"read_parquet({files_like(part, '*.parquet')}, hive_partitioning = false)"
            if part.exists()
            else f"(SELECT * FROM facts_{kind} LIMIT 0)"
        )
        _write_sorted(connection, source, order, lake.path(f"{kind}-{run_id}-{number:04}.parquet"))
    shutil.rmtree(split)


def _write_sorted(connection: "DuckDBPyConnection", source: str, order: str, path: Path) -> None:
    connection.execute(f"COPY (SELECT * FROM {source} ORDER BY {order}) TO {literal(path)} ({PARQUET})")
