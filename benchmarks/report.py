"""RESULTS.md and cost.png, from the figures of all sizes and the notes beside them."""

from pathlib import Path
from statistics import median

import figure
from figure import Check, Figure, Latencies, Sheet
from plot import EXPONENT_LIMIT, Series, exponent, picture, series
from soaking import picture as over_time
from soaking import record, telling
from soaking.record import Soak

HERE = Path(__file__).parent
# Of more runs only the range is told.
MOST_LISTED = 10
NOTES = HERE / "notes.md"
NAMES = [*(f"P{number}" for number in range(1, 11)), "P10 over HTTP", "P11", "P12"]
INTRO = """# Results

Machines are noisy and shared: read the ratios, not the seconds. Each figure is taken side by side with its peers in one
run, and all contenders' answers must be equal, or there is no figure. This file is written by `make bench SIZE=1m` (or
0.1m, 0.3m, 3m, 10m) and, for what goes over HTTP, by `make bench-api SIZE=1m` and `make bench-events SIZE=1m`, the
soak by `make soak`, from `benchmarks/results/*.json`; the explanations come from `benchmarks/notes.md`.

The lender is synthetic (`benchmarks/generate.py`: 1,000 officers, 24 months of lending, as of 2026-06-30). Its tables
are copied into PostgreSQL month by month, past the write-ahead log, each month's keys and indexes built after its rows,
then attached as a partition and given the triggers of the change log; statistics are gathered at the end
(`benchmarks/bulk.py`). The server is the embedded one with its own settings, fsync on.
"""


def write(results: Path, target: Path) -> None:
    """Render everything anew."""
    sheets = figure.read_all(results)
    lines = series(sheets)
    picture(lines, target / "cost.png")
    soak = record.read(results)
    if soak:
        over_time.picture(soak, target / "soak.png")
    (target / "RESULTS.md").write_text(render(sheets, lines, soak), encoding="utf-8")


def render(sheets: list[Sheet], lines: list[Series], soak: Soak | None = None) -> str:
    parts = [
        INTRO,
        _overview(sheets, lines),
        _cost(lines),
        *map(_block, sheets),
        *([telling.told(soak)] if soak else []),
        NOTES.read_text(encoding="utf-8"),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _overview(sheets: list[Sheet], lines: list[Series]) -> str:
    head = ["## Targets", "", "| | work | target |" + "".join(f" {sheet.size} |" for sheet in sheets)]
    head.append("|---|---|---|" + "---|" * len(sheets))
    rows = [
        row
        for name in NAMES
        for row in (_exponents(lines, len(sheets)) if name == "P7" else _row(name, sheets))
    ]
    return "\n".join([*head, *rows, "", "**Bold**: missed, explained below. Sizes are loans.", ""])


def _row(name: str, sheets: list[Sheet]) -> list[str]:
    """One line for each check of a target."""
    found = [sheet.figures.get(name) for sheet in sheets]
    titles = {check.what: (made.title, check) for made in found if made for check in made.checks}
    return [
        f"| {name} | {title}: {what} | {_target(check)} |"
        + "".join(f" {_cell(made, what)} |" for made in found)
        for what, (title, check) in titles.items()
    ]


def _cell(made: Figure | None, what: str) -> str:
    for check in made.checks if made else ():
        if check.what == what:
            return _number(check) if check.met else f"**{_number(check)}**"
    return "-"


def _number(check: Check) -> str:
    digits = 0 if check.unit == "ms" or check.value >= 100 else 1 if check.value >= 10 else 2
    return f"{check.value:,.{digits}f} {check.unit}"


def _target(check: Check) -> str:
    return f"{'<=' if check.at_most else '>='} {check.limit:g} {check.unit}"


def _exponents(lines: list[Series], sizes: int) -> list[str]:
    rows = []
    for line in lines:
        if line.ours and (found := exponent(line)) is not None:
            told = f"{found:.2f}" if found <= EXPONENT_LIMIT else f"**{found:.2f}**"
            title = f"Seconds against loans, {line.name}: exponent"
            rows.append(f"| P7 | {title} | <= {EXPONENT_LIMIT} | {told} |" + " |" * (sizes - 1))
    return rows


def _cost(lines: list[Series]) -> str:
    told = [
        f"- {line.name}: exponent {found:.2f} from {line.points[0].size} to {line.points[-1].size}"
        for line in lines
        if (found := exponent(line)) is not None
    ]
    return "\n".join(
        ["## Cost against size", "", "![seconds and peak memory against size](cost.png)", "", *told, ""]
    )


def _block(sheet: Sheet) -> str:
    counts = ", ".join(f"{rows:,} {name.replace('_', ' ')}" for name, rows in sheet.rows.items())
    loaded = f" PostgreSQL was filled in {sheet.loaded}." if sheet.loaded else ""
    head = [f"## {sheet.size}: {counts}", "", f"{sheet.machine}; {sheet.software}.{loaded}", ""]
    found = [sheet.figures[name] for name in NAMES if name in sheet.figures]
    return "\n".join([*head, *(line for made in found for line in _figure(made))])


def _figure(made: Figure) -> list[str]:
    checks = "; ".join(
        f"{check.what} {_number(check)} (target {_target(check)}: {'met' if check.met else '**missed**'})"
        for check in made.checks
    )
    rows = [
        f"| {name} | {runs.median:.2f} | {_each(runs.seconds)} "
        f"| {f'{median(runs.cpu):.2f}' if runs.cpu else ''} | {f'{runs.peak:,.0f}' if runs.peak else ''} |"
        for name, runs in made.runs.items()
    ]
    return [
        f"### {made.name}: {made.title}",
        "",
        f"{checks}. {made.note}".removeprefix(". ").rstrip(),
        f"Measured {made.measured}, commit {made.commit}, load of the machine {made.load}.",
        "",
        *(
            [
                "| | seconds (median) | runs | processor seconds | peak MiB |",
                "|---|---|---|---|---|",
                *rows,
                "",
            ]
            if rows
            else []
        ),
        *(_answers(made.answers) if made.answers else []),
    ]


def _each(seconds: list[float]) -> str:
    """Every run, or of many how far apart they lie."""
    if len(seconds) <= MOST_LISTED:
        return ", ".join(f"{one:.2f}" for one in seconds)
    return f"{min(seconds):.2f} to {max(seconds):.2f} in {len(seconds)} runs"


def _answers(answers: dict[str, Latencies]) -> list[str]:
    """What many requests came to."""
    rows = [
        f"| {name} | {it.requests:,} | {it.per_second:,.0f} | {it.p50:,.1f} | {it.p95:,.1f} | {it.p99:,.1f} "
        f"| {f'{it.server:.2f}' if it.server else ''} | {f'{it.load:.2f}' if it.load else ''} |"
        for name, it in answers.items()
    ]
    return [
        "| | requests | per second | p50 ms | p95 ms | p99 ms | CPU ms of the server for one | cores that asked |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


if __name__ == "__main__":
    write(figure.RESULTS, HERE)
