"""Where a size is measured: its files and its database, made once and kept, and processes that are timed."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from figure import Runs
from peers import effort

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = Path(os.environ.get("LOANMETRICS_BENCH_CACHE", HERE / "cache"))
SIZES = {"0.1m": 100_000, "0.3m": 300_000, "1m": 1_000_000, "3m": 3_000_000, "10m": 10_000_000}
OFFICERS, MONTHS = 1_000, 24
DAY = date(2026, 6, 30)
DERIVED = (
    *("loan_state", "officer_metrics_daily", "branch_metrics_daily", "dpd_transitions", "par15_snapshots"),
    *("restatements", "metric_calculation_log"),
)
TOUCH = "BENCH"  # how the ids of payments begin that a measurement adds


@dataclass(frozen=True)
class Timed:
    """A process that ended well."""

    seconds: float
    cpu: float
    peak: float
    out: str


@dataclass(frozen=True)
class Lab:
    """One size of lender on this machine."""

    size: str
    loans: int
    server: str
    cache: Path = CACHE
    repeat: int = 3

    @property
    def folder(self) -> Path:
        return self.cache / self.size

    @property
    def home(self) -> Path:
        """Where the command line keeps its facts."""
        return self.folder / "home"

    @cached_property
    def raw(self) -> Path:
        """The lender's tables as Parquet."""
        options = [
            "--loans",
            self.loans,
            "--officers",
            OFFICERS,
            "--months",
            MONTHS,
            "--end",
            DAY,
            "--no-mess",
        ]
        return self._made("raw", lambda out: self._script("generate.py", *options, "--out", out))

    @cached_property
    def facts(self) -> Path:
        """The same as prepared facts."""
        return self._made("facts", lambda out: self._script("facts.py", self.raw, out))

    @cached_property
    def database(self) -> str:
        """The URL of a database that holds the lender's tables and nothing derived from them."""
        import bulk

        from loanmetrics.store.migrate import migrate

        name = f"bench_{self.size}"
        url = self.server.replace("/postgres?", f"/{name}?")
        with psycopg.connect(self.server, autocommit=True) as admin:
            if self._told_when_loaded(admin, name) is None:
                self._say("filling the database")
                admin.execute(f'DROP DATABASE IF EXISTS "{name}"'.encode())
                admin.execute(f'CREATE DATABASE "{name}"'.encode())
                shutil.rmtree(self.folder / "csv", ignore_errors=True)
                began = time.perf_counter()
                bulk.load(url, self.raw, self.folder / "csv")
                told = f"{time.perf_counter() - began:.0f} s"
                admin.execute(f"COMMENT ON DATABASE \"{name}\" IS '{told}'".encode())
        migrate(url)
        self.clean(url)
        return url

    @property
    def loaded(self) -> str:
        """How long filling the database took; empty if there is none."""
        with psycopg.connect(self.server, autocommit=True) as admin:
            return self._told_when_loaded(admin, f"bench_{self.size}") or ""

    @cached_property
    def server_version(self) -> str:
        """As PostgreSQL names it, e.g. 18.1."""
        with psycopg.connect(self.server) as connection:
            return connection.info.parameter_status("server_version") or "unknown"

    @cached_property
    def server_process(self) -> int:
        """The server's main process."""
        from peers.postgres import server_process

        return server_process(self.server)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Rows of the lender's tables."""
        import pyarrow.parquet as pq

        names = ("loans", "repayments", "loan_schedule", "officers")
        return {name: pq.read_metadata(self.raw / f"{name}.parquet").num_rows for name in names}

    def clean(self, url: str) -> None:
        """Take away what earlier measurements added and published, and the command line's facts."""
        shutil.rmtree(self.home, ignore_errors=True)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "DELETE FROM repayments WHERE payment_date = %s AND repayment_id >= %s AND repayment_id < %s",
                [DAY, TOUCH, f"{TOUCH}~"],
            )
            connection.execute(f"TRUNCATE {', '.join(DERIVED)}".encode())
            connection.execute("DELETE FROM change_readers")
            connection.execute("DELETE FROM change_log")
            connection.execute("VACUUM change_log")

    def command_line(self, *words: object, **environment: str) -> Timed:
        """``loanmetrics`` as a process of its own, on this size's database."""
        given = {"LOANMETRICS_DATABASE_URL": self.database, "LOANMETRICS_HOME": str(self.home)}
        command = [sys.executable, "-m", "loanmetrics.cli", *words]
        return timed(command, {**given, **environment}, self.server_process)

    def work(self, name: str, **given: object) -> Any:
        """What a function ``work`` of a measure returns, run in a process of its own."""
        command = [sys.executable, HERE / "bench.py", "--work", name, json.dumps(given, default=str)]
        return json.loads(timed(command).out)

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        target, partial = self.folder / name, self.folder / f"{name}.partial"
        if not target.exists():
            self._say(f"making {name}")
            shutil.rmtree(partial, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            make(partial)
            partial.rename(target)
        return target

    def _script(self, name: str, *words: object) -> None:
        subprocess.run([sys.executable, HERE / name, *map(str, words)], check=True, cwd=ROOT)

    def _told_when_loaded(self, admin: psycopg.Connection, name: str) -> str | None:
        row = admin.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
        return row[0] if row else None

    def _say(self, what: str) -> None:
        sys.stderr.write(f"{self.size}: {what} ...\n")


def timed(command: list[Any], environment: Mapping[str, str] | None = None, server: int = 0) -> Timed:
    """Run a process to its end: wall and processor seconds, peak memory in MiB, what it printed.

    The processor's include those of the ``server`` that it used. The peak is not below what this process holds at the
    moment, which is little.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOANMETRICS_")}
    began, before = time.perf_counter(), effort.of_server(server)
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**clean, **(environment or {})},
    )
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:6]))} ... failed with {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime + effort.of_server(server) - before
    return Timed(seconds, cpu, usage.ru_maxrss / 1024, out)


def runs_of(done: list[Timed]) -> Runs:
    return Runs([run.seconds for run in done], max(run.peak for run in done), [run.cpu for run in done])


@contextmanager
def laboratory(cache: Path = CACHE) -> Iterator[str]:
    """The URL of a private server with fsync on, for as long as the block."""
    from loanmetrics.store import embedded

    home = cache / "server"
    home.mkdir(parents=True, exist_ok=True)
    with embedded.server(home) as url:
        yield url
