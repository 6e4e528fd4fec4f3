"""What one shard costs, step by step: python benchmarks/shards.py --size 1m.

Seconds of CPU, which a busy machine changes little, stand beside seconds on the wall. Work on a shard is measured as a
worker with one thread does it. docs/scale.md plans with these figures.
"""

import argparse
import json
import os
import pickle
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from lab import CACHE, DAY, SIZES, Lab, laboratory, timed  # noqa: E402

if TYPE_CHECKING:
    from loanmetrics.engine.book import Book

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20
Row = dict[str, Any]
HEADS = ("step", "CPU s", "server CPU s", "wall s", "peak MiB", "out MiB", "back MiB", "disk MiB", "WAL MiB")


class Steps:
    """Steps done by this process, and by a server on this machine for it."""

    def __init__(self, postmaster: int = 0) -> None:
        self.postmaster = postmaster
        self.rows: list[Row] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Row]:
        """Measure the block, which may tell more of itself."""
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the steps before
        row: Row = {"step": name}
        began, used, served = time.perf_counter(), time.process_time(), self._served()
        yield row
        row["wall s"] = time.perf_counter() - began
        row["CPU s"] = time.process_time() - used
        if self.postmaster:
            time.sleep(1)  # what served has to have ended
            row["server CPU s"] = self._served() - served
        row["peak MiB"] = int(_word("/proc/self/status", "VmHWM:")) / 1024
        self.rows.append(row)

    def _served(self) -> float:
        """CPU seconds of the server's processes that have ended."""
        if not self.postmaster:
            return 0.0
        ticks = Path(f"/proc/{self.postmaster}/stat").read_text().rpartition(")")[2].split()[13:15]
        return sum(map(int, ticks)) / TICKS


def _word(path: str, label: str) -> str:
    return Path(path).read_text().split(label)[1].split()[0]


def each(facts: str) -> list[Row]:
    """A day and a month of every shard, one after the other."""
    from loanmetrics.facts.lake import open_book

    book, steps = open_book(Path(facts), DAY), Steps()
    with TemporaryDirectory(dir=facts) as room:
        tasks = _tasks(book, Path(room))
        for shard in book.facts.shards:
            for name, task in tasks.items():
                with steps.step(f"a shard: {name}") as row:
                    made = task(shard)
                row["out MiB"] = len(pickle.dumps((task, shard))) / MIB
                row["back MiB"] = len(pickle.dumps(made)) / MIB
    return steps.rows


def _tasks(book: "Book", room: Path) -> dict[str, "partial[Any]"]:
    """The tasks of a run and of a backfill of the month, as an executor gets them."""
    import numpy as np

    from loanmetrics.engine import run
    from loanmetrics.engine.catalogue import load
    from loanmetrics.engine.history.past import eras
    from loanmetrics.engine.history.steps import Stretch
    from loanmetrics.engine.history.sums import shard_sums
    from loanmetrics.engine.history.transitions import shard_transitions
    from loanmetrics.engine.state import channels
    from loanmetrics.jobs.figures import _shard_sums

    alone, catalogue, first = book.of_one_shard(), load(), book.day - DAY.day + 1
    days, eve = (Stretch(np.arange(begin, book.day + 1)) for begin in (first, first - 1))
    known, measures = eras(book, first), run.loan_measures(catalogue)
    size = 1 + book.facts.cells["cell"].to_numpy().max()
    return {
        "one day": partial(
            _shard_sums,
            path=room / "states",
            book=alone,
            reference=channels(book),
            catalogue=catalogue,
            places=book.facts.cells,
        ),
        "a month, sums": partial(
            shard_sums, book=alone, days=days, known=known, measures=measures, size=size
        ),
        "a month, transitions": partial(shard_transitions, book=alone, days=eve),
    }


def whole(url: str, folder: str) -> list[Row]:
    """What one machine does for all shards: read the source, make facts of it, name, add up, publish."""
    import polars as pl
    import psycopg

    from loanmetrics.engine.book import Book
    from loanmetrics.engine.catalogue import load
    from loanmetrics.facts import raw
    from loanmetrics.facts.extract import extract, snapshot
    from loanmetrics.facts.lake import Lake
    from loanmetrics.facts.prepare import prepare
    from loanmetrics.facts.writing import write
    from loanmetrics.jobs.figures import _afresh
    from loanmetrics.policy import Policy
    from loanmetrics.store.loan_states import replace_loans
    from loanmetrics.store.partitions import ensure_partitions

    steps, lake, work = Steps(_postmaster(url)), Lake(Path(folder) / "lake"), Path(folder) / "work"
    room = Path(folder) / "room"
    room.mkdir(parents=True)
    connection = raw.connect(work)
    with steps.step("extract") as row, snapshot(url) as held:
        extract(held, connection, work)
    row["disk MiB"] = _size(work)
    with steps.step("prepare") as row:
        intake = prepare(connection, Policy())
    row["disk MiB"] = _size(work)
    with steps.step("write the shards") as row:
        version = write(connection, lake, "bench", Policy(), intake, engine="bench")
    row["disk MiB"] = _size(lake.folder)
    connection.close()
    book = Book(lake.facts(version), DAY)
    with steps.step("one day of all shards, named and added up") as row:
        states = _afresh(book, load(), partial(ThreadPoolExecutor, 1), room).loan_states
    row["disk MiB"] = _size(room)
    with psycopg.connect(url, autocommit=True) as watching:
        disbursed = pl.concat(states).select(pl.col("disbursement_date").unique()).collect()
        ensure_partitions(watching, ["loan_state"], disbursed["disbursement_date"])
        for name in ("publish loan state", "publish it again, nothing changed"):
            before = _log_bytes(watching)
            with steps.step(name) as row, psycopg.connect(url) as publishing:
                replace_loans(publishing, states, None)
            row["WAL MiB"] = (_log_bytes(watching) - before) / MIB
        row["disk MiB"] = (
            _number(
                watching, "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('loan_state')"
            )
            / MIB
        )
    return steps.rows


def _postmaster(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as connection:
        return int(_word(f"/proc/{connection.info.backend_pid}/status", "PPid:"))


def _log_bytes(connection: Any) -> float:
    return _number(connection, "SELECT pg_current_wal_lsn() - '0/0'")


def _number(connection: Any, query: str) -> float:
    return float(connection.execute(query).fetchone()[0])


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MIB


STEPS: dict[str, Callable[..., list[Row]]] = {"each": each, "whole": whole}


def _table(rows: list[Row]) -> str:
    """One line per step: the median of those of one name, and how many they were."""
    heads = [head for head in HEADS if any(head in row for row in rows)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in dict.fromkeys(row["step"] for row in rows):
        same = [row for row in rows if row["step"] == name]
        cells = [name if len(same) == 1 else f"{name} (median of {len(same)})"]
        for head in heads[1:]:
            found = [row[head] for row in same if head in row]
            cells.append(f"{statistics.median(found):,.2f}" if found else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="1m")
    parser.add_argument(
        "--loans", type=int, help="another number of loans than the size says (to try things)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--work", nargs=2, metavar=("NAME", "JSON"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        name, given = args.work
        sys.stdout.write(json.dumps(STEPS[name](**json.loads(given))))
        return
    with laboratory(args.cache) as server:
        lab = Lab(args.size, args.loans or SIZES[args.size], server, args.cache)
        scratch = lab.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        rows = _apart("each", {"POLARS_MAX_THREADS": "1"}, facts=str(lab.facts))
        rows += _apart("whole", {}, url=lab.database, folder=str(scratch))
    sys.stdout.write(_table(rows) + "\n")


def _apart(name: str, environment: dict[str, str], **given: str) -> list[Row]:
    """The steps of a function, done by a process of its own."""
    made: list[Row] = json.loads(
        timed([sys.executable, __file__, "--work", name, json.dumps(given)], environment).out
    )
    return made


if __name__ == "__main__":
    main()
