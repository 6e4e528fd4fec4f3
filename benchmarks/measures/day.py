"""P2: one day, every measure, from prepared facts, beside the same in DuckDB and PostgreSQL.

Each contender runs in a process of its own; all answers must be equal, cell by cell and measure by measure. PostgreSQL
is filled, indexed and analyzed before its clock starts.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figure import Check, Figure, Runs
from lab import DAY, Lab

from measures.clock import repeated

if TYPE_CHECKING:
    import polars as pl

OURS = "loanmetrics, from the facts files"
PARQUET = "DuckDB SQL, from the facts files"
MEMORY = "DuckDB SQL, tables in memory"
POSTGRES = "PostgreSQL SQL, tables and indexes in place"
# What the machine has room for: DuckDB's tables in memory, and PostgreSQL's copy of the facts.
MOST_LOANS = {OURS: 10**9, PARQUET: 10**9, MEMORY: 3_000_000, POSTGRES: 10_000_000}

Run = Callable[[], "pl.DataFrame"]
# What is timed, its peak memory so far, processor seconds it has spent so far.
Ready = tuple[Run, Callable[[], float], Callable[[], float]]


def measure(lab: Lab) -> Figure:
    """Ours against each peer; nothing is told unless all agree."""
    with tempfile.TemporaryDirectory() as scratch:
        answers: dict[str, Path] = {}
        runs: dict[str, Runs] = {}
        for place, name in enumerate(name for name, most in MOST_LOANS.items() if lab.loans <= most):
            answers[name] = Path(scratch) / f"{place}.parquet"
            told = lab.work(
                "day",
                contender=name,
                facts=lab.facts,
                day=DAY,
                repeat=lab.repeat,
                dsn=lab.server,
                answer=answers[name],
            )
            runs[name] = Runs(told["seconds"], told["peak"], told["cpu"])
        equal = lab.work("day", answers={name: str(path) for name, path in answers.items()})
    checks = [
        Check(
            f"faster than {name.split(',')[0]}", runs[name].median / runs[OURS].median, limit, at_most=False
        )
        for name, limit in ((POSTGRES, 25), (MEMORY if MEMORY in runs else PARQUET, 1.5))
        if name in runs
    ]
    left_out = [name for name in MOST_LOANS if name not in runs]
    note = f"All answers equal in {equal}."
    if left_out:
        note += f" Not run at this size, for want of room or time: {'; '.join(left_out)}."
    return Figure("P2", "One day, all metrics, from the facts files", checks, runs, note)


def work(**given: Any) -> Any:
    if "answers" in given:
        return _insist_on_equal_answers(given["answers"])
    prepare = {OURS: _ours, PARQUET: _on_parquet, MEMORY: _in_memory, POSTGRES: _postgres}[given["contender"]]
    with prepare(Path(given["facts"]), date.fromisoformat(given["day"]), given["dsn"]) as (run, peak, spent):
        answer, taken = repeated(run, given["repeat"], spent)
        highest = peak()
    answer.write_parquet(given["answer"])
    return {"seconds": taken.seconds, "cpu": taken.cpu, "peak": highest}


@contextmanager
def _ours(facts: Path, day: date, dsn: str) -> Iterator[Ready]:
    from peers import effort, memory

    from loanmetrics.engine import run
    from loanmetrics.facts import lake

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield lambda: run.cells(lake.open_book(facts, day), executor=pool), memory.own_peak, effort.own


@contextmanager
def _on_parquet(facts: Path, day: date, dsn: str) -> Iterator[Ready]:
    from peers import duckdb, effort, memory

    from loanmetrics.policy import Policy

    yield duckdb.on_parquet(facts, day, Policy()), memory.own_peak, effort.own


@contextmanager
def _in_memory(facts: Path, day: date, dsn: str) -> Iterator[Ready]:
    from peers import duckdb, effort, memory

    from loanmetrics.policy import Policy

    yield duckdb.in_memory(facts, day, Policy()), memory.own_peak, effort.own


@contextmanager
def _postgres(facts: Path, day: date, dsn: str) -> Iterator[Ready]:
    from peers import effort, memory, postgres

    from loanmetrics.policy import Policy

    postgres.load(dsn, facts)
    try:
        server = postgres.server_process(dsn)
        with memory.watched(server) as peak:
            yield postgres.one_day(dsn, day, Policy(), jit=False), peak, lambda: effort.of_server(server)
    finally:
        postgres.drop(dsn)


def _insist_on_equal_answers(answers: dict[str, str]) -> str:
    import polars as pl
    from polars.testing import assert_frame_equal

    key = ["officer_id", "region", "branch"]
    wanted = pl.read_parquet(answers[OURS])
    for name, path in answers.items():
        found = pl.read_parquet(path)
        if set(found.columns) != set(wanted.columns):
            raise SystemExit(f"{name} has other measures; no ratios.")
        try:
            assert_frame_equal(
                found.sort(key), wanted.select(found.columns).sort(key), check_dtypes=False, check_exact=True
            )
        except AssertionError as error:
            raise SystemExit(f"{name} does not agree; no ratios.\n{error}") from None
    return f"{wanted.height:,} cells x {wanted.width - 3} measures"


def software() -> str:
    """Versions of what is compared."""
    return ", ".join(f"{name} {version(name)}" for name in ("polars", "duckdb"))
