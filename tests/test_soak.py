"""The soak tells what happened: failures counted where they fell, growth of memory, the same plan every time."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def outage(began: float, ended: float) -> Any:
    return import_module("soaking.record").Happening("PostgreSQL restarted", began, ended, "", True)


def test_an_hour_has_its_runs_reloads_and_one_restart_of_each() -> None:
    plan = import_module("soaking.plan")
    moments = plan.calendar(3600)
    named = [moment.what for moment in moments]
    assert [named.count(it) for it in (plan.RUN, plan.RELOAD, plan.DATABASE, plan.CACHE)] == [12, 5, 1, 1]
    assert [moment.at for moment in moments if moment.what == plan.RELOAD] == [600, 1200, 1800, 2400, 3000]
    assert moments == sorted(moments)


@pytest.mark.parametrize("seconds", [5, 180, 600, 3600])
def test_however_short_it_is_everything_happens_within_it(seconds: int) -> None:
    plan = import_module("soaking.plan")
    moments = plan.calendar(seconds)
    assert {moment.what for moment in moments} == {plan.RUN, plan.RELOAD, plan.DATABASE, plan.CACHE}
    assert all(0 < moment.at < seconds for moment in moments)


def test_availability_is_told_with_and_without_outages() -> None:
    folding = import_module("soaking.folding")
    due = [1.0, 10.0, 12.0, 12.0 + folding.RECOVERY, 12.1 + folding.RECOVERY, 30.0]
    statuses = [200, 0, 503, 503, 500, 412]
    whole = folding.availability(due, statuses)
    assert (whole.requests, whole.failed, round(whole.percent, 1)) == (6, 4, 33.3)
    apart = folding.availability(due, statuses, [outage(10.0, 12.0)])
    assert (apart.requests, apart.failed) == (3, 1)
    assert folding.failures(due, statuses, outage(10.0, 12.0)) == [10.0, 12.0, 12.0 + folding.RECOVERY]


def test_what_happened_on_purpose_is_no_outage_unless_it_says_so() -> None:
    folding, record = import_module("soaking.folding"), import_module("soaking.record")
    reload = record.Happening("reload", 0.0, 20.0, "")
    assert folding.availability([5.0], [503], [reload]).failed == 1


def test_a_stretch_holds_what_fell_due_in_it() -> None:
    folding = import_module("soaking.folding")
    events = [
        (0.0, {"hit_local": 0.0, "miss": 4.0}),
        (60.1, {"hit_local": 6.0, "hit_redis": 3.0, "miss": 5.0}),
        (120.0, {"hit_local": 6.0, "hit_redis": 3.0, "miss": 5.0}),
    ]
    first, last = folding.slices([0.0, 59.9, 125.0], [0.010, 0.030, 0.5], [200, 503, 0], 60.0, events)
    assert (first.at, first.requests, first.failures, first.p50, first.hit_rate) == (
        0,
        2,
        {"503": 1},
        30,
        0.9,
    )
    assert (last.at, last.requests, last.failures, last.hit_rate) == (120, 1, {"no answer": 1}, None)


def test_growth_is_told_of_the_warm_part_and_spikes_do_not_move_it() -> None:
    folding, record = import_module("soaking.folding"), import_module("soaking.record")
    at = [5.0 * turn for turn in range(721)]
    leaking = [400 - when if when < 300 else 100 + 12 * when / 3600 for when in at]
    leaking[500] += 900
    short = record.Memory("API, workers", 2, [0.0, 5.0], [1.0, 1.0], [1.0, 1.0])
    [found] = folding.growth([record.Memory("Valkey", 1, at, leaking, leaking), short])
    assert found.per_hour == pytest.approx(12)
    assert found.last == pytest.approx(112, abs=0.2)
    assert found.highest > 1000


def test_what_is_kept_is_read_again_and_no_sheet_of_figures(tmp_path: Path) -> None:
    figure, record, telling = (
        import_module(name) for name in ("figure", "soaking.record", "soaking.telling")
    )
    kept = soak()
    record.keep(kept, tmp_path)
    assert record.read(tmp_path) == kept
    assert figure.read_all(tmp_path) == []
    told = telling.told(kept)
    assert "## Soak: 3 minutes at 0.1m" in told
    assert "| all | 1,000 | 10 | 99.000 % |" in told
    assert "| 995 | 5 | 99.497 % (objective 99.9 %: **missed**) |" in told
    assert "| API, workers | 2, up to 10 min | 180 to 190 | 200 | -1.0 to +3.5 |" in told
    assert "| nothing lost | **no** | 9 of 10 |" in told


def soak() -> Any:
    record = import_module("soaking.record")
    growth = [
        record.Growth("API, workers", pid, 600.0, last, 200.0, slope)
        for pid, last, slope in ((7, 180, 3.5), (8, 190, -1.0))
    ]
    given = {
        "size": "0.1m",
        "seconds": 180.0,
        "users": 100,
        "rate": 40.0,
        "slice": 10.0,
        "machine": "2 cores",
    }
    about = {"software": "Python", "measured": "2026-06-30", "commit": "abc", "load": 1.5}
    times = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "statuses": {"200": 990, "503": 10}}
    counts = {"payments": 180, "runs": {"event, completed": 60}}
    shares = {"whole": record.Share(1000, 10), "apart": record.Share(995, 5)}
    slices = [record.Slice(0.0, 1000, {"503": 10}, 1.0, 2.0, 3.0, 0.9)]
    return import_module("msgspec").convert(
        {
            **{**given, **about, **times, **counts, **shares},
            **{"slices": slices, "happenings": [outage(95.0, 97.0)], "memory": [], "growth": growth},
            "strays": [record.Stray(1.0, 503, "GET /")],
            "proofs": [record.Proof("nothing lost", False, "9 of 10")],
        },
        record.Soak,
    )


class Moody(BaseHTTPRequestHandler):
    """Answers, refuses, says that it closes, or hangs up, as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.close_connection = True
            return
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", "2")
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object, **__: object) -> None:
        """Nothing."""


@pytest.fixture
def moody() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Moody) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.loopback
def test_whoever_is_hung_up_on_notes_it_and_goes_on(moody: int) -> None:
    asking, questions = import_module("soaking.asking"), import_module("serving.questions")
    paths = ("/fine", "/last", "/fine", "/gone", "/busy", "/fine")
    record = asking.Record()

    async def ask() -> None:
        turns: Any = asyncio.Queue()
        for path in paths:
            raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            turns.put_nowait((0.0, questions.Question(raw)))
        turns.put_nowait(None)
        await asking.Person(moody, 0.0, record, questions.Writer({})).work(turns)

    asyncio.run(ask())
    assert record.statuses == [200, 200, 200, asking.NO_ANSWER, 503, 200]
    assert record.due == [0.0] * len(paths)
    gone, busy = record.failed
    assert gone[1:3] == (asking.NO_ANSWER, "GET /gone")
    assert gone[3].startswith("Connection")
    assert busy[1:] == (503, "GET /busy", "")


def test_failures_outside_of_outages_are_named() -> None:
    folding = import_module("soaking.folding")
    failed = [(11.0, 503, "GET /busy"), (99.0, 0, "GET /gone")]
    [stray] = folding.strays(failed, [outage(10.0, 12.0)])
    assert (stray.at, stray.status, stray.request) == (99.0, 0, "GET /gone")
