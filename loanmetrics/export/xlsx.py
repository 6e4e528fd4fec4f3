"""A workbook for people: the table on one sheet, on the next what it is and what its columns mean."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from loanmetrics.errors import UsageError
from loanmetrics.export.about import About, ColumnAbout
from loanmetrics.export.values import harmless, typed

MOST_ROWS = 1_048_575  # a sheet has 1,048,576, one of which is the header
LONGEST_TEXT = 32_767
MOST_DIGITS = 10**15  # a cell's number keeps fifteen digits
FIRST_YEAR = 1900
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

Put = Callable[[int, int, Any], None]


def check_fits(rows: int) -> None:
    """UsageError if a sheet cannot hold so many rows."""
    if rows > MOST_ROWS:
        raise UsageError(
            f"a sheet holds {MOST_ROWS:,} rows, and these are more", "export them as CSV or Parquet"
        )


def write(path: Path, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout], about: About) -> None:
    """One sheet ``Data`` and one sheet ``About``; times are in UTC, as the About sheet says."""
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("xlsxwriter is not installed", INSTALL) from None

    options = {"constant_memory": True, "nan_inf_to_errors": True}
    with (
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".xlsx-") as folder,
        xlsxwriter.Workbook(str(path), {**options, "tmpdir": folder}) as book,
    ):
        book.set_properties({"title": about.title, "created": _created(about)})
        _data(book, batches, columns)
        _about(book, about, columns)


def _data(book: Any, batches: Iterable[pl.DataFrame], columns: Sequence[ColumnAbout]) -> None:
    sheet, bold = book.add_worksheet("Data"), book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(columns):
        sheet.set_column(place, place, max(12, len(column.name) + 2))
        sheet.write_string(0, place, column.name, bold)
    puts = [_put(book, sheet, column.kind) for column in columns]
    row = 0
    for batch in batches:
        check_fits(row + len(batch))
        for values in harmless(_local(typed(batch, columns))).iter_rows():
            row += 1
            for place, value in enumerate(values):
                if value is not None:
                    puts[place](row, place, value)


def _local(frame: pl.DataFrame) -> pl.DataFrame:
    """A sheet's times have no zone."""
    return frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))


def _put(book: Any, sheet: Any, kind: str) -> Put:
    """How a cell of this kind is written. What a sheet cannot hold as a number or date stays exact, as text."""
    form = book.add_format({"num_format": FORMATS[kind]}) if kind in FORMATS else None
    text = sheet.write_string

    def number(row: int, place: int, value: Any) -> None:
        if abs(value) * (100 if kind == "money" else 1) < MOST_DIGITS:
            sheet.write_number(row, place, value, form)
        else:
            text(row, place, str(value))

    def when(row: int, place: int, value: date) -> None:
        if value.year >= FIRST_YEAR:
            sheet.write_datetime(row, place, value, form)
        else:
            text(row, place, value.isoformat())

    def words(row: int, place: int, value: str) -> None:
        text(row, place, value if len(value) <= LONGEST_TEXT // 2 else _cut(value))

    puts: dict[str, Put] = {
        "text": words,
        "bool": sheet.write_boolean,
        "date": when,
        "timestamp": when,
        "ratio": lambda row, place, value: sheet.write_number(row, place, value, form),
    }
    return puts.get(kind, number)


def _cut(text: str) -> str:
    """A cell's longest text, in the UTF-16 units that it is counted in, with a sign that there was more."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * LONGEST_TEXT:
        return text
    return units[: 2 * (LONGEST_TEXT - 1)].decode("utf-16-le", "ignore") + "…"


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
            sheet.write_string(row, place, _cut(value), bold if row == len(told) + len(notes) + 1 else None)


def _created(about: About) -> datetime | None:
    """The run's time, so that the same figures give the same file."""
    return about.calculated_at if isinstance(about.calculated_at, datetime) else None
