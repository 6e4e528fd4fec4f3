"""The sample as the oracle reads it, once in each process: that takes seconds."""

from functools import cache

import polars as pl

from loanmetrics.policy import Policy
from loanmetrics.tables import FACT_COLUMNS
from tests import oracle, support


@cache
def tables() -> dict[str, pl.DataFrame]:
    """Its files."""
    files = {name: support.SAMPLE / f"{name}.parquet" for name in FACT_COLUMNS}
    return {name: pl.read_parquet(file) for name, file in files.items() if file.exists()}


@cache
def rows() -> oracle.Raw:
    """Their rows."""
    return {name: table.to_dicts() for name, table in tables().items()}


@cache
def usable() -> oracle.Facts:
    """What the oracle makes of them under the usual policy."""
    return oracle.read(rows(), Policy())
