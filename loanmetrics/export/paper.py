"""Paper to draw on: A4 in a font that has the letters of African and European names, headings, tables, page numbers."""

from collections.abc import Sequence
from datetime import date, datetime
from importlib.resources import as_file, files
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace, TTFFont

from loanmetrics.formatting import FORMS
from loanmetrics.tables import MINOR_PER_UNIT

SANS: Final = "sans"
MARGIN: Final = 14.0
SMALL, PLAIN, LARGE = 7.0, 8.5, 20.0
INK, FAINT, RULE, PALE = (32, 36, 44), (104, 112, 124), (206, 211, 218), (243, 245, 248)
BANDS: Final = {
    "Green": (32, 128, 76),
    "Watch": (176, 124, 0),
    "Amber": (200, 90, 16),
    "Flag": (186, 40, 48),
    "Red": (186, 40, 48),
}
NOTHING: Final = "-"
UNKNOWN: Final = "\ufffd"
BREAK: Final = "\n"


class Paper(FPDF):
    """A document of our looks; ``foot`` stands at the bottom of every page."""

    def __init__(self, title: str, foot: str, made: datetime | None) -> None:
        super().__init__(format="A4")
        self.foot = foot
        for style, name in (("", "DejaVuSansCondensed"), ("B", "DejaVuSansCondensed-Bold")):
            with as_file(files("loanmetrics.export").joinpath("fonts", f"{name}.ttf")) as font:
                self.add_font(SANS, style, font)
        self.set_margin(MARGIN)
        self.set_auto_page_break(True, margin=MARGIN + 4)
        self.set_title(title)
        self.set_creator("loanmetrics")
        self.set_lang("en")
        if made is not None:
            # Of the run, so that the same figures make the same file.
            self.set_creation_date(made)
        self.write_in()
        self.add_page()

    def release(self) -> None:
        """Close the files of the fonts, which the library reads from as it writes."""
        for font in self.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()

    def write_in(self, size: float = PLAIN, *, bold: bool = False, ink: tuple[int, int, int] = INK) -> None:
        """Go on in this size, weight and colour."""
        self.set_font(SANS, "B" if bold else "", size)
        self.set_text_color(*ink)

    def footer(self) -> None:
        """Where the figures come from, and the page."""
        self.set_y(-MARGIN)
        self.write_in(SMALL, ink=FAINT)
        half = self.epw / 2
        self.cell(half, 4, self.fit(self.foot, half), new_x=XPos.RIGHT, new_y=YPos.TOP)
        self.cell(half, 4, f"{self.page_no()} / {{nb}}", align="R")

    def heading(self, text: str, note: str = "", room: float = 30) -> None:
        """A heading that is not left alone at the foot of a page."""
        if self.get_y() + room > self.page_break_trigger:
            self.add_page()
        self.ln(4)
        self.write_in(11, bold=True)
        self.cell(0, 6, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if note:
            self.write_in(SMALL, ink=FAINT)
            self.multi_cell(0, 3.6, self.known(note), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.ln(1)

    def grid(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        widths: Sequence[float],
        right: Sequence[int] = (),
    ) -> None:
        """A table whose head, if it has one, is repeated on every page; columns in ``right`` hold numbers."""
        self.write_in()
        self.set_draw_color(*RULE)
        self.set_fill_color(255)
        self.set_line_width(0.15)
        align: Any = tuple("RIGHT" if place in right else "LEFT" for place in range(len(heads)))
        titled = any(heads)
        with self.table(
            first_row_as_headings=titled,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=tuple(widths),
            headings_style=FontFace(emphasis="BOLD", color=INK, fill_color=PALE, size_pt=SMALL),
            line_height=3.9,
            padding=(0.7, 1.2),
            text_align=align,
            v_align="T",
        ) as table:
            for texts in (heads, *rows) if titled else rows:
                row = table.row()
                for text in texts:
                    style = FontFace(emphasis="BOLD", color=BANDS[text]) if text in BANDS else None
                    row.cell(self.known(text), style=style)

    def known(self, text: str) -> str:
        """The text in letters that the font has; others are shown to be missing."""
        cmap = self.fonts[SANS].cmap  # type: ignore[union-attr]
        printable = (letter if letter.isprintable() or letter == BREAK else " " for letter in text)
        return "".join(it if it == BREAK or ord(it) in cmap else UNKNOWN for it in printable)

    def fit(self, text: str, width: float) -> str:
        """As much of a text as fits, with a sign that there was more."""
        shown = self.known(text)
        while shown and self.get_string_width(shown) > width - 2:
            shown = f"{shown.rstrip('…')[:-1]}…"
        return shown


def said(value: object, kind: str) -> str:
    """A value for people; money comes in minor units.

    >>> said(1234567, "money"), said(0.0312, "ratio"), said(None, "ratio"), said(3100, "bigint")
    ('12,345.67', '3.1 %', '-', '3,100')
    """
    match kind, value:
        case _, None:
            return NOTHING
        case "money", int():
            return (
                f"{value // MINOR_PER_UNIT:,}.{value % MINOR_PER_UNIT:02d}"
                if value >= 0
                else f"-{said(-value, kind)}"
            )
        case (("ratio" | "points"), float() | int()):
            return FORMS[kind].write(value)
        case _, bool():
            return "yes" if value else "no"
        case _, int():
            return f"{value:,}"
        case _, date():
            return value.isoformat()
    return str(value)
