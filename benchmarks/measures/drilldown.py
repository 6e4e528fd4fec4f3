"""P10, below HTTP: the loans behind the figures of a past day, first asked for and then page by page, with names."""

import os
import random
import shutil
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figure import Check, Figure, Runs
from lab import DAY, Lab

if TYPE_CHECKING:
    import polars as pl

PAST = DAY - timedelta(days=100)
ROWS, PAGES = 50, 100
OFFICER, BRANCH, ALL = "one officer", "one branch", "all loans"
FIRST, PAGE = "first touch, {}", "a page after, {}"
SORTS = ("-loan_risk_score", "-current_dpd", "-outstanding_balance", "disbursement_date", "branch")


def measure(lab: Lab) -> Figure:
    """Files of the day are taken away before each first touch; pages go on by cursor, in some order."""
    told = lab.work("drilldown", facts=lab.facts, database=lab.database, day=PAST, repeat=lab.repeat)
    runs = {name: Runs(seconds, told["peak"]) for name, seconds in told["runs"].items()}
    pages = [seconds for name, each in runs.items() if name.startswith("a page") for seconds in each.seconds]
    slowest = sorted(pages)[int(len(pages) * 0.95)]
    firsts = [Check(name, run.median, 1, "s") for name, run in runs.items() if name.startswith("first")]
    checks = [*firsts, Check("95 % of pages after", 1000 * slowest, 200, "ms")]
    note = (
        f"Below HTTP, one worker: {ROWS} rows with names, of any filter and order. Nothing of the day is kept at first "
        f"touch; then all of it, {told['bytes'] / 2**20:,.0f} MiB. Every page that is sorted alike makes up the whole."
    )
    return Figure("P10", "The loans behind a figure", checks, runs, note)


def work(facts: str, database: str, day: str, repeat: int) -> dict[str, Any]:
    from peers import memory

    from loanmetrics.facts.days import opened
    from loanmetrics.facts.lake import Lake
    from loanmetrics.jobs.days import whole
    from loanmetrics.jobs.drilldown import Where, loan_rows, with_names
    from loanmetrics.jobs.paging import Page, page
    from loanmetrics.settings import Settings
    from loanmetrics.store.session import connect

    settings, lake, past = Settings(readers=os.cpu_count() or 1), Lake(Path(facts)), date.fromisoformat(day)
    version, dice = lake.current, random.Random(7)
    lake.keep(version)
    cells = lake.small(version, "cells")
    officers, branches = (cells[name].unique().sort().to_list() for name in ("officer_id", "branch"))
    runs: dict[str, list[float]] = {}
    wheres: dict[str, Callable[[], Where]] = {
        OFFICER: lambda: Where(officer_id=[dice.choice(officers)]),
        BRANCH: lambda: Where(branch=[dice.choice(branches)]),
        ALL: Where,
    }
    with connect(database) as connection:

        def look(label: str, where: Where, sort: list[str], after: str | None = None) -> Page:
            began = time.perf_counter()
            found = page(loan_rows(settings, lake, version, past, where), sort, ROWS, after=after)
            named = with_names(connection, found.rows)
            runs.setdefault(label, []).append(time.perf_counter() - began)
            if named["customer_name"].null_count():
                raise SystemExit("a loan has no name; no figures.")
            return found

        for name, where in wheres.items():
            for _ in range(repeat):
                shutil.rmtree(lake.days.folder, ignore_errors=True)
                for cached in (whole, opened):
                    cached.cache_clear()
                look(FIRST.format(name), where(), [SORTS[0]])
        for name, where in wheres.items():
            sort, after = [SORTS[0]], None
            chosen = where()
            for _ in range(PAGES):
                after = look(PAGE.format(name), chosen, sort, after).next_cursor
                if after is None or dice.random() < 0.2:
                    sort, after, chosen = [dice.choice(SORTS)], None, where()
        kept = sum(path.stat().st_size for path in lake.days.folder.glob("*.arrow"))
        _insist(loan_rows(settings, lake, version, past, Where(officer_id=officers[:1])), page)
    shutil.rmtree(lake.days.folder)
    return {"runs": runs, "bytes": kept, "peak": memory.own_peak()}


def _insist(rows: "pl.LazyFrame", page: Callable[..., Any]) -> None:
    """Pages one after the other hold every loan once."""
    seen: list[str] = []
    after = None
    while True:
        made = page(rows, [SORTS[1]], ROWS, after=after)
        seen += made.rows["loan_id"].to_list()
        after = made.next_cursor
        if after is None:
            break
    if sorted(seen) != sorted(rows.collect()["loan_id"].to_list()):
        raise SystemExit("the pages do not make up the whole; no figures.")
