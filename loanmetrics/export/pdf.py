"""The officer's sheet as a PDF: head, figures and what they mean, points per term, ninety days, riskiest loans."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

from fpdf.enums import XPos, YPos

from loanmetrics.export.about import About
from loanmetrics.export.paper import BANDS, FAINT, INK, LARGE, PALE, RULE, SMALL, Paper, said
from loanmetrics.export.sheet import Figure, Line, Sheet

HEIGHT, GUTTER, TICKS = 42.0, 9.0, (0, 20, 40, 60, 80, 100)
INKS = ((36, 84, 160), (196, 110, 24))
LONGEST_FORMULA = 90
GUARD = re.compile(r"NULLIF\((\w+), 0(?:\.0)?\)")
BAR = 46.0


def write(path: Path, sheet: Sheet, about: About) -> None:
    """One sheet, on as many pages as it takes."""
    made = about.calculated_at if isinstance(about.calculated_at, datetime) else None
    paper = Paper(about.title, f"{about.title}, run {about.run_id}", made)
    try:
        for part in (_head, _points, _history, _figures, _loans):
            part(paper, sheet)
        _origin(paper, about)
        paper.output(str(path))
    finally:
        paper.release()


def _head(paper: Paper, sheet: Sheet) -> None:
    top, beside = paper.get_y(), paper.epw - 44
    paper.write_in(LARGE, bold=True)
    paper.cell(beside, 10, paper.fit(sheet.name, beside), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.write_in(10, ink=FAINT)
    paper.cell(beside, 6, paper.fit(sheet.place, beside), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for name, value in sheet.facts:
        paper.write_in(SMALL, ink=FAINT)
        paper.cell(26, 4.2, name)
        paper.write_in(SMALL)
        paper.cell(beside - 26, 4.2, paper.fit(value, beside - 26), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    below = paper.get_y()
    _headline(paper, sheet.headline, top)
    paper.set_y(max(below, top + 26))


def _headline(paper: Paper, figure: Figure, top: float) -> None:
    """The score in a box of its band's colour."""
    left, width = paper.w - paper.r_margin - 40, 40.0
    paper.set_fill_color(*PALE)
    paper.rect(left, top, width, 25, style="F", round_corners=True, corner_radius=2)
    for text, size, bold, ink, down in (
        (figure.title, SMALL, False, FAINT, 2.5),
        (said(figure.value, figure.kind), 26, True, INK, 7.5),
        (figure.band or said(None, ""), 9, True, BANDS.get(figure.band, FAINT), 18),
    ):
        paper.set_xy(left, top + down)
        paper.write_in(size, bold=bold, ink=ink)
        paper.cell(width, size * 0.4, text, align="C")


def _points(paper: Paper, sheet: Sheet) -> None:
    """A row for every term, the costliest first, with a bar of what it lost of its points."""
    if not sheet.points:
        return
    lost = sum(term.lost for term in sheet.points)
    note = f"100 less {lost:.2f} points is {100 - lost:.2f}, before rounding. A sign without evidence costs nothing."
    paper.heading("What the score lost", note)
    paper.set_draw_color(*RULE)
    for term in sorted(sheet.points, key=lambda term: -term.lost):
        y = paper.get_y()
        paper.write_in()
        paper.cell(36, 4.8, paper.fit(term.term, 36))
        left = paper.get_x()
        paper.set_fill_color(*PALE)
        paper.rect(left, y + 1, BAR, 2.8, style="F")
        if term.lost > 0:
            paper.set_fill_color(*BANDS["Red"])
            paper.rect(left, y + 1, BAR * term.lost / term.weight, 2.8, style="F")
        paper.set_x(left + BAR + 2)
        paper.cell(12, 4.8, f"{term.lost:.2f}", align="R")
        paper.write_in(SMALL, ink=FAINT)
        paper.cell(12, 4.8, f"of {term.weight}")
        rest = paper.epw + paper.l_margin - paper.get_x()
        paper.cell(rest, 4.8, paper.fit(_plain(term.share), rest), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _history(paper: Paper, sheet: Sheet) -> None:
    days = sorted({day for line in sheet.lines for day, value in line.days if value is not None})
    if not days:
        return
    span = f"{days[0]} to {days[-1]}, {len(days)} published {'day' if len(days) == 1 else 'days'}"
    paper.heading("The last 90 days", span, room=HEIGHT + 24)
    left, top, width = paper.l_margin + GUTTER, paper.get_y() + 1, paper.epw - GUTTER - 2
    first, length = days[0], max((days[-1] - days[0]).days, 1)

    def place(day: date, value: float) -> tuple[float, float]:
        return left + width * (day - first).days / length, top + HEIGHT * (1 - value / 100)

    _scale(paper, sheet.limits, left, top, width)
    for day, what in sheet.turns.items():
        if first <= day <= days[-1]:
            _turn(paper, place(day, 100), what)
    for line, ink in zip(sheet.lines, INKS, strict=False):
        _draw(paper, line, ink, place)
    paper.write_in(SMALL, ink=FAINT)
    paper.set_xy(left, top + HEIGHT + 0.5)
    paper.cell(width / 2, 4, str(first))
    paper.cell(width / 2, 4, str(days[-1]), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    _legend(paper, sheet.lines, left)


def _scale(paper: Paper, limits: Sequence[tuple[str, float]], left: float, top: float, width: float) -> None:
    """Lines at whole scores, and the limits of the bands in their colours."""
    paper.set_line_width(0.1)
    paper.set_draw_color(*RULE)
    paper.write_in(SMALL, ink=FAINT)
    for tick in TICKS:
        y = top + HEIGHT * (1 - tick / 100)
        paper.line(left, y, left + width, y)
        paper.set_xy(left - GUTTER, y - 2)
        paper.cell(GUTTER - 1, 4, str(tick), align="R")
    for band, limit in limits:
        y = top + HEIGHT * (1 - limit / 100)
        paper.set_draw_color(*BANDS.get(band, RULE))
        paper.set_dash_pattern(dash=1, gap=1)
        paper.line(left, y, left + width, y)
        paper.set_dash_pattern()


def _turn(paper: Paper, at: tuple[float, float], what: str) -> None:
    """A day on which formulas changed."""
    paper.set_draw_color(*INK)
    paper.set_dash_pattern(dash=0.6, gap=0.8)
    paper.line(at[0], at[1], at[0], at[1] + HEIGHT)
    paper.set_dash_pattern()
    paper.write_in(6, ink=INK)
    paper.text(at[0] + 0.8, at[1] + 2.4, paper.known(what))


def _draw(
    paper: Paper, line: Line, ink: tuple[int, int, int], place: Callable[[date, float], tuple[float, float]]
) -> None:
    """A stroke between neighbouring published days, a dot for one that stands alone."""
    paper.set_draw_color(*ink)
    paper.set_fill_color(*ink)
    paper.set_line_width(0.5)
    for stretch in _stretches(line):
        points = [place(day, value) for day, value in stretch]
        for (x, y), (to_x, to_y) in pairwise(points):
            paper.line(x, y, to_x, to_y)
        paper.circle(*points[-1], radius=0.6, style="F")


def _stretches(line: Line) -> Iterator[list[tuple[date, float]]]:
    """Days in a row that have a value."""
    found: list[tuple[date, float]] = []
    for day, value in line.days:
        if value is None:
            if found:
                yield found
            found = []
        else:
            found.append((day, value))
    if found:
        yield found


def _legend(paper: Paper, lines: Sequence[Line], left: float) -> None:
    paper.set_x(left)
    for line, ink in zip(lines, INKS, strict=False):
        paper.set_fill_color(*ink)
        paper.rect(paper.get_x() + 1, paper.get_y() + 1.4, 4, 1.2, style="F")
        paper.set_x(paper.get_x() + 6)
        paper.write_in(SMALL)
        paper.cell(paper.get_string_width(line.name) + 6, 4, line.name)
    paper.ln(4)


def _figures(paper: Paper, sheet: Sheet) -> None:
    paper.heading("Figures", "What each means, and its formula where it is short. A dash: no evidence.")
    rows = [[it.title, said(it.value, it.kind), it.band, _definition(it)] for it in sheet.figures]
    paper.grid(["figure", "value", "band", "what it means"], rows, [40, 27, 16, 99], right=[1])


def _definition(figure: Figure) -> str:
    short = figure.formula and len(figure.formula) <= LONGEST_FORMULA
    return f"{figure.about}\n= {_plain(figure.formula)}" if short else figure.about


def _plain(formula: str) -> str:
    """A formula as people write it: that nothing is divided by nothing goes without saying.

    >>> _plain("backdated_count / NULLIF(total_entries, 0)")
    'backdated_count / total_entries'
    """
    return GUARD.sub(r"\1", formula)


def _loans(paper: Paper, sheet: Sheet) -> None:
    more = f"; {sheet.more:,} more are not shown" if sheet.more else ""
    note = f"Loans on the book by loan risk score, the riskiest first{more}."
    paper.heading("Riskiest loans", note if len(sheet.loans) else "There is no loan on the book.")
    if len(sheet.loans):
        numbers = [place for place, column in enumerate(sheet.columns) if column.kind not in ("text", "date")]
        rows = [
            [said(value, column.kind) for value, column in zip(row, sheet.columns, strict=True)]
            for row in sheet.loans.select(column.name for column in sheet.columns).iter_rows()
        ]
        widths = [22, 40, 27, 19, 24, 24, 13, 13]
        paper.grid([column.title for column in sheet.columns], rows, widths, right=numbers)
        paper.ln(1)
        for column in sheet.columns:
            if column.about:
                paper.write_in(SMALL, ink=FAINT)
                paper.multi_cell(
                    0, 3.6, f"{column.title}: {column.about}", align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
                )


def _origin(paper: Paper, about: About) -> None:
    """Which figures these are: run, day, policy, filters."""
    paper.heading("Where this comes from", room=24)
    rows = [[name.replace("_", " "), value] for name, value in about.rows() if value]
    paper.grid(["", ""], [*rows, ["times", "UTC"], ["money", "in units of the currency"]], [34, 148])
