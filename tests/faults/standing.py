"""What stands after a fault, read without the code under test: rows, runs, and the files of the facts."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as parquet

from tests.jobs.stored import LOG, asked

Row = tuple[Any, ...]
State = dict[str, list[Row]]
STAMPS = (
    "run_id",
    "calculated_at",
    "restated_at",
    "restatement_id",
    "before_run_id",
    "created_at",
    "updated_at",
)
DERIVED = (
    "officer_metrics_daily",
    "branch_metrics_daily",
    "loan_state",
    "dpd_transitions",
    "par15_snapshots",
)
SESSIONS = """
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'loanmetrics%'
"""
SMALL = ("manifests", "days", "leaves", "manifest.json")


def rows(url: str, *tables: str) -> State:
    """Every row of some tables in one snapshot, without its stamps; a reader that had to wait would fail."""
    with psycopg.connect(url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SET LOCAL lock_timeout = '5s'")
        return {
            table: reader.execute(
                f"SELECT (to_jsonb(t) - %s::text[])::text FROM {table} t ORDER BY 1".encode(), [list(STAMPS)]
            ).fetchall()
            for table in tables
        }


def restated(url: str, beyond: int) -> list[Row]:
    """What was restated since, and why, without stamps."""
    return asked(
        url,
        f"SELECT (to_jsonb(t) - '{{{','.join(STAMPS)}}}'::text[])::text FROM restatements t"
        f" WHERE restatement_id > {beyond} ORDER BY 1",
    )


def last_restatement(url: str) -> int:
    return int(asked(url, "SELECT coalesce(max(restatement_id), 0) FROM restatements")[0][0])


def completed(url: str) -> int:
    """How many runs have completed."""
    return int(asked(url, f"SELECT count(*) FROM {LOG} WHERE status = 'Completed'")[0][0])


def under_way(url: str) -> int:
    """How many runs say that they are at work."""
    return int(asked(url, f"SELECT count(*) FROM {LOG} WHERE status = 'Running'")[0][0])


def readable(folder: Path) -> int:
    """Read every file that every kept version of the facts names; returns how many files."""
    manifests = [*folder.glob("*/manifest.json"), *folder.glob("*/manifests/*.json")]
    read = {
        path.parents[path.parent.name == "manifests"] / name for path in manifests for name in _names(path)
    }
    for path in read:
        parquet.read_table(path)
    return len(read)


def strays(folder: Path) -> list[str]:
    """Files that no kept version of the facts needs."""
    found = []
    for lake in folder.iterdir():
        manifests = list(lake.glob("manifests/*"))
        needed = {name for path in manifests if path.suffix == ".json" for name in _names(path)}
        found += [path.name for path in manifests if path.suffix != ".json"]
        found += [path.name for path in lake.iterdir() if path.name not in {*needed, *SMALL}]
    return found


def _names(manifest: Path) -> set[str]:
    """The files that a manifest names."""
    told = json.loads(manifest.read_text())
    sharded = (
        f"{kind}-{shard['name']}" for shard in told["shards"] for kind in ("loans", "schedule", "repayments")
    )
    return {*(f"{name}.parquet" for name in sharded), *told["small"].values()}


def left_behind(home: Path) -> list[str]:
    """What lies in a home, its facts and its temporary folder beyond what belongs there."""
    mine = {"facts", "tmp", "policy.toml", "held.csv", "files-0", "files-1"}
    loose = [path.name for path in home.iterdir() if path.name not in mine]
    loose += [path.name for path in (home / "tmp").iterdir()]
    return loose + (strays(home / "facts") if (home / "facts").is_dir() else [])
