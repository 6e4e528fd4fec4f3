"""P8: publishing the rows of 1,000 officers and their branches, beside a raw COPY of the same rows.

Both write to the same tables with their keys and indexes, and both wait for the disk.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figure import Check, Figure, Runs
from lab import DAY, OFFICERS, Lab

if TYPE_CHECKING:
    import polars as pl
    import psycopg

DAYS = 365
TABLES = ("officer_metrics_daily", "branch_metrics_daily")
PUBLISH, AGAIN, COPY = "publish {}", "publish {} again, nothing changed", "raw COPY of {}"
ONE, YEAR = "1 day", f"{DAYS} days"


def measure(lab: Lab) -> Figure:
    told = lab.work("publishing", facts=lab.facts, server=lab.server, repeat=lab.repeat)
    runs = {name: Runs(seconds) for name, seconds in told["runs"].items()}
    day, year = runs[PUBLISH.format(ONE)].median, runs[PUBLISH.format(YEAR)].median
    checks = [
        Check("1 day", 1000 * day, 100, "ms"),
        Check(f"{DAYS} days, of raw COPY", year / runs[COPY.format(YEAR)].median, 1.5),
    ]
    note = f"{told['rows']:,} rows of all columns in the year; fsync on."
    return Figure("P8", f"Publish {OFFICERS:,} officers and their branches", checks, runs, note)


def work(facts: str, server: str, repeat: int) -> dict[str, Any]:
    from loanmetrics.store.session import connect

    whole = _rows(Path(facts))
    runs: dict[str, list[float]] = {}
    with _database(server) as url, connect(url) as connection:
        for name, first in ((ONE, DAY), (YEAR, DAY - timedelta(DAYS - 1))):
            parts = [frame.filter(frame["calculation_date"] >= first) for frame in whole]
            texts = _texts(connection, parts)
            for _ in range(repeat):
                for label, act in (
                    (COPY, lambda texts=texts: _copy(connection, texts)),
                    (PUBLISH, _publication(connection, parts, first)),
                    (AGAIN, _publication(connection, parts, first)),
                ):
                    if label != AGAIN:
                        connection.execute(f"TRUNCATE {', '.join(TABLES)}".encode())
                        connection.execute("CHECKPOINT")
                    began = time.perf_counter()
                    act()
                    runs.setdefault(label.format(name), []).append(time.perf_counter() - began)
    return {"runs": runs, "rows": sum(map(len, whole))}


def _rows(facts: Path) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Officers and branches of every day of the year, as a backfill makes them."""
    from loanmetrics.facts import lake
    from loanmetrics.jobs.backfill import days

    with ThreadPoolExecutor(2) as pool:
        made = days(lake.open_book(facts, DAY), DAY - timedelta(DAYS - 1), pool)
    return made.officers, made.branches


def _publication(
    connection: "psycopg.Connection", parts: "list[pl.DataFrame]", first: date
) -> "Callable[[], object]":
    from loanmetrics.store import runs
    from loanmetrics.store.publish import publish

    run = runs.start(connection, "backfill", DAY, engine_version="bench", policy_hash="bench")
    officers, branches = parts
    return lambda: publish(connection, run, officers, branches, first=first)


def _texts(connection: "psycopg.Connection", parts: "list[pl.DataFrame]") -> list[tuple[bytes, bytes]]:
    """Each table's rows as COPY wants them, and the statement that takes them."""
    import polars as pl

    from loanmetrics.store.frames import MONEY, column_types

    texts = []
    for table, frame in zip(TABLES, parts, strict=True):
        stamped = frame.with_columns(run_id=pl.lit("bench"), calculated_at=pl.lit("2026-06-30 12:00:00+00"))
        types = column_types(connection, table)
        units = [
            (pl.col(name).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(38, 2))
            for name in stamped.columns
            if types[name] == MONEY
        ]
        buffer = BytesIO()
        stamped.with_columns(units).write_csv(buffer, include_header=False)
        columns = ", ".join(f'"{name}"' for name in stamped.columns)
        texts.append((f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)".encode(), buffer.getvalue()))
    return texts


def _copy(connection: "psycopg.Connection", texts: list[tuple[bytes, bytes]]) -> None:
    with connection.transaction():
        for statement, text in texts:
            with connection.cursor().copy(statement) as copy:
                for start in range(0, len(text), 1 << 20):
                    copy.write(text[start : start + (1 << 20)])


@contextmanager
def _database(server: str) -> Iterator[str]:
    import psycopg

    from loanmetrics.store.migrate import migrate

    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS bench_publishing")
        admin.execute("CREATE DATABASE bench_publishing")
        try:
            url = server.replace("/postgres?", "/bench_publishing?")
            migrate(url)
            yield url
        finally:
            admin.execute("DROP DATABASE bench_publishing WITH (FORCE)")
