"""P1: one day of a timeline that is there already.

No timeline is stored today: it is built in memory from the facts, and any number of days may then be asked of it. Both
costs are told, beside the bare reading of the columns that a day needs. Those of ten million loans would take 35 GB: of
a large book the timelines of some shards stand at a time, and what each such part takes is added up.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from figure import Check, Figure, Runs
from lab import DAY, Lab

from measures import day as p2
from measures.clock import Taken, repeated

BUILD, ONE_DAY, SCAN = "building the timeline", "a day of it, all metrics", "bare scan of the columns"
MOST_SHARDS = 12


def measure(lab: Lab, beside: Figure) -> Figure:
    """Held to the peers of the same run of P2."""
    told = lab.work("stored", facts=lab.facts, day=DAY, repeat=lab.repeat)
    runs = {
        name: Runs(told[name]["seconds"], told["peak"], told[name]["cpu"]) for name in (BUILD, ONE_DAY, SCAN)
    }
    peers = ((p2.POSTGRES, 100), (p2.PARQUET, 6))
    mine = runs[ONE_DAY].median
    checks = [
        Check(f"faster than {name.split(',')[0]}", beside.runs[name].median / mine, limit, at_most=False)
        for name, limit in peers
        if name in beside.runs
    ]
    checks.append(Check("of the bare scan", mine / runs[SCAN].median, 2))
    note = (
        "No timeline is stored: the day is asked of one built in memory, and its answer equals that of P2's way. "
        "Of the day's own rows only the cash payments of its float window are read again."
    )
    if told["parts"] > 1:
        note += f" The shards' timelines stood one after the other, in {told['parts']} parts of the book."
    return Figure("P1", "One day, all metrics, from a timeline that stands", checks, runs, note)


def work(facts: str, day: str, repeat: int) -> dict[str, Any]:
    import polars as pl
    from peers import memory

    from loanmetrics.engine.book import Book, Shard
    from loanmetrics.engine.catalogue import load
    from loanmetrics.engine.ledger import REPAYMENT_COLUMNS
    from loanmetrics.engine.run import add_up, each_shard, figures, merge, shard_cells
    from loanmetrics.engine.state import State, _cash_rows, channels
    from loanmetrics.facts import lake

    as_of, catalogue = date.fromisoformat(day), load()
    opened = lake.open_book(Path(facts), as_of)
    loans = (
        "loan",
        "cell",
        "amount",
        "disbursed",
        "maturity",
        "term",
        "rate",
        "fee",
        "channel",
        "status",
        "closed",
    )
    schedule = ("loan", "due", "principal", "interest", "fee")

    def scan(part: Sequence[Shard]) -> int:
        rows = 0
        for shard in part:
            plans = [
                shard.loans.select(loans),
                shard.schedule.select(schedule),
                shard.repayments.select(*REPAYMENT_COLUMNS, "created", "method"),
            ]
            rows += sum(map(len, pl.collect_all(plans)))
        return rows

    def build(part: Sequence[Shard]) -> list[State]:
        book = replace(opened, facts=replace(opened.facts, shards=tuple(part)))
        return each_shard(book, _warmed, pool, channels(opened))

    def ask(part: Sequence[Shard], states: list[State]) -> tuple[list[pl.DataFrame], pl.DataFrame]:
        book = Book(opened.facts, as_of, opened.policy)
        reference = channels(book)

        def of_shard(state: State, shard: Shard) -> pl.DataFrame:
            rows = _cash_rows(shard, state.ledger, book)
            return shard_cells(State(book, state.timeline, reference, rows), catalogue)

        cells = list(pool.map(of_shard, states, part))
        return cells, figures(book, catalogue, add_up(catalogue, cells))

    taken: dict[str, list[Taken]] = {SCAN: [], BUILD: [], ONE_DAY: []}
    asked: list[pl.DataFrame] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(opened.facts.shards), MOST_SHARDS):
            part = opened.facts.shards[start : start + MOST_SHARDS]
            _, scanned = repeated(partial(scan, part), repeat)
            states, built = repeated(partial(build, part), repeat)
            (cells, _), took = repeated(partial(ask, part, states), repeat)
            asked += cells
            for name, seconds in ((SCAN, scanned), (BUILD, built), (ONE_DAY, took)):
                taken[name].append(seconds)
            del states
        alone = merge(opened, catalogue, each_shard(opened, partial(shard_cells, catalogue=catalogue), pool))
    if not figures(opened, catalogue, add_up(catalogue, asked)).equals(alone):
        raise SystemExit("the timeline that stands and the one built anew do not agree; no ratios.")
    summed = {name: vars(_together(parts)) for name, parts in taken.items()}
    return {**summed, "peak": memory.own_peak(), "parts": len(taken[SCAN])}


def _together(parts: Sequence[Taken]) -> Taken:
    """What parts of one work took, added up run by run."""
    return Taken(
        [sum(runs) for runs in zip(*(part.seconds for part in parts), strict=False)],
        [sum(runs) for runs in zip(*(part.cpu for part in parts), strict=False)],
    )


def _warmed(state: Any) -> Any:
    """With everything made that does not depend on a day."""
    dues, rows = state.ledger.dues, state.ledger.repayments
    for made in (
        dues.key,
        dues.total,
        dues.parts,
        rows.key,
        rows.waivers,
        state.ledger.credit,
        state.ledger.closing,
    ):
        assert made is not None
    return state
