"""P3: a year of every measure against one day; some days of the year are held to the day computed alone."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figure import Check, Figure, Runs
from lab import DAY, Lab

from measures.clock import repeated

if TYPE_CHECKING:
    import polars as pl

DAYS = 365
CHECKED = (0, 100, 364)
ALONE, YEAR = "one day", f"{DAYS} days"


def measure(lab: Lab) -> Figure:
    told = lab.work("year", facts=lab.facts, last=DAY, repeat=lab.repeat)
    runs = {name: Runs(told[name]["seconds"], told["peak"], told[name]["cpu"]) for name in (ALONE, YEAR)}
    check = Check("of one day", runs[YEAR].median / runs[ALONE].median, 8)
    note = f"{len(CHECKED)} of the days held to the day computed alone, equal."
    return Figure("P3", f"{DAYS}-day backfill, compute, all measures", [check], runs, note)


def work(facts: str, last: str, repeat: int) -> dict[str, Any]:
    from peers import memory

    from loanmetrics.engine.catalogue import load
    from loanmetrics.engine.history.sums import sums
    from loanmetrics.engine.run import add_up, each_shard, shard_cells
    from loanmetrics.facts import lake

    catalogue, to = load(), date.fromisoformat(last)
    first, folder = to - timedelta(DAYS - 1), Path(facts)
    opened = lake.open_facts(folder)
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def alone(day: date) -> "pl.DataFrame":
            book = lake.open_book(folder, day)
            return add_up(catalogue, each_shard(book, partial(shard_cells, catalogue=catalogue), pool))

        policy = lake.open_book(folder, to).policy
        _, day = repeated(lambda: alone(to), repeat)
        whole, year = repeated(lambda: sums(opened, policy, first, to, catalogue, pool), repeat)
        for after in CHECKED:
            _insist(whole, first + timedelta(after), alone(first + timedelta(after)))
    return {ALONE: vars(day), YEAR: vars(year), "peak": memory.own_peak()}


def _insist(whole: "pl.DataFrame", day: date, alone: "pl.DataFrame") -> None:
    import polars as pl

    measures = alone.columns[1:]
    some = pl.any_horizontal(pl.col(measures) != 0)
    of_day = whole.filter(pl.col("calculation_date") == day).select(alone.columns).filter(some)
    if not of_day.sort("cell").equals(alone.filter(some).sort("cell")):
        sys.exit(f"{day}: the year and the day do not agree; no ratios.")
