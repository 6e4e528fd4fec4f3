"""A soak in words and tables."""

from collections.abc import Sequence
from statistics import median

from soaking import folding
from soaking.plan import AWAY, EVERY, PER_SECOND, RELOAD, RUN
from soaking.record import Growth, Soak

OBJECTIVE = 99.9
HEAD = "| process | lives | MiB at the end of a life | highest | MiB/hour |"


def told(soak: Soak) -> str:
    """The section of RESULTS.md."""
    return "\n".join(
        [*_about(soak), *_share(soak), *_memory(soak), *_happened(soak), *_strays(soak), *_proofs(soak)]
    )


def _about(soak: Soak) -> list[str]:
    return [
        f"## Soak: {soak.seconds / 60:g} minutes at {soak.size}",
        "",
        f"{soak.machine}; {soak.software}. Measured {soak.measured}, commit {soak.commit}, load of the machine "
        f"{soak.load}.",
        "",
        f"{soak.users} users asked {soak.rate:g} requests a second by a timetable (the mix of P9, 0.5 % of it audits), "
        f"from the same cores; {PER_SECOND:g} payment a second was committed and followed by `loanmetrics worker` (runs"
        f" {EVERY:g} s apart at least); `compute` ran as by a schedule, and servers were reloaded by SIGHUP. "
        f"PostgreSQL was restarted once, Valkey killed and {AWAY:g} s later started empty.",
        "",
        "![latency, failures, hit rate and memory over time](soak.png)",
        "",
    ]


def _share(soak: Soak) -> list[str]:
    statuses = ", ".join(f"{name}: {count:,}" for name, count in sorted(soak.statuses.items()))
    hits = [100 * it.hit_rate for it in soak.slices if it.hit_rate is not None]
    met = "met" if soak.apart.percent >= OBJECTIVE else "**missed**"
    runs = ", ".join(f"{count:,} {name}" for name, count in soak.runs.items())
    return [
        "| | requests | failed | availability |",
        "|---|---|---|---|",
        f"| all | {soak.whole.requests:,} | {soak.whole.failed:,} | {soak.whole.percent:.3f} % |",
        f"| without both restarts, and {folding.RECOVERY:g} s after each | {soak.apart.requests:,} "
        f"| {soak.apart.failed:,} | {soak.apart.percent:.3f} % (objective {OBJECTIVE} %: {met}) |",
        "",
        f"Failed: a 5xx, or no answer. By status: {statuses}. Latency from when a request fell due: p50 "
        f"{soak.p50:,.0f} ms, p95 {soak.p95:,.0f} ms, p99 {soak.p99:,.0f} ms. "
        + (f"Found in a cache: {median(hits):.0f} % (median). " if hits else "")
        + f"Payments: {soak.payments:,}. Runs: {runs}.",
        "",
    ]


def _memory(soak: Soak) -> list[str]:
    by_process: dict[str, list[Growth]] = {}
    for it in soak.growth:
        by_process.setdefault(it.process, []).append(it)
    return [
        HEAD,
        "|---|---|---|---|---|",
        *(_process(name, lives) for name, lives in by_process.items()),
        "",
        *_slopes(),
    ]


def _process(name: str, lives: Sequence[Growth]) -> str:
    highest = max(it.highest for it in lives)
    longest = max(it.seconds for it in lives) / 60
    ends = _range([it.last for it in lives], ".0f")
    slopes = _range([it.per_hour for it in lives], "+.1f")
    return f"| {name} | {len(lives)}, up to {longest:.0f} min | {ends} | {highest:,.0f} | {slopes} |"


def _slopes() -> list[str]:
    return [
        "Memory is PSS: shared pages by their share. MiB/hour: the median of the slopes between all pairs of readings "
        "(every 5 s), without the first five minutes of a process or the first third of its life; of several lives "
        "lowest to highest. Over a life of minutes it says little.",
        "",
    ]


def _range(values: Sequence[float], form: str) -> str:
    low, high = (format(value, form) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _happened(soak: Soak) -> list[str]:
    rows = []
    for what in dict.fromkeys(it.what for it in soak.happenings):
        each = [it for it in soak.happenings if it.what == what]
        took = _range([it.ended - it.began for it in each], ".1f")
        said = "; ".join(dict.fromkeys(it.said for it in each))
        name = {RUN: "`compute`", RELOAD: "reload (SIGHUP)"}.get(what, what)
        rows.append(f"| {name} | {len(each)} | {took} | {said} |")
    return ["| what happened | times | seconds | and then |", "|---|---|---|---|", *rows, ""]


def _strays(soak: Soak) -> list[str]:
    """The failures that no outage explains, by what was asked and when."""
    rows = [
        f"- {it.at:,.0f} s: {folding.name_of(it.status)}, `{it.request}`{_because(it.why)}"
        for it in soak.strays
    ]
    return ["Failed though nothing was restarted:", "", *rows, ""] if rows else []


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _proofs(soak: Soak) -> list[str]:
    rows = [f"| {it.what} | {'yes' if it.fine else '**no**'} | {it.said} |" for it in soak.proofs]
    return ["| in the end | held | |", "|---|---|---|", *rows, ""]
