"""A table for people, as HTML that needs no style sheet and suits light and dark pages, or as plain text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

# Of middling lightness: they are told apart on white and on black.
BAND_COLOURS = {
    "Green": "#2e9e5b",
    "Watch": "#c08a12",
    "Amber": "#d9691c",
    "Flag": "#d64545",
    "Red": "#d64545",
}
DOT = "\u25cf"
TABLE = "color:inherit;border-collapse:collapse;border:none;font-variant-numeric:tabular-nums"
RULE = "1px solid rgba(128,128,128,0.5)"
LONGEST_LINE = 40
QUIET = "opacity:0.7;font-size:90%"


@dataclass(frozen=True)
class Column:
    """One column, its cells as text. ``band``: the cells are bands. ``shades``: how dark each cell is, 0 to 1.

    ``meanings`` are told of a cell when it is pointed at, ``about`` of the column.
    """

    name: str
    cells: Sequence[str]
    right: bool = False
    unit: str = ""
    about: str = ""
    band: bool = False
    shades: Sequence[float] = ()
    meanings: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """Columns of equal length, with a line above and one below."""

    columns: Sequence[Column]
    caption: str = ""
    note: str = ""

    def html(self) -> str:
        """The table as HTML; every text in it is escaped."""
        caption = _said("caption", self.caption, "caption-side:top;text-align:left;padding:0 0 4px")
        head = "".join(map(_head, self.columns))
        rows = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*map(_cells, self.columns), strict=True))
        table = f'<table style="{TABLE}">{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        return f'<div style="overflow-x:auto;margin:0 0 1em">{table}</div>{_said("p", self.note, QUIET)}'

    def text(self) -> str:
        """The table as lines of text."""
        shown = [[column.name, *column.cells] for column in self.columns]
        widths = [max(map(len, cells)) for cells in shown]
        lines = [
            "  ".join(
                cell.rjust(width) if column.right else cell.ljust(width)
                for cell, width, column in zip(row, widths, self.columns, strict=True)
            ).rstrip()
            for row in zip(*shown, strict=True)
        ]
        return "\n".join(line for line in (self.caption, *lines, self.note) if line)


def coloured(band: str) -> str:
    """A band with its dot, as HTML."""
    colour = BAND_COLOURS.get(band)
    dot = f'<span style="color:{colour}">{DOT}</span> ' if colour else ""
    return f"{dot}{escape(band)}"


def paragraph(text: str, band: str = "") -> str:
    """A line of text, and a band after it, as HTML."""
    return f"<p>{escape(text)}{' ' + coloured(band) if band else ''}</p>"


def code(text: str) -> str:
    """A formula, as HTML that breaks where it must."""
    return f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'


def _said(tag: str, text: str, style: str) -> str:
    return f'<{tag} style="{style}">{escape(text)}</{tag}>' if text else ""


def _head(column: Column) -> str:
    side = "right" if column.right else "left"
    title = f' title="{escape(column.about)}"' if column.about else ""
    unit = f'<br><span style="{QUIET};font-weight:normal">{escape(column.unit)}</span>' if column.unit else ""
    style = f"text-align:{side};vertical-align:bottom;border-bottom:{RULE};padding:2px 10px"
    return f'<th scope="col" style="{style}"{title}>{escape(column.name)}{unit}</th>'


def _cells(column: Column) -> Iterator[str]:
    side = "right" if column.right else "left"
    for cell, shade, meaning in zip_longest(column.cells, column.shades, column.meanings):
        style = f"text-align:{side};padding:2px 10px"
        if len(cell or "") <= LONGEST_LINE:
            style += ";white-space:nowrap"
        if shade:
            style += f";background:rgba(128,128,128,{0.5 * shade:.2f})"
        title = f' title="{escape(meaning)}"' if meaning else ""
        yield f'<td style="{style}"{title}>{coloured(cell) if column.band else escape(cell)}</td>'
