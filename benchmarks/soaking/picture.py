"""A soak over time: latency, failures and hits, and the memory of each process, with what happened as lines."""

from pathlib import Path
from typing import Any

from soaking.plan import RUN
from soaking.record import Soak

WIDTH = 860
FAILURES = ("#c0392b", "#e08e2b", "#7d3c98", "#8a8a8a")
COLORS = ("#1b6ca8", "#e08e2b", "#c0392b", "#0b3954", "#3fa796", "#8a8a8a")


def picture(soak: Soak, target: Path) -> None:
    """Panels one above the other, over the same minutes."""
    import altair

    panels = [_latency(soak), _failures(soak), _hits(soak), _memory(soak)]
    chart = altair.vconcat(*panels, spacing=14).resolve_scale(color="independent")
    chart.configure_axis(gridColor="#ececec", labelFontSize=12, titleFontSize=12).configure_view(
        stroke=None
    ).configure_legend(labelFontSize=12, labelLimit=260, orient="right", title=None).save(
        str(target), scale_factor=2
    )


def _latency(soak: Soak) -> Any:
    import altair

    rows = [
        {"minute": (it.at + soak.slice / 2) / 60, "ms": max(value, 0.1), "what": name}
        for it in soak.slices
        for name, value in (("p50", it.p50), ("p95", it.p95), ("p99", it.p99))
    ]
    y = altair.Y("ms:Q", scale=altair.Scale(type="log"), title="latency, ms")
    lines = _base(rows, soak, 190).mark_line(strokeWidth=2).encode(y=y, color=_colors(["p50", "p95", "p99"]))
    return altair.layer(_marks(soak), _names(soak), lines)


def _failures(soak: Soak) -> Any:
    import altair

    names = sorted({name for it in soak.slices for name in it.failures}) or ["none failed"]
    rows = []
    for it in soak.slices:
        below, where = 0, {"minute": it.at / 60, "end": (it.at + soak.slice) / 60}
        for name in filter(it.failures.get, names):
            above = below + it.failures[name]
            rows.append({**where, "below": below, "failed": above, "what": name})
            below = above
    y = altair.Y("failed:Q", axis=altair.Axis(tickMinStep=1), title="failed")
    bars = (
        _base(rows, soak, 90)
        .mark_rect()
        .encode(x2="end:Q", y=y, y2="below:Q", color=_colors(names, FAILURES))
    )
    return altair.layer(_marks(soak), bars)


def _hits(soak: Soak) -> Any:
    import altair

    rows = [
        {"minute": (it.at + soak.slice / 2) / 60, "share": it.hit_rate}
        for it in soak.slices
        if it.hit_rate is not None
    ]
    y = altair.Y("share:Q", scale=altair.Scale(domain=[0, 1]), axis=altair.Axis(format="%"), title="hit rate")
    lines = _base(rows, soak, 90).mark_line(strokeWidth=2).encode(y=y, color=altair.value(COLORS[0]))
    return altair.layer(_marks(soak), lines)


def _memory(soak: Soak) -> Any:
    import altair

    names = list(dict.fromkeys(it.process for it in soak.memory))
    rows = [
        {"minute": at / 60, "mib": pss, "what": it.process, "pid": it.pid}
        for it in soak.memory
        for at, pss in zip(it.at, it.pss, strict=True)
    ]
    y = altair.Y("mib:Q", title="memory (PSS), MiB")
    lines = (
        _base(rows, soak, 260, "minutes")
        .mark_line(strokeWidth=1.6)
        .encode(y=y, color=_colors(names), detail="pid:N")
    )
    return altair.layer(_marks(soak), lines)


def _base(rows: list[dict[str, Any]], soak: Soak, height: int, title: str | None = None) -> Any:
    import altair

    scale = altair.Scale(domain=[0, soak.seconds / 60], nice=False, clamp=True)
    return altair.Chart({"values": rows}, width=WIDTH, height=height).encode(
        x=altair.X("minute:Q", scale=scale, axis=altair.Axis(format="~g"), title=title)
    )


def _marks(soak: Soak) -> Any:
    """What happened: outages in red, reloads grey; runs are too many."""
    return _happened(soak).mark_rule(strokeDash=[3, 3], strokeWidth=1.2)


def _names(soak: Soak) -> Any:
    import altair

    text = _happened(soak).mark_text(align="left", baseline="bottom", dx=3, fontSize=10)
    return text.encode(y=altair.value(-2), text="what:N")


def _happened(soak: Soak) -> Any:
    import altair

    rows = [
        {"minute": it.began / 60, "what": it.what.split()[0], "outage": it.outage}
        for it in soak.happenings
        if it.what != RUN
    ]
    color = altair.condition("datum.outage", altair.value("#c0392b"), altair.value("#9a9a9a"))
    return altair.Chart({"values": rows}).encode(x="minute:Q", color=color)


def _colors(names: list[str], colors: tuple[str, ...] = COLORS) -> Any:
    import altair

    return altair.Color(
        "what:N", scale=altair.Scale(domain=names, range=list(colors[: len(names)])), sort=names, title=None
    )
