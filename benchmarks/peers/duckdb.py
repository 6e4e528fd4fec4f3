"""DuckDB as a peer: the referee's SQL on the prepared Parquet files, or on tables already in memory."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from loanmetrics import referee
from loanmetrics.policy import Policy

Run = Callable[[], pl.DataFrame]


def on_parquet(folder: Path, as_of: date, policy: Policy) -> Run:
    """Every run opens the files anew, as our engine does."""
    return lambda: referee.cells(folder, as_of, policy)


def in_memory(folder: Path, as_of: date, policy: Policy) -> Run:
    """Loading is not part of a run."""
    files = duckdb.connect()
    referee.scan(files, folder)
    connection = duckdb.connect()
    for name in (*referee.SHARDED, *referee.SINGLE):
        connection.register("loading", files.sql(f"FROM {name}").to_arrow_table())
        connection.execute(f"CREATE TABLE {name} AS FROM loading")
        connection.unregister("loading")
    files.close()
    return lambda: referee.cells(connection, as_of, policy)
