"""From frames of the engine to values for the world: exact decimals, UTC, text that no spreadsheet runs."""

from collections.abc import Sequence

import polars as pl

from loanmetrics.errors import DataError
from loanmetrics.export.about import ColumnAbout
from loanmetrics.tables import MINOR_PER_UNIT

FORMULA_STARTS = "=+-@\t\r\n"
NEGATIVE = r"^-\d+(\.\d+)?([eE][+-]?\d+)?$"
MONEY = pl.Decimal(18, 2)
TYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "date": pl.Date(),
    "int": pl.Int64(),
    "bigint": pl.Int64(),
    "score": pl.Int64(),
    "money": MONEY,
    "rate": pl.Decimal(18, 6),
    "exact": pl.Decimal(38, 12),
    "ratio": pl.Float64(),
    "bool": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
}
WHOLE = ("int", "bigint", "score", "money")


def typed(frame: pl.DataFrame, columns: Sequence[ColumnAbout]) -> pl.DataFrame:
    """These columns in this order, each of its kind's one type whatever the batch holds."""
    return frame.select(_typed(frame[column.name], column) for column in columns)


def _typed(values: pl.Series, column: ColumnAbout) -> pl.Series:
    kind, dtype = TYPES[column.kind], values.dtype
    if column.kind in WHOLE and not (dtype.is_integer() or dtype == pl.Null):
        raise TypeError(f"{column.name}: {column.kind} comes as integers, not as {dtype}")
    try:
        if column.kind == "money":
            return (values.cast(pl.Decimal(38, 2)) / MINOR_PER_UNIT).cast(kind)
        if column.kind == "timestamp" and isinstance(dtype, pl.Datetime):
            return _utc(values, dtype).cast(kind)
        return values.cast(kind)
    except pl.exceptions.InvalidOperationError:
        raise DataError(f"{column.name} holds a value that {kind} cannot hold") from None


def _utc(times: pl.Series, dtype: pl.Datetime) -> pl.Series:
    """Times without a zone are in UTC already."""
    return times.dt.convert_time_zone("UTC") if dtype.time_zone else times.dt.replace_time_zone("UTC")


def harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """Text that a spreadsheet would run as a formula is marked as text.

    >>> harmless(pl.DataFrame({"name": ["=1+1", "Ada", "-0.05"]}))["name"].to_list()
    ["'=1+1", 'Ada', '-0.05']
    """
    text = pl.col(pl.String)
    risky = text.str.head(1).is_in(list(FORMULA_STARTS)) & ~text.str.contains(NEGATIVE)
    return frame.with_columns(pl.when(risky).then(pl.lit("'") + text).otherwise(text).name.keep())
