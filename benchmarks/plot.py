"""Cost against size: what grows how fast, as a picture and as exponents."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figure import Sheet
from measures import day, runs

EXPONENT_LIMIT = 1.05
LINES = (  # name, figure, whose runs, ours
    ("one day, loanmetrics", "P2", day.OURS, True),
    ("one day, DuckDB from files", "P2", day.PARQUET, False),
    ("one day, DuckDB in memory", "P2", day.MEMORY, False),
    ("one day, PostgreSQL", "P2", day.POSTGRES, False),
    ("first run, source to published", "P6", runs.COLD, True),
    ("15-minute run, 1 % touched", "P6", runs.TOUCHED, True),
)
COLORS = ("#1b6ca8", "#e08e2b", "#c9b037", "#8a8a8a", "#0b3954", "#3fa796")


@dataclass(frozen=True)
class Point:
    size: str
    loans: int
    seconds: float
    peak: float


@dataclass(frozen=True)
class Series:
    name: str
    ours: bool
    points: list[Point]


def series(sheets: list[Sheet]) -> list[Series]:
    """Every line of the picture that has a point."""
    made = [
        Series(
            name,
            ours,
            [
                Point(sheet.size, sheet.loans, taken.median, taken.peak)
                for sheet in sheets
                if figure in sheet.figures and (taken := sheet.figures[figure].runs.get(whose))
            ],
        )
        for name, figure, whose, ours in LINES
    ]
    return [line for line in made if line.points]


def exponent(line: Series) -> float | None:
    """b of seconds = a x loans^b, by least squares over the logarithms; needs three sizes."""
    if len(line.points) < 3:
        return None
    x = [math.log(point.loans) for point in line.points]
    y = [math.log(point.seconds) for point in line.points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    across = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return across / sum((a - mean_x) ** 2 for a in x)


def picture(lines: list[Series], target: Path) -> None:
    """Two panels, both logarithmic: seconds, and peak memory."""
    import altair

    rows = [
        {"what": line.name, "loans": point.loans, "seconds": point.seconds, "memory": point.peak or None}
        for line in lines
        for point in line.points
    ]
    panels = [
        _panel(rows, "seconds", "seconds (median)"),
        _panel([row for row in rows if row["memory"]], "memory", "peak memory, MiB"),
    ]
    chart = altair.hconcat(*panels).resolve_scale(color="shared", shape="shared")
    chart.configure_axis(gridColor="#e8e8e8", labelFontSize=12, titleFontSize=13).configure_view(
        stroke=None
    ).configure_legend(labelFontSize=12, labelLimit=300, orient="bottom", columns=3).save(
        str(target), scale_factor=2
    )


def _panel(rows: list[dict[str, Any]], field: str, title: str) -> Any:
    import altair

    names = [name for name, *_ in LINES if any(row["what"] == name for row in rows)]
    loans = sorted({int(row["loans"]) for row in rows})
    ticks = altair.Axis(values=loans, labelExpr="datum.value / 1e6 + ' M'", labelOverlap=False)
    return (
        altair.Chart({"values": rows}, width=430, height=380)
        .mark_line(point=altair.OverlayMarkDef(size=45, filled=True), strokeWidth=2)
        .encode(
            x=altair.X("loans:Q", scale=altair.Scale(type="log"), axis=ticks, title="loans"),
            y=altair.Y(f"{field}:Q", scale=altair.Scale(type="log"), title=title),
            color=altair.Color(
                "what:N",
                scale=altair.Scale(domain=names, range=list(COLORS[: len(names)])),
                sort=names,
                title=None,
            ),
        )
    )
