"""Cells of a sheet as XML, a column at a time. What a sheet cannot hold as a number or date stays exact, as text."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from loanmetrics.export.about import ColumnAbout

NUMBER = "number of the row"
LONGEST_TEXT = 32_767
FEWEST_UNITS = LONGEST_TEXT // 2  # a letter is one unit of UTF-16 or two
MOST_DIGITS = 10**15  # a cell's number keeps fifteen digits
FIRST_DAY, FIRST_TRUE_DAY = date(1900, 1, 1), date(1900, 3, 1)
DAY_ZERO = 25_569  # 1970-01-01, in days of a sheet
DAY_US = 86_400_000_000
# XML has no way to write these; sheets write their code instead. Text that looks like such a code is one itself then.
CONTROLS = [chr(code) for code in range(32) if chr(code) not in "\t\n"]
CODES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\ufffe": "\ufffd", "\uffff": "\ufffd"}
CODES |= {letter: f"_x{ord(letter):04X}_" for letter in CONTROLS}


def row(columns: Sequence[ColumnAbout], styles: Sequence[tuple[str, str]]) -> pl.Expr:
    """A whole row, of a frame with its ``NUMBER``; ``styles`` holds each column's letter and format."""
    made = [_cell(column, *style) for column, style in zip(columns, styles, strict=True)]
    return pl.concat_str(pl.lit('<row r="'), pl.col(NUMBER), pl.lit('">'), *made, pl.lit("</row>"))


def cut(text: str) -> str:
    """A cell's longest text, in the UTF-16 units that it is counted in, with a sign that there was more."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * LONGEST_TEXT:
        return text
    return units[: 2 * (LONGEST_TEXT - 1)].decode("utf-16-le", "ignore") + "…"


def _cell(column: ColumnAbout, letter: str, style: str) -> pl.Expr:
    """Nothing for null."""
    value, place = pl.col(column.name), pl.concat_str(pl.lit(f'<c r="{letter}'), pl.col(NUMBER))

    def plain(content: pl.Expr, kind: str = "n") -> pl.Expr:
        return pl.concat_str(place, pl.lit(f'" s="{style}" t="{kind}"><v>'), content, pl.lit("</v></c>"))

    def text(content: pl.Expr) -> pl.Expr:
        start, end = '" t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>"
        return pl.concat_str(place, pl.lit(start), content, pl.lit(end))

    match column.kind:
        case "text":
            made = text(_escaped(value))
        case "bool":
            made = plain(value.cast(pl.Int8), "b")
        case "ratio":
            made = pl.when(value.is_finite()).then(plain(value)).otherwise(plain(pl.lit("#NUM!"), "e"))
            made = pl.when(value.is_not_null()).then(made)
        case "date":
            made = pl.when(value >= FIRST_DAY).then(plain(_day(value))).otherwise(text(value.cast(pl.String)))
        case "timestamp":
            written = value.dt.to_string("iso:strict")
            made = pl.when(value.dt.date() >= FIRST_DAY).then(plain(_moment(value))).otherwise(text(written))
        case kind:
            most = MOST_DIGITS // 100 if kind == "money" else MOST_DIGITS
            digits = value.cast(pl.String)
            made = pl.when(value.is_between(-most, most, "none")).then(plain(digits)).otherwise(text(digits))
    return made.fill_null("")


def _escaped(value: pl.Expr) -> pl.Expr:
    """Long texts are rare, and only they are looked at one by one: the others are null there."""
    long = pl.when(value.str.len_chars() > FEWEST_UNITS).then(value)
    short = long.map_elements(cut, pl.String).fill_null(value)
    coded = short.str.replace_all(r"(_x[0-9A-Fa-f]{4}_)", "_x005F$1")
    return coded.str.replace_many(list(CODES), list(CODES.values()))


def _day(value: pl.Expr) -> pl.Expr:
    """Days of a sheet, which believes in a 29 February 1900."""
    days = value.cast(pl.Int32) + DAY_ZERO
    return days - (value < FIRST_TRUE_DAY).cast(pl.Int32)


def _moment(value: pl.Expr) -> pl.Expr:
    days = value.dt.epoch("us").cast(pl.Float64) / DAY_US + DAY_ZERO
    return days - (value.dt.date() < FIRST_TRUE_DAY).cast(pl.Float64)
