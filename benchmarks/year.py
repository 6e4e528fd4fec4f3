"""A year of every measure against one day: python benchmarks/year.py --facts DIR --to 2026-06-30.

One process, one day and the year in turn; some days of the year are held to the day computed alone.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from peers import memory

if TYPE_CHECKING:
    import polars as pl

ROOT = Path(__file__).parent.parent
DAYS = 365
CHECKED = (0, 100, 364)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    args = _arguments()
    from loanmetrics.engine.catalogue import load
    from loanmetrics.engine.history.sums import sums
    from loanmetrics.engine.run import add_up, each_shard, shard_cells
    from loanmetrics.facts import lake

    catalogue, first = load(), args.to - timedelta(DAYS - 1)
    facts = lake.open_facts(args.facts)
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def alone(day: date) -> "pl.DataFrame":
            book = lake.open_book(args.facts, day)
            return add_up(catalogue, each_shard(book, partial(shard_cells, catalogue=catalogue), pool))

        policy = lake.open_book(args.facts, args.to).policy
        day, year = [], []
        for _ in range(args.repeat):
            day.append(_timed(lambda: alone(args.to))[1])
            whole, took = _timed(lambda: sums(facts, policy, first, args.to, catalogue, pool))
            year.append(took)
        for after in CHECKED:
            _insist(whole, first + timedelta(after), alone(first + timedelta(after)))
    ratio = median(year) / median(day)
    print(f"one day {median(day):.2f} s, {DAYS} days {median(year):.2f} s: {ratio:.1f} x one day;")
    print(
        f"medians of {args.repeat}, peak {memory.own_peak():,.0f} MiB; {len(CHECKED)} days equal to the day alone"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True, help="a folder of prepared facts")
    parser.add_argument("--to", type=date.fromisoformat, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def _timed(work: "Callable[[], pl.DataFrame]") -> "tuple[pl.DataFrame, float]":
    start = time.perf_counter()
    made = work()
    return made, time.perf_counter() - start


def _insist(whole: "pl.DataFrame", day: date, alone: "pl.DataFrame") -> None:
    import polars as pl

    measures = alone.columns[1:]
    some = pl.any_horizontal(pl.col(measures) != 0)
    of_day = whole.filter(pl.col("calculation_date") == day).select(alone.columns).filter(some)
    if not of_day.sort("cell").equals(alone.filter(some).sort("cell")):
        sys.exit(f"{day}: the year and the day do not agree; no ratios.")


if __name__ == "__main__":
    main()
