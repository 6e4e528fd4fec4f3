"""What must hold when everything is over: nothing lost, and the figures are those of a fresh full run."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from lab import ROOT, TOUCH

from loanmetrics.jobs.running import READER
from loanmetrics.store import changes
from soaking.house import SoakStage
from soaking.record import Proof

PATIENCE = 120.0
ACTION = "Call"
PAID = "SELECT count(*) FROM repayments WHERE repayment_id LIKE %s"
WRITTEN = "SELECT count(*) FROM audit_tracking WHERE action_type = %s"
NEWEST = "SELECT max(calculation_date) FROM officer_metrics_daily"
RUNS = """
    SELECT calculation_type || ' ' || lower(status), count(*) FROM metric_calculation_log
    WHERE start_time >= now() - make_interval(secs => %s) GROUP BY 1 ORDER BY 1
"""


def settle(stage: SoakStage) -> Proof:
    """Wait until the worker has published all that was committed."""
    began = time.monotonic()
    with psycopg.connect(stage.url, autocommit=True) as session:
        while changes.pending(session, READER) and time.monotonic() < began + PATIENCE:
            time.sleep(0.1)
        left = changes.pending(session, READER)
    took = time.monotonic() - began
    return Proof("all payments published by the worker", not left, f"{took:.1f} s after the last one")


def runs(stage: SoakStage, seconds: float) -> dict[str, int]:
    """Runs that began in the last so many seconds, by kind and what became of them."""
    with psycopg.connect(stage.url) as session:
        return dict(session.execute(RUNS, [seconds]).fetchall())


def prove(stage: SoakStage, paid: int, asked: dict[str, Any]) -> Iterator[Proof]:
    """All of it, on the database as it was left."""
    with psycopg.connect(stage.url) as session:
        day = _one(session, NEWEST)
        found = _one(session, PAID, f"{TOUCH}%")
        written = _one(session, WRITTEN, ACTION)
    yield Proof("every payment committed is there", found == paid, f"{found:,} of {paid:,}")
    sure, unsure = asked["written"], asked["unknown"]
    told = f"{written:,} rows; {sure:,} writes were acknowledged, of {unsure:,} the answer was lost"
    yield Proof("every audit acknowledged is in the chain", sure <= written <= sure + unsure, told)
    yield Proof("no writer saw an audit older than their own", not asked["stale"], f"{asked['stale']} did")
    full = _command(stage, "compute", "--full", "--as-of", str(day))
    same = full.returncode == 0 and "; 0 rows changed" in full.stdout
    yield Proof("the last run's figures are those of compute --full", same, _first(full))
    verified = _command(stage, "verify", "--as-of", str(day))
    yield Proof("loanmetrics verify", verified.returncode == 0, f"exit code {verified.returncode}")


def _command(stage: SoakStage, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loanmetrics.cli", *words]
    return subprocess.run(
        command, env=stage.clean_environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def _first(done: "subprocess.CompletedProcess[str]") -> str:
    return next(iter((done.stdout or done.stderr).splitlines()), "said nothing")


def _one(session: psycopg.Connection, query: str, *given: object) -> Any:
    row = session.execute(query.encode(), given).fetchone()
    assert row is not None
    return row[0]
