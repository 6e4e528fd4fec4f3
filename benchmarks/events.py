"""Measure P11, from the commit of a payment to a fresh answer of the API: python benchmarks/events.py --size 0.1m.

A real worker, a real server and a Valkey between them; payments are inserted one by one at a steady pace while people
read. What a size needs is made once and kept, as for bench.py.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

import figure  # noqa: E402
import psycopg  # noqa: E402
from figure import Check, Figure, Latencies  # noqa: E402
from lab import CACHE, DAY, ROOT, SIZES, TOUCH, Lab, laboratory  # noqa: E402
from serving.stage import Stage  # noqa: E402

PER_SECOND, LIMIT_MS = 5, 2_000
READERS, PAUSE = 4, 0.1
LOOK = 0.02
PATIENCE = 300.0
QUESTIONS = [f"/api/v1/metrics/officers?per_page={rows}" for rows in (10, 25, 50)] + [
    "/api/v1/metrics/branches?per_page=50"
]
PAY = (
    "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid)"
    " VALUES (%s, %s, %s, 100, 100) RETURNING pg_current_xact_id()::text"
)
READ_TO = """
    SELECT mark ->> 'snapshot',
        (SELECT run_id FROM metric_calculation_log WHERE status = 'Completed' ORDER BY log_id DESC LIMIT 1)
    FROM change_readers WHERE reader = 'compute'
"""
SEES = "SELECT pg_visible_in_snapshot(%s::text::xid8, %s::pg_snapshot)"


@dataclass(frozen=True)
class EventStage(Stage):
    """A copy of the lender's database that payments may be added to."""

    @property
    def name(self) -> str:
        return f"events_{self.lab.size}"

    @property
    def home(self) -> Path:
        return self.lab.folder / "events"

    def prepare(self) -> str:
        with psycopg.connect(self.lab.server, autocommit=True) as admin:
            self._copy(admin)
        self._analyze()
        return ""


@dataclass
class Payment:
    """One event: when it was committed, published, and first told by the API; ``run_id`` published it."""

    xid: str
    committed: float
    published: float = 0.0
    run_id: str = ""
    told: float = 0.0


@dataclass
class Trial:
    """Payments, and the moments at which the API first told of each run."""

    stage: EventStage
    port: int
    token: str
    payments: list[Payment] = field(default_factory=list)
    runs: dict[str, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def pay(self, seconds: int) -> None:
        """At a steady pace, each payment in a transaction of its own, to loans all over the book."""
        with psycopg.connect(self.stage.url, autocommit=True) as session:
            query = "SELECT loan_id FROM loan_state WHERE on_book ORDER BY md5(loan_id) LIMIT %s"
            loans = session.execute(query, [seconds * PER_SECOND]).fetchall()
            began = time.monotonic()
            for number, (loan,) in enumerate(loans):
                time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
                row = session.execute(PAY, [f"{TOUCH}{number}", loan, DAY]).fetchone()
                assert row
                self.payments.append(Payment(row[0], time.monotonic()))

    def watch(self) -> None:
        """See which payments are published, as soon as they are."""
        with psycopg.connect(self.stage.url, autocommit=True) as session:
            before = None
            while not self.stop.wait(LOOK):
                row = session.execute(READ_TO).fetchone()
                if row and row != before:
                    seen, (snapshot, run_id), before = time.monotonic(), row, row
                    for it in [it for it in self.payments if not it.published]:
                        if session.execute(SEES, [it.xid, snapshot]).fetchone() == (True,):
                            it.published, it.run_id = seen, run_id

    def ask(self, question: str, pause: float) -> None:
        """Read on and on; note when a run is first told."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stop.wait(pause):
            line.request("GET", question, headers={"Authorization": f"Bearer {self.token}"})
            answer = line.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise SystemExit(f"the API answered {answer.status}")
            self.runs.setdefault(json.loads(body)["meta"]["run_id"], time.monotonic())

    def settle(self) -> None:
        """Wait until everything is published and told."""
        until = time.monotonic() + PATIENCE
        while not all(it.published and max(self.runs, default="") >= it.run_id for it in self.payments):
            if time.monotonic() > until:
                raise SystemExit("payments were never published")
            time.sleep(LOOK)
        for it in self.payments:
            it.told = min(when for run, when in self.runs.items() if run >= it.run_id)


@contextmanager
def working(stage: Stage, every: float) -> Iterator["subprocess.Popen[bytes]"]:
    """``loanmetrics worker`` on events alone, once it has computed today."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOANMETRICS_")}
    words = [sys.executable, "-m", "loanmetrics.cli", "worker", "--no-schedule", "--every", str(every)]
    given = {**kept, "PYTHONPATH": str(ROOT), **stage.environment}
    with subprocess.Popen(words, env=given, stderr=subprocess.DEVNULL) as process:
        try:
            _until_computed(stage, process)
            yield process
        finally:
            process.terminate()


def _until_computed(stage: Stage, process: "subprocess.Popen[bytes]") -> None:
    with psycopg.connect(stage.url, autocommit=True) as session:
        while session.execute(READ_TO).fetchone() is None:
            if process.poll() is not None:
                raise SystemExit("the worker ended")
            time.sleep(0.1)


def measure(lab: Lab, redis_url: str, every: float, seconds: int) -> Figure:
    """One trial on a fresh copy of the database."""
    from serving.programs import ours

    stage = EventStage(lab, redis_url)
    stage.prepare()
    with working(stage, every), ours(stage) as program:
        trial = Trial(stage, program.port, stage.tokens[0][0])
        threads = [
            threading.Thread(target=trial.watch),
            threading.Thread(target=trial.ask, args=(QUESTIONS[0], LOOK)),
        ]
        threads += [
            threading.Thread(target=trial.ask, args=(QUESTIONS[n % len(QUESTIONS)], PAUSE))
            for n in range(READERS)
        ]
        for thread in threads:
            thread.start()
        try:
            trial.pay(seconds)
            trial.settle()
        finally:
            trial.stop.set()
            for thread in threads:
                thread.join()
        hits, asked = _cache(program.port)
    return _told(trial, hits, asked, every, seconds)


def _cache(port: int) -> tuple[float, float]:
    """Answers found in a cache, and all of them."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request("GET", "/metrics")
    rows = [
        row
        for row in line.getresponse().read().decode().splitlines()
        if row.startswith("loanmetrics_cache_events_total{")
    ]
    count = {row.split('event="')[1].split('"')[0]: float(row.rsplit(" ", 1)[1]) for row in rows}
    hits = sum(value for name, value in count.items() if name.startswith("hit"))
    return hits, hits + count.get("miss", 0.0)


def _told(trial: Trial, hits: float, asked: float, every: float, seconds: int) -> Figure:
    published = _latencies([it.published - it.committed for it in trial.payments], seconds)
    fresh = _latencies([it.told - it.committed for it in trial.payments], seconds)
    runs = len({it.run_id for it in trial.payments})
    note = (
        f"{len(trial.payments):,} payments, {PER_SECOND} a second, each to another loan; {runs} event runs, at least"
        f" {every:g} s apart; {1 + READERS} readers of {len(QUESTIONS)} lists found {100 * hits / asked:.0f} % of"
        f" {asked:,.0f} answers in a cache."
    )
    checks = [Check(f"p95, runs {every:g} s apart", fresh.p95, LIMIT_MS, "ms")]
    answers = {"commit to published": published, "commit to a fresh answer": fresh}
    return Figure("P11", "Commit of a payment to a fresh API answer", checks, {}, note, answers=answers)


def _latencies(seconds: list[float], over: int) -> Latencies:
    ordered = sorted(1000 * it for it in seconds)
    at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99)]
    return Latencies(len(ordered), len(ordered) / over, *at)


def main() -> None:
    args = _arguments()
    from bench import keep, say, told

    from tests.http.valkey import valkey

    with laboratory(args.cache) as server, valkey() as shared:
        shared.start()
        lab: Any = Lab(args.size, SIZES[args.size], server, args.cache)
        say(f"{lab.size}: P11")
        found = measure(lab, shared.url, args.every, args.seconds)
        keep(lab, found, args.results)
        say(told(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="1m")
    parser.add_argument("--seconds", type=int, default=60, help="how long payments come")
    parser.add_argument("--every", type=float, default=2.0, help="the worker's --every")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--results", type=Path, default=figure.RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
