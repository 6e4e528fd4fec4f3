"""A workbook for people: the table on one sheet, on the next what it is and what its columns mean.

xlsxwriter makes the workbook with a single sample row; the rows themselves are made of it column by column, since a
call per cell takes minutes for a million rows, with the interpreter to itself.
"""

import re
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from loanmetrics.errors import UsageError
from loanmetrics.export import cells
from loanmetrics.export.about import About, ColumnAbout
from loanmetrics.export.values import harmless, typed

MOST_ROWS = 1_048_575  # a sheet has 1,048,576, one of which is the header
AT_ONCE = 2_000
SHEET = "xl/worksheets/sheet1.xml"
SAMPLE_ROW = re.compile(r'<row r="2".*</row>', re.S)
SAMPLE_CELL = re.compile(r'<c r="([A-Z]+)2"(?: s="(\d+)")?')
EXTENT = re.compile(r"<dimension [^>]*/>")
FORMATS = {
    "money": "#,##0.00",
    "ratio": "0.00%",
    "rate": "0.000000",
    "date": "yyyy-mm-dd",
    "timestamp": "yyyy-mm-dd hh:mm:ss",
    "int": "#,##0",
    "bigint": "#,##0",
    "score": "0",
}
INSTALL = "pip install 'loanmetrics[http]'"


def check_fits(rows: int) -> None:
    """UsageError if a sheet cannot hold so many rows."""
    if rows > MOST_ROWS:
        raise UsageError(
            f"a sheet holds {MOST_ROWS:,} rows, and these are more", "export them as CSV or Parquet"
        )


def write(path: Path, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout], about: About) -> None:
    """One sheet ``Data`` and one sheet ``About``; times are in UTC, as the About sheet says."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".xlsx-") as name:
        folder = Path(name)
        empty, rows = folder / "empty.xlsx", folder / "sheet.xml"
        _workbook(empty, columns, about)
        with zipfile.ZipFile(empty) as book:
            _sheet(rows, book.read(SHEET).decode(), batches, columns)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
                for entry in book.infolist():
                    if entry.filename == SHEET:
                        whole.write(rows, SHEET)
                    else:
                        whole.writestr(entry, book.read(entry))


def _sheet(path: Path, sample: str, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout]) -> None:
    head, tail = SAMPLE_ROW.split(EXTENT.sub("", sample))
    styles = [(letter, style or "0") for letter, style in SAMPLE_CELL.findall(sample)]
    row = cells.row(columns, styles)
    count = 0
    with path.open("wb") as file:
        file.write(head.encode())
        for batch in batches:
            check_fits(count + len(batch))
            for part in harmless(typed(batch, columns)).iter_slices(AT_ONCE):
                made = part.with_row_index(cells.NUMBER, count + 2).select(row)
                made.write_csv(file, include_header=False, quote_style="never")
                count += len(part)
        file.write(tail.encode())


def _workbook(path: Path, columns: Sequence[ColumnAbout], about: About) -> None:
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("xlsxwriter is not installed", INSTALL) from None

    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"title": about.title, "created": _created(about)})
        _data(book, columns)
        _about(book, about, columns)


def _data(book: Any, columns: Sequence[ColumnAbout]) -> None:
    """The header, and a row whose cells have each column's format."""
    sheet, bold = book.add_worksheet("Data"), book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(columns):
        form = book.add_format({"num_format": FORMATS[column.kind]}) if column.kind in FORMATS else None
        sheet.set_column(place, place, max(12, len(column.name) + 2))
        sheet.write_string(0, place, column.name, bold)
        sheet.write_number(1, place, 0, form)


def _about(book: Any, about: About, columns: Sequence[ColumnAbout]) -> None:
    sheet, bold = book.add_worksheet("About"), book.add_format({"bold": True})
    sheet.set_column(0, 1, 28)
    sheet.set_column(2, 2, 10)
    sheet.set_column(3, 3, 100)
    told = [(name, value) for name, value in about.rows() if value]
    notes = [("times", "UTC"), ("money", "in units of the currency, two decimals")]
    rows: list[tuple[str, ...]] = [*told, *notes, (), ("column", "title", "kind", "definition")]
    rows += [(column.name, column.title, column.kind, column.about) for column in columns]
    for row, texts in enumerate(rows):
        for place, value in enumerate(texts):
            form = bold if row == len(told) + len(notes) + 1 else None
            sheet.write_string(row, place, cells.cut(value), form)


def _created(about: About) -> datetime | None:
    """The run's time, so that the same figures give the same file."""
    return about.calculated_at if isinstance(about.calculated_at, datetime) else None
