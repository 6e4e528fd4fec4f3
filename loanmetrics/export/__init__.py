"""Out to the world with what it is: definitions, filters, run, day, time. Tables as CSV, Parquet, XLSX; sheets as PDF.

Rows come in batches and leave in batches, so memory does not grow with them. A file is there whole or not at all.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from loanmetrics.errors import unknown
from loanmetrics.export.about import About, ColumnAbout

__all__ = ["FORMATS", "About", "ColumnAbout", "whole", "write"]

FORMATS = ("csv", "parquet", "xlsx")


class Writer(Protocol):
    """Writes one file."""

    def __call__(
        self, path: Path, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout], about: About
    ) -> None: ...


def write(
    path: Path,
    batches: Iterable[pl.DataFrame],
    columns: Sequence[ColumnAbout],
    about: About,
    format: str,  # noqa: A002
    *,
    rows: int | None = None,
) -> None:
    """Write all rows of ``batches``, these columns in this order; money comes in minor units, leaves as decimals.

    ``rows``, where the caller knows how many there are, lets a sheet that would be too long be refused at once.
    """
    writer = _writer(format, rows)
    whole(path, lambda partial: writer(partial, batches, columns, about))


def whole(path: Path, make: Callable[[Path], None]) -> None:
    """A file that ``make`` writes, there whole or not at all."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        make(Path(partial))
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _writer(name: str, rows: int | None) -> Writer:
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    if name == "xlsx":
        from loanmetrics.export import xlsx

        xlsx.check_fits(rows or 0)
        return xlsx.write
    from loanmetrics.export import plain

    return plain.csv if name == "csv" else plain.parquet
