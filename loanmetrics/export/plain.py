"""Files for machines: CSV, which is the plain table, and Parquet, which carries what it is in its metadata."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from loanmetrics.export.about import About, ColumnAbout
from loanmetrics.export.values import TYPES, harmless, typed

TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"


def csv(path: Path, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout], about: About) -> None:
    """The table alone: what it is goes beside it (``About.as_headers``)."""
    empty = pl.DataFrame(schema={column.name: TYPES[column.kind] for column in columns})
    with path.open("wb") as file:
        empty.write_csv(file)
        for batch in batches:
            harmless(typed(batch, columns)).write_csv(file, include_header=False, datetime_format=TIME)


def parquet(
    path: Path, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout], about: About
) -> None:
    """Typed columns; title, run, day, filters and definitions are key-value metadata of the file."""
    schema = _schema(columns).with_metadata(about.as_metadata(columns))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(typed(batch, columns).to_arrow().cast(schema))


def _schema(columns: Sequence[ColumnAbout]) -> pa.Schema:
    empty = pl.DataFrame(schema={column.name: TYPES[column.kind] for column in columns}).to_arrow()
    fields = zip(empty.schema, columns, strict=True)
    return pa.schema(
        field.with_type(_narrow(field.type)).with_metadata({"title": column.title, "about": column.about})
        for field, column in fields
    )


def _narrow(kind: pa.DataType) -> pa.DataType:
    """Text as every reader knows it."""
    return pa.string() if kind in (pa.large_string(), pa.string_view()) else kind
