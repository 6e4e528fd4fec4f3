"""How results look: tables for people that fit the screen, plain text when piped, files for machines."""

import io
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loanmetrics.errors import UsageError, unknown
from loanmetrics.formatting import cell

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console
    from rich.table import Table

    from loanmetrics.export import About, ColumnAbout

FORMATS = ("table", "csv", "json", "parquet")
BRANCH_KEY = " / "
BAND_STYLES = {"Green": "green", "Watch": "yellow", "Amber": "dark_orange", "Flag": "red", "Red": "red"}
LEFT = ("text", "date", "bool")
PIPED_WIDTH = 10_000
PLACE = ("region", "branch")
# What a table shows, the most important first; the rest of a wide row is in the other formats.
HEADLINES = (
    *("rank", "officer_id", "officer_name", "risk_score", "risk_band", "why", *PLACE),
    *("active_loans", "total_portfolio", "overdue_15d_amount", "porr", "fimr", "roll", "frr"),
    *("ayr", "dqi", "on_time_rate"),
)
LOAN_HEADLINES = (
    *("loan_id", "customer_name", "customer_phone", "officer_id", "branch"),
    *("disbursement_date", "loan_amount", "current_dpd", "outstanding_balance"),
    *("arrears_amount", "days_late", "roll_direction", "loan_risk_score"),
)
FATES = ("added", "changed", "removed")
PROSE_WIDTH = 100
INDENT = "    "
MOST_CHANGES = 40


def show_frame(
    frame: "pl.DataFrame",
    kinds: Mapping[str, str],
    bands: Mapping[str, str],
    *,
    columns: Sequence[str] = (),
    asked: Sequence[str] = (),
) -> None:
    """Print a frame as a table: as many headline columns as fit, or else ``columns``, however wide they are.

    ``asked`` columns are never left out: where there is no room beside the first columns, they go below each row.
    ``bands`` colours a metric by its band.
    """
    if frame.is_empty():
        note("nothing to show")
        return
    console = out()
    names = pick(frame, columns).columns if columns else list(dict.fromkeys([*_headlines(frame), *asked]))
    text = {name: [cell(value, kinds.get(name, "text")) for value in frame[name]] for name in names}
    beside = names if columns else _fitting(text, console.width)
    under = [name for name in asked if name not in beside]
    if under:
        beside = _fitting({name: text[name] for name in names if name not in under}, console.width)
    below = [_said(text, under, place) for place in range(frame.height)] if under else []
    _print(console, _table(console, frame, text, beside, kinds, bands), below, whole=True)
    left_out = len(frame.columns) - len(beside) - len(under)
    if left_out and not columns:
        note(f"{left_out} more columns: --columns NAME,... or --format csv")


def show_rows(
    rows: Sequence[Mapping[str, object]],
    kinds: Mapping[str, str] | None = None,
    *,
    below: Sequence[str] = (),
) -> None:
    """Print plain rows as a table; ``below`` holds a text for each, shown on lines of its own."""
    console = out()
    if not rows:
        note("nothing to show")
        return
    table = _empty_table(console)
    for name in rows[0]:
        table.add_column(
            name,
            justify="left" if (kinds or {}).get(name, "text") in LEFT else "right",
            overflow="fold",
            no_wrap=bool(below),
        )
    for row in rows:
        table.add_row(*(cell(value, (kinds or {}).get(name, "text")) for name, value in row.items()))
    _print(console, table, below, whole=bool(below))


def show_changes(frame: "pl.DataFrame", kinds: Mapping[str, str]) -> None:
    """Print what a run would change: rows, then figures, then the first changes of whom from what to what."""
    import polars as pl

    if frame.is_empty():
        note("nothing to show")
        return
    fate = _fate(frame)
    show_rows(_counted(fate), dict.fromkeys(FATES, "bigint"))
    changed = frame.join(fate.filter(pl.col("fate") == "changed"), on="of", maintain_order="left")
    if changed.is_empty():
        return
    say("")
    figures = changed["figure"].value_counts(sort=True).sort("count", "figure", descending=[True, False])
    named = ", ".join(f"{name} {count:,}" for name, count in figures.iter_rows())
    say(textwrap.fill(f"figures changed: {named}", min(out().width, PROSE_WIDTH), subsequent_indent=INDENT))
    say("")
    show_rows([_change(row, kinds) for row in changed.head(MOST_CHANGES).iter_rows(named=True)])
    if len(changed) > MOST_CHANGES:
        note(f"{len(changed) - MOST_CHANGES:,} more changes: --output FILE writes all")


def _fate(frame: "pl.DataFrame") -> "pl.DataFrame":
    """What becomes of each row: counts are never null, so a row whose count appears is new."""
    import polars as pl

    count = pl.col("figure") == "active_loans"
    appears = (count & pl.col("stored").is_null()).any()
    vanishes = (count & pl.col("computed").is_null()).any()
    fate = pl.when(appears).then(pl.lit("added")).when(vanishes).then(pl.lit("removed"))
    return frame.group_by("of", maintain_order=True).agg(fate=fate.otherwise(pl.lit("changed")))


def _counted(fate: "pl.DataFrame") -> list[dict[str, object]]:
    is_branch = fate["of"].str.contains(BRANCH_KEY, literal=True)
    parts = {"officers": fate.filter(~is_branch), "branches": fate.filter(is_branch)}
    return [
        {"rows": what, **{name: int((part["fate"] == name).sum()) for name in FATES}}
        for what, part in parts.items()
    ]


def _change(row: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, object]:
    kind = kinds.get(row["figure"], "text")
    sides = {side: cell(_value(row[side], kind), kind) for side in ("stored", "computed")}
    return {"of": row["of"], "figure": row["figure"], **sides}


def in_units(changes: "pl.DataFrame", kinds: Mapping[str, str]) -> "pl.DataFrame":
    """Changes for machines: money in units, every other figure as it was compared."""
    import polars as pl

    money = pl.col("figure").is_in([name for name, kind in kinds.items() if kind == "money"])
    sides = pl.col("stored", "computed")
    units = (sides.cast(pl.Int64, strict=False).cast(pl.Decimal(38, 2)) / 100).cast(pl.String)
    return changes.with_columns(pl.when(money).then(units).otherwise(sides).name.keep())


def _value(text: str | None, kind: str) -> object:
    """A figure that was compared as text."""
    if text is None:
        return None
    if kind == "bool":
        return text == "true"
    number = {"money": int, "bigint": int, "int": int, "score": int, "ratio": float}.get(kind)
    return number(text) if number else text


def write_frame(
    frame: "pl.DataFrame",
    format_: str,
    output: Path | None,
    kinds: Mapping[str, str],
    about: "About | None" = None,
    definitions: Mapping[str, str] | None = None,
) -> None:
    """Write a frame for machines, to a file or to stdout.

    What it is goes into a Parquet file, and beside a CSV file into ``FILE-metadata.json``.
    """
    if format_ == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("parquet is not for terminals", "give --output FILE")
    from loanmetrics.export.values import harmless

    exact = _exact(frame, kinds)
    target = output or io.BytesIO()
    columns = _columns(frame, kinds, definitions or {})
    match format_:
        case "csv":
            harmless(exact).write_csv(target)
        case "json":
            exact.write_json(target)
        case "parquet":
            exact.write_parquet(target, metadata=about.as_metadata(columns) if about else None)
        case _:
            raise unknown("format", format_, FORMATS)
    if isinstance(target, io.BytesIO):
        sys.stdout.buffer.write(target.getvalue())
    elif about and format_ == "csv":
        target.with_name(f"{target.name}-metadata.json").write_bytes(about.as_csvw(columns, target.name))


def _columns(
    frame: "pl.DataFrame", kinds: Mapping[str, str], definitions: Mapping[str, str]
) -> list["ColumnAbout"]:
    from loanmetrics.export import ColumnAbout

    return [
        ColumnAbout(name, kinds.get(name, "text"), name.replace("_", " "), definitions.get(name, ""))
        for name in frame.columns
    ]


def pick(frame: "pl.DataFrame", columns: Sequence[str]) -> "pl.DataFrame":
    """Only these columns, or all of them when none is named."""
    for name in columns:
        if name not in frame.columns:
            raise unknown("column", name, frame.columns)
    return frame.select(columns) if columns else frame


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
    """Something beside the result, on stderr, after all that was said before."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")


def note_stage(line: str) -> None:
    """What begins now, on stderr, for who waits; where ``tell_steps`` tells every step, that is enough."""
    import logging

    from loanmetrics.steps import LOGGER

    if not logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG):
        note(line)


def tell_steps() -> None:
    """From now on, the steps of a run or load on stderr as they begin, each with its time, UTC."""
    import logging
    import time

    from loanmetrics.steps import LOGGER

    form = logging.Formatter("%(asctime)s.%(msecs)03d %(message)s", "%H:%M:%S")
    form.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form)
    logger = logging.getLogger(LOGGER)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG)


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


def _print(console: "Console", table: "Table", below: Sequence[str] = (), *, whole: bool = False) -> None:
    """Nothing of a ``whole`` table is cut, however wide it is. Piped lines have no blanks at their ends."""
    screen = console.width
    if whole:
        unbound = console.options.update(max_width=PIPED_WIDTH)
        console.width = max(screen, console.measure(table, options=unbound).maximum)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().removesuffix("\n").split("\n")
    texts = [""] * (len(lines) - len(below)) + [*below]
    for line, text in zip(lines, texts, strict=True):
        say(line if console.is_terminal else line.rstrip())
        for part in textwrap.wrap(text, screen - len(INDENT)):
            say(f"{INDENT}{part}")


def _headlines(frame: "pl.DataFrame") -> list[str]:
    if "loan_id" in frame.columns:
        return [name for name in LOAN_HEADLINES if name in frame.columns]
    ordered = HEADLINES if "officer_id" in frame.columns else dict.fromkeys((*PLACE, *HEADLINES))
    return [name for name in ordered if name in frame.columns] or frame.columns


def _fitting(text: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """The longest beginning of the columns that fits; at least the first two."""
    used, fitting = 0, list[str]()
    for name, cells in text.items():
        used += max(map(len, (name, *cells))) + 2
        if used > width and len(fitting) > 1:
            break
        fitting.append(name)
    return fitting


def _said(text: Mapping[str, Sequence[str]], names: Sequence[str], place: int) -> str:
    return "; ".join(f"{name}: {text[name][place]}" for name in names)


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
