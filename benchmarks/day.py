"""One as-of day, every measure, side by side: python benchmarks/day.py --facts DIR --as-of 2026-06-30.

Each contender runs in its own process; all answers must be equal, cell by cell and measure by measure, or
nothing is told. PostgreSQL is the server of --dsn or LOANMETRICS_TEST_DSN, else a private one; it is filled,
indexed and analyzed before its clock starts. A block is appended to benchmarks/RESULTS.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from peers import memory

if TYPE_CHECKING:
    import polars as pl

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_name("RESULTS.md")
OURS = "loanmetrics"
CONTENDERS = {
    OURS: "loanmetrics, from the facts files",
    "duckdb-parquet": "DuckDB SQL, from the facts files",
    "duckdb-memory": "DuckDB SQL, tables in memory",
    "postgres": "PostgreSQL SQL, tables and indexes in place",
}
LONG = 60.0
Run = Callable[[], "pl.DataFrame"]
Ready = tuple[Run, Callable[[], float], str]  # what is timed, its peak memory so far, the engine's version


@dataclass(frozen=True)
class Outcome:
    """What one contender took: seconds of every run, peak memory in MiB (0: not known)."""

    name: str
    seconds: list[float]
    peak: float
    answer: Path
    engine: str

    @property
    def median(self) -> float:
        return median(self.seconds)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    args = _arguments()
    if args.contender:
        _contend(args)
        return
    with tempfile.TemporaryDirectory() as scratch, _server(args) as dsn:
        outcomes = [_race(name, args, dsn, Path(scratch)) for name in args.only]
        _insist_on_equal_answers(outcomes)
        block = _block(args, outcomes)
    sys.stdout.write(block)
    if args.record:
        _append(block)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True, help="a folder of prepared facts")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--dsn", default=os.environ.get("LOANMETRICS_TEST_DSN"))
    parser.add_argument("--jit", action="store_true", help="PostgreSQL with jit; off was faster")
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="in RESULTS.md")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def _server(args: argparse.Namespace) -> "Iterator[str | None]":
    if args.dsn or "postgres" not in args.only:
        yield args.dsn
        return
    from loanmetrics.store import embedded

    with tempfile.TemporaryDirectory() as home, embedded.server(Path(home)) as dsn:
        yield str(dsn)


def _race(name: str, args: argparse.Namespace, dsn: str | None, scratch: Path) -> Outcome:
    """One contender, in a process of its own."""
    answer = scratch / f"{name}.parquet"
    options = {
        "--contender": name,
        "--answer": answer,
        "--facts": args.facts,
        "--as-of": args.as_of,
        "--repeat": args.repeat,
        "--dsn": dsn,
    }
    given = [str(word) for option in options.items() if option[1] is not None for word in option]
    command = [sys.executable, __file__, *given, *["--jit"] * args.jit]
    sys.stderr.write(f"{CONTENDERS[name]} ...\n")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    return Outcome(name, told["seconds"], told["peak"], answer, told["engine"])


def _contend(args: argparse.Namespace) -> None:
    prepare = {
        OURS: _ours,
        "duckdb-parquet": _duckdb_on_parquet,
        "duckdb-memory": _duckdb_in_memory,
        "postgres": _postgres,
    }[args.contender]
    with prepare(args) as (run, peak, engine):
        answer, seconds = _timed(run)
        while len(seconds) < args.repeat and seconds[0] <= LONG:
            answer, more = _timed(run)
            seconds += more
        highest = peak()
    answer.write_parquet(args.answer)
    sys.stdout.write(json.dumps({"seconds": seconds, "peak": highest, "engine": engine}))


def _timed(run: Run) -> "tuple[pl.DataFrame, list[float]]":
    start = time.perf_counter()
    answer = run()
    return answer, [time.perf_counter() - start]


@contextmanager
def _ours(args: argparse.Namespace) -> Iterator[Ready]:
    from loanmetrics.engine import run
    from loanmetrics.facts import lake

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield (
            lambda: run.cells(lake.open_book(args.facts, args.as_of), executor=pool),
            memory.own_peak,
            _named("polars"),
        )


@contextmanager
def _duckdb_on_parquet(args: argparse.Namespace) -> Iterator[Ready]:
    from peers import duckdb

    from loanmetrics.policy import Policy

    yield duckdb.on_parquet(args.facts, args.as_of, Policy()), memory.own_peak, _named("duckdb")


@contextmanager
def _duckdb_in_memory(args: argparse.Namespace) -> Iterator[Ready]:
    from peers import duckdb

    from loanmetrics.policy import Policy

    yield duckdb.in_memory(args.facts, args.as_of, Policy()), memory.own_peak, _named("duckdb")


@contextmanager
def _postgres(args: argparse.Namespace) -> Iterator[Ready]:
    from peers import postgres

    from loanmetrics.policy import Policy

    postgres.load(args.dsn, args.facts)
    engine = f"PostgreSQL {postgres.server_version(args.dsn)}, jit {'on' if args.jit else 'off'}"
    try:
        with memory.watched(postgres.server_process(args.dsn)) as peak:
            yield postgres.one_day(args.dsn, args.as_of, Policy(), args.jit), peak, engine
    finally:
        postgres.drop(args.dsn)


def _insist_on_equal_answers(outcomes: list[Outcome]) -> None:
    import polars as pl
    from polars.testing import assert_frame_equal

    key = ["officer_id", "region", "branch"]
    wanted = pl.read_parquet(outcomes[0].answer)
    for other in outcomes[1:]:
        found = pl.read_parquet(other.answer)
        try:
            assert_frame_equal(
                found.sort(key), wanted.select(found.columns).sort(key), check_dtypes=False, check_exact=True
            )
        except (AssertionError, pl.exceptions.ColumnNotFoundError) as error:
            sys.exit(f"{other.name} and {outcomes[0].name} do not agree; no ratios.\n{error}")
        if set(found.columns) != set(wanted.columns):
            sys.exit(f"{other.name} lacks {set(wanted.columns) - set(found.columns)}; no ratios.")


def _block(args: argparse.Namespace, outcomes: list[Outcome]) -> str:
    rows = [_row(outcome, outcomes[0]) for outcome in outcomes]
    return "\n".join(
        (
            f"## One day, all measures: {_size(args.facts)}",
            "",
            f"As of {args.as_of}. Measured {date.today()} on {_machine()}; {_software(outcomes)}.",
            f"All answers equal in {_equal(outcomes)}.",
            "",
            f"| contender | seconds (median) | runs | ratio to {outcomes[0].name} | peak MiB |",
            "|---|---|---|---|---|",
            *rows,
            "",
        )
    )


def _row(outcome: Outcome, first: Outcome) -> str:
    runs = ", ".join(f"{seconds:.2f}" for seconds in outcome.seconds)
    ratio = outcome.median / first.median
    peak = f"{outcome.peak:,.0f}" if outcome.peak else "not seen"
    return f"| {CONTENDERS[outcome.name]} | {outcome.median:.2f} | {runs} | {ratio:.1f} x | {peak} |"


def _equal(outcomes: list[Outcome]) -> str:
    import polars as pl

    answer = pl.read_parquet(outcomes[0].answer)
    return f"{answer.height:,} cells x {answer.width - 3} measures"


def _size(facts: Path) -> str:
    import polars as pl

    counts = [
        f"{pl.scan_parquet(facts / f'{name}-*.parquet').select(pl.len()).collect().item():,} {label}"
        for name, label in (("loans", "loans"), ("repayments", "repayments"), ("schedule", "schedule rows"))
    ]
    return ", ".join(counts)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {models[0] if models else 'unknown CPU'}"


def _named(package: str) -> str:
    return f"{package} {version(package)}"


def _software(outcomes: list[Outcome]) -> str:
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    engines = dict.fromkeys(outcome.engine for outcome in outcomes)
    return ", ".join((f"Python {sys.version.split()[0]}", *engines, f"commit {commit or 'unknown'}"))


def _append(block: str) -> None:
    begun = RESULTS.exists()
    with RESULTS.open("a", encoding="utf-8") as results:
        results.write(("\n" if begun else "# Results\n\n") + block)


if __name__ == "__main__":
    main()
