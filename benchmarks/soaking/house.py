"""Everything that is up during a soak: a database and a cache that may be restarted, the API, the event worker."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from events import working
from lab import DAY, ROOT
from peers.postgres import server_process
from serving.programs import Program, ours
from serving.stage import Stage

from loanmetrics.store import embedded
from loanmetrics.store.embedded import places
from loanmetrics.store.embedded.cluster import Cluster
from soaking.plan import EVERY

POSTGRES = "PostgreSQL, all its processes"


@dataclass
class Postgres:
    """A server of the soak's own, so that a restart troubles nobody else."""

    cluster: Cluster
    url: str
    pid: int = 0

    def __post_init__(self) -> None:
        self.pid = server_process(self.url)

    def restart(self) -> None:
        """As an administrator does; whoever is connected is cut off."""
        self.pid = 0
        self.cluster.stop()
        self.cluster.running()
        self.pid = server_process(self.url)


@contextmanager
def postgres(cache: Path) -> Iterator[Postgres]:
    home = (cache / "soak").absolute()
    home.mkdir(parents=True, exist_ok=True)
    with embedded.server(home) as url:
        yield Postgres(Cluster(places.place_of(home)), url)


@dataclass(frozen=True)
class SoakStage(Stage):
    """A copy of the lender's database, published as of the lender's last day and as of today."""

    @property
    def name(self) -> str:
        return f"soak_{self.lab.size}"

    @property
    def home(self) -> Path:
        return self.lab.folder / "soak"

    @cached_property
    def clean_environment(self) -> dict[str, str]:
        """For a process of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOANMETRICS_")}
        return {**kept, "PYTHONPATH": str(ROOT), **self.environment}

    def prepare(self) -> str:
        with psycopg.connect(self.lab.server, autocommit=True) as admin:
            self._copy(admin)
        self._command("compute", "--as-of", DAY)
        self._command("compute")
        self._analyze()
        return ""


@dataclass(frozen=True)
class House:
    """All of it, running."""

    stage: SoakStage
    database: Postgres
    cache: Any  # a tests.http.valkey.Valkey
    api: Program
    worker: "subprocess.Popen[bytes]"

    def processes(self) -> list[tuple[str, int]]:
        """Names and ids of those that run at the moment."""
        workers = self.api.workers
        named = [
            ("API, master", self.api.process.pid),
            *(("API, workers", pid) for pid in workers),
            ("event worker", self.worker.pid),
            (POSTGRES, self.database.pid),
            ("Valkey", self.cache.pid),
        ]
        return [(name, pid) for name, pid in named if pid]


@contextmanager
def house(stage: SoakStage, database: Postgres, cache: Any) -> Iterator[House]:
    """``loanmetrics worker`` on events alone and ``loanmetrics serve``, as they come."""
    with working(stage, EVERY) as worker, ours(stage) as api:
        yield House(stage, database, cache, api, worker)
