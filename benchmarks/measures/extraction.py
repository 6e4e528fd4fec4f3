"""P4: all tables from PostgreSQL to typed relations, beside psql copying the same columns to nowhere."""

import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from figure import Check, Figure, Runs
from lab import Lab

from measures.clock import repeated

OURS = "loanmetrics, {} reader{}"
FLOOR = "psql COPY CSV to /dev/null, {} stream{}"
STREAMS = (1, 2)


def measure(lab: Lab) -> Figure:
    """Readers and streams in turn, so that all share what else the machine does."""
    runs: dict[str, Runs] = {}
    for streams in STREAMS:
        many = "s" * (streams > 1)
        floor = lab.work("extraction", url=lab.database, streams=streams, repeat=lab.repeat)
        runs[FLOOR.format(streams, many)] = Runs(floor["seconds"], cpu=floor["cpu"])
        ours = lab.work("extraction", url=lab.database, readers=streams, repeat=lab.repeat, folder=lab.folder)
        runs[OURS.format(streams, many)] = Runs(ours["seconds"], ours["peak"], ours["cpu"])
    mine = runs[OURS.format(2, "s")].median
    checks = [
        Check("of one psql stream", mine / runs[FLOOR.format(1, "")].median, 1.4),
        Check("of two psql streams", mine / runs[FLOOR.format(2, "s")].median, 2.0),
    ]
    note = (
        "Ours parses, types and checks: it ends with Parquet files whose rows and sums were compared with the "
        "source's own count in the same snapshot, which takes its share of the two cores."
    )
    return Figure("P4", "Extraction of all tables, lean columns", checks, runs, note)


def work(url: str, repeat: int, streams: int = 0, readers: int = 0, folder: str = "") -> dict[str, Any]:
    from peers import effort, memory, postgres

    server = postgres.server_process(url)
    act = partial(_floor, url, streams) if streams else partial(_ours, url, readers, folder)
    _, taken = repeated(act, repeat, lambda: effort.own() + effort.of_server(server))
    return {**vars(taken), "peak": memory.own_peak()}


def _ours(url: str, readers: int, folder: str) -> None:
    from loanmetrics.facts import raw
    from loanmetrics.facts.extract import extract, snapshot

    with tempfile.TemporaryDirectory(dir=folder) as work, snapshot(url) as held:
        connection = raw.connect(Path(work))
        source = extract(held, connection, Path(work), readers)
        for name, rows in source.rows.items():
            if connection.execute(f"SELECT count(*) FROM raw.{name}").fetchone() != (rows,):
                raise SystemExit(f"{name}: not all rows were read; no ratios.")
        connection.close()


def _floor(url: str, streams: int) -> None:
    from loanmetrics.facts.extract import BLOCK_ORDER, LEAVES
    from loanmetrics.store.embedded import find_binaries
    from loanmetrics.tables import FACT_COLUMNS

    psql = shutil.which("psql", path=str(find_binaries())) or shutil.which("psql")
    with psycopg.connect(url) as connection:
        tasks = [
            (name, row[0])
            for name in BLOCK_ORDER
            for row in connection.execute(LEAVES, [name]).fetchall() or [(name,)]
        ]

    def copy(task: tuple[str, str]) -> None:
        name, leaf = task
        query = f"COPY (SELECT {', '.join(FACT_COLUMNS[name])} FROM {leaf}) TO STDOUT (FORMAT csv)"
        if psql:
            subprocess.run([psql, url, "-qc", query], stdout=subprocess.DEVNULL, check=True)
            return
        with psycopg.connect(url) as reader, reader.cursor().copy(query.encode()) as blocks:
            for _ in blocks:
                pass

    with ThreadPoolExecutor(streams) as pool:
        for _ in pool.map(copy, tasks):
            pass
