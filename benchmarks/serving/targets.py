"""P9 and P10: the API warm and cold, beside itself without a cache and beside a hand-written route."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from statistics import median
from typing import Any

from figure import Check, Figure, Latencies
from lab import DAY

from serving.load import ask
from serving.programs import PER_WORKER, Program, asked, ours, peer
from serving.questions import (
    RATE,
    USERS,
    WRITE_EVERY,
    cold_lists,
    drilldowns,
    get,
    peer_lists,
    timetable,
    warming,
)
from serving.stage import Stage

FLAT_OUT, CONNECTIONS, COLD_CONNECTIONS = 8.0, 100, 8
MIXED = f"{USERS} users, {RATE} requests/s, {100 / WRITE_EVERY:g} % writes"
OURS, UNCACHED, PEER = "lists flat out", "the same without a cache", "the same from Flask + psycopg"
COLD, FIRST, PAGES = (
    "lists nobody asked before",
    "drilldown, first touch of a day",
    "drilldown, any page after",
)
FIRST_DAYS = (100, 200, 300)  # so many days back
LOAD = "The load comes from one process with one thread on the same cores"


def p9(stage: Stage, repeat: int, packages: str) -> Figure:
    """Warm: people at work, then lists as fast as they come, in turn with both peers."""
    with ours(stage) as program:
        mixed, hits, stale = _mixed(stage, program)
        with ExitStack() as others:
            programs = {
                OURS: program,
                UNCACHED: others.enter_context(ours(stage, cached=False)),
                PEER: others.enter_context(peer(stage, packages)),
            }
            told, equal = _flat_out(stage, programs, repeat)
        memory = program.memory()
    found = {MIXED: mixed, **{name: _middle(runs) for name, runs in told.items()}}
    speed = {name: median(run.per_second for run in runs) for name, runs in told.items()}
    checks = [
        Check("(a) p95", mixed.p95, 25, "ms"),
        Check("(a) hit rate", 100 * hits, 90, "%", at_most=False),
        Check("(b) p95", found[OURS].p95, 50, "ms"),
        Check("(b) requests/s, of Flask + psycopg", speed[OURS] / speed[PEER], 6, at_most=False),
    ]
    note = (
        f"{PER_WORKER['workers']} workers of {PER_WORKER['threads']} threads each; {LOAD}. (a) gzip, {stale} of the "
        f"writers' next looks showed an audit older than their own write; a worker held {memory:.0f} MiB (PSS). "
        f"(b) {CONNECTIONS} connections, no gzip, {equal} questions in turn, answered alike by all; without a cache "
        f"{speed[OURS] / speed[UNCACHED]:.1f} x fewer; medians of {repeat} runs."
    )
    return Figure("P9", "The API, warm, with tokens", checks, {}, note, answers=found)


def p10(stage: Stage, published: str) -> Figure:
    """Cold: a server just started, an empty Redis, questions that were never asked."""
    viewers, _ = stage.tokens
    _forget(stage)
    with ours(stage) as program:
        ask(program.port, get("/filters/options", viewers[0]))
        cold = _told(asked(program, cold_lists(stage.choices, viewers[0]), "once", COLD_CONNECTIONS))
        first = [_first(program, viewers[0], DAY - timedelta(back)) for back in FIRST_DAYS]
        pages = asked(program, _pages(stage, viewers[0]), "once", 1)
        memory = program.memory()
    answers = {COLD: cold, FIRST: _latencies(first, sum(first)), PAGES: _told(pages)}
    checks = [
        Check(f"lists at {COLD_CONNECTIONS} connections, p95", cold.p95, 100, "ms"),
        Check("drilldown, slowest first touch of a past day", max(first) * 1000, 1000, "ms"),
        Check("drilldown, any page after, p95", answers[PAGES].p95, 200, "ms"),
    ]
    note = (
        f"{published}. "
        f"Half of the lists are of days nobody looked at before. A worker held {memory:.0f} MiB (PSS) in the end. "
        f"{LOAD}."
    )
    return Figure("P10 over HTTP", "The API, cold", checks, {}, note, answers=answers)


def _mixed(stage: Stage, program: Program) -> tuple[Latencies, float, int]:
    viewers, auditors = stage.tokens
    asked(program, warming(stage.choices, [viewers[0], auditors[0]]), "once", COLD_CONNECTIONS)
    before, plan = program.cache_events(), list(timetable(stage.choices, viewers, auditors))
    told = asked(
        program,
        [question for _, _, question in plan],
        "on_time",
        USERS,
        times=[(due, user) for due, user, _ in plan],
        versions=stage.versions(),
    )
    if told["stale"] or set(told["statuses"]) != {"200"}:
        raise SystemExit(f"answers were wrong: {told['statuses']}, {told['stale']} stale")
    after = program.cache_events()
    events = {name: count - before.get(name, 0) for name, count in after.items()}
    looks = sum(events.get(name, 0) for name in ("hit_local", "hit_redis", "miss"))
    _say(f"{MIXED}: {told['writes']} writes, {events}")
    return _told(told), 1 - events.get("miss", 0) / looks, told["stale"]


def _flat_out(
    stage: Stage, programs: dict[str, Program], repeat: int
) -> tuple[dict[str, list[Latencies]], int]:
    """In turn, so that whatever else the machine does troubles all of them."""
    questions = peer_lists(stage.choices, stage.tokens[0][0])
    for question in questions:
        answers = [ask(program.port, question) for program in programs.values()]
        if any(answer != answers[0] for answer in answers):
            raise SystemExit(f"not answered alike: {question.raw.splitlines()[0]!r}; no ratios.")
    told: dict[str, list[Latencies]] = {name: [] for name in programs}
    for _ in range(repeat):
        for name, program in programs.items():
            run = asked(program, questions, "flat_out", CONNECTIONS, seconds=FLAT_OUT)
            if set(run["statuses"]) != {"200"}:
                raise SystemExit(f"{name}: not all was answered: {run['statuses']}")
            told[name].append(_told(run))
    return told, len(questions)


def _pages(stage: Stage, token: str) -> list[Any]:
    """Pages of a day that was touched, none asked twice: of all loans, of a branch, of an officer, far back too."""
    day = f"date={DAY - timedelta(FIRST_DAYS[-1])}"
    paths = [f"{path}{'&' if '?' in path else '?'}{day}" for path in drilldowns(stage.choices)]
    paths += [f"/loans/fimr-drilldown?{day}&page={page}&sort=-days_late" for page in (2, 5, 20, 100)]
    paths += [f"/loans/early-indicators-drilldown?{day}&dpd_min=0&page={page}" for page in (2, 50, 500, 1500)]
    fresh = [path for path in paths if not path.endswith(f"fimr-drilldown?{day}")]
    return [get(path, token, zipped=True) for path in fresh]


def _first(program: Program, token: str, day: date) -> float:
    told = asked(program, [get(f"/loans/fimr-drilldown?date={day}", token, zipped=True)], "once", 1)
    if set(told["statuses"]) != {"200"}:
        raise SystemExit(f"the loans of {day} were answered with {told['statuses']}")
    seconds: float = told["seconds"][0]
    return seconds


def _forget(stage: Stage) -> None:
    """Nothing that was answered or made for a day before is there any more."""
    import shutil

    import redis

    with redis.Redis.from_url(stage.redis_url) as client:
        client.flushall()
    for folder in stage.home.glob("facts/**/days"):
        shutil.rmtree(folder)


def _told(run: dict[str, Any]) -> Latencies:
    return _latencies(run["seconds"], run["wall"], run["cpu"], run["server_cpu"])


def _latencies(seconds: Sequence[float], wall: float, load: float = 0.0, server: float = 0.0) -> Latencies:
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latencies(
        len(ordered),
        len(ordered) / wall,
        at(0.5),
        at(0.95),
        at(0.99),
        1000 * server / len(ordered),
        load / wall,
    )


def _middle(runs: list[Latencies]) -> Latencies:
    return sorted(runs, key=lambda run: run.p95)[len(runs) // 2]


def _say(what: str) -> None:
    sys.stderr.write(f"  {what}\n")
