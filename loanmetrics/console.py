"""How results look: tables for people that fit the screen, plain text when piped, files for machines."""

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from loanmetrics.errors import UsageError, unknown

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console
    from rich.table import Table

FORMATS = ("table", "csv", "json", "parquet")
NOTHING = "-"
BAND_STYLES = {"Green": "green", "Watch": "yellow", "Amber": "dark_orange", "Flag": "red", "Red": "red"}
LEFT = ("text", "date", "bool")
PIPED_WIDTH = 10_000
FORMULA_STARTS = "=+-@\t\r"
# What a table shows first; the rest of a wide row is in the other formats.
HEADLINES = (
    *("rank", "officer_id", "officer_name", "region", "branch", "risk_score", "risk_band", "why"),
    *(
        "active_loans",
        "total_portfolio",
        "overdue_15d_amount",
        "porr",
        "fimr",
        "roll",
        "frr",
        "ayr",
        "dqi",
        "on_time_rate",
    ),
)


def show_frame(
    frame: "pl.DataFrame", kinds: Mapping[str, str], bands: Mapping[str, str], *, columns: Sequence[str] = ()
) -> None:
    """Print a frame as a table: as many headline columns as fit; ``bands`` colours a metric by its band."""
    if frame.is_empty():
        note("nothing to show")
        return
    console = out()
    names = pick(frame, columns).columns if columns else _headlines(frame)
    text = {name: [cell(value, kinds.get(name, "text")) for value in frame[name]] for name in names}
    fitting = names if columns else _fitting(text, console.width)
    _print(console, _table(console, frame, text, fitting, kinds, bands))
    left_out = len(frame.columns) - len(fitting)
    if left_out and not columns:
        note(f"{left_out} more columns: --columns NAME,... or --format csv")


def show_rows(rows: Sequence[Mapping[str, object]], kinds: Mapping[str, str] | None = None) -> None:
    """Print plain rows as a table."""
    console = out()
    if not rows:
        note("nothing to show")
        return
    table = _empty_table(console)
    for name in rows[0]:
        table.add_column(
            name, justify="left" if (kinds or {}).get(name, "text") in LEFT else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*(cell(value, (kinds or {}).get(name, "text")) for name, value in row.items()))
    _print(console, table)


def show_changes(frame: "pl.DataFrame", kinds: Mapping[str, str]) -> None:
    """Print what a run would change: of whom, which figure, from what to what."""
    rows = []
    for change in frame.iter_rows(named=True):
        kind = kinds.get(change["figure"], "text")
        sides = {side: cell(_value(change[side], kind), kind) for side in ("stored", "computed")}
        rows.append({**change, **sides})
    show_rows(rows)


def _value(text: str | None, kind: str) -> object:
    """A figure that was compared as text."""
    if text is None:
        return None
    if kind == "bool":
        return text == "true"
    number = {"money": int, "bigint": int, "int": int, "score": int, "ratio": float}.get(kind)
    return number(text) if number else text


def write_frame(frame: "pl.DataFrame", format_: str, output: Path | None, kinds: Mapping[str, str]) -> None:
    """Write a frame for machines, to a file or to stdout."""
    if format_ == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("parquet is not for terminals", "give --output FILE")
    exact = _exact(frame, kinds)
    target = output or io.BytesIO()
    match format_:
        case "csv":
            _harmless(exact).write_csv(target)
        case "json":
            exact.write_json(target)
        case "parquet":
            exact.write_parquet(target)
        case _:
            raise unknown("format", format_, FORMATS)
    if isinstance(target, io.BytesIO):
        sys.stdout.buffer.write(target.getvalue())


def pick(frame: "pl.DataFrame", columns: Sequence[str]) -> "pl.DataFrame":
    """Only these columns, or all of them when none is named."""
    for name in columns:
        if name not in frame.columns:
            raise unknown("column", name, frame.columns)
    return frame.select(columns) if columns else frame


def cell(value: object, kind: str) -> str:
    """One value for people.

    >>> cell(1234567, "money"), cell(0.0312, "ratio"), cell(None, "ratio"), cell(True, "bool")
    ('12,345.67', '3.1 %', '-', 'yes')
    """
    if value is None:
        return NOTHING
    match kind, value:
        case "money", int():
            return f"{Decimal(value) / 100:,.2f}"
        case "money", _:
            return f"{value:,.2f}"
        case "ratio", float():
            return f"{value * 100:,.1f} %"
        case (("bigint" | "int" | "score"), _):
            return f"{value:,}"
        case "seconds", _:
            return f"{value:,.1f} s"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return str(value)


def out() -> "Console":
    """Stdout: as wide as the terminal, or as the text when piped."""
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, markup=False, soft_wrap=False
    )


def say(line: str) -> None:
    """A result, on stdout."""
    sys.stdout.write(f"{line}\n")


def note(line: str) -> None:
    """Something beside the result, on stderr."""
    sys.stderr.write(f"{line}\n")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal, else silence: call it with (what, done, total)."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total or None
        )


def _print(console: "Console", table: "Table") -> None:
    """Piped text has no blanks at the ends of its lines."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _headlines(frame: "pl.DataFrame") -> list[str]:
    return [name for name in HEADLINES if name in frame.columns] or frame.columns


def _fitting(text: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """The longest beginning of the columns that fits; at least the first two."""
    used, fitting = 0, list[str]()
    for name, cells in text.items():
        used += max(map(len, (name, *cells))) + 2
        if used > width and len(fitting) > 1:
            break
        fitting.append(name)
    return fitting


def _table(
    console: "Console",
    frame: "pl.DataFrame",
    text: Mapping[str, Sequence[str]],
    names: Sequence[str],
    kinds: Mapping[str, str],
    bands: Mapping[str, str],
) -> "Table":
    from rich.text import Text

    table = _empty_table(console)
    for name in names:
        table.add_column(name, justify="left" if kinds.get(name, "text") in LEFT else "right", no_wrap=True)
    styles = {name: _styles(frame, name, bands) for name in names}
    for place in range(frame.height):
        table.add_row(*(Text(text[name][place], style=styles[name][place]) for name in names))
    return table


def _styles(frame: "pl.DataFrame", name: str, bands: Mapping[str, str]) -> list[str]:
    band = name if name in bands.values() else bands.get(name)
    if band not in frame.columns:
        return [""] * frame.height
    return [BAND_STYLES.get(value, "") for value in frame[band]]


def _empty_table(console: "Console") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if console.is_terminal:
        return Table(
            box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0)
        )
    return Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))


def _exact(frame: "pl.DataFrame", kinds: Mapping[str, str]) -> "pl.DataFrame":
    """Minor units as exact decimals, so that a file shows money in units."""
    import polars as pl

    minor = [name for name in frame.columns if kinds.get(name) == "money" and frame[name].dtype.is_integer()]
    return frame.with_columns(pl.col(minor).cast(pl.Decimal(38, 2)) / 100) if minor else frame


def _harmless(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Text that a spreadsheet would run as a formula is marked as text."""
    import polars as pl

    text = pl.col(pl.String)
    risky = text.str.head(1).is_in(list(FORMULA_STARTS))
    return frame.with_columns(pl.when(risky).then(pl.lit("'") + text).otherwise(text).name.keep())
