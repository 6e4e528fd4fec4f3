"""A Dask cluster of worker processes on this machine: python -m tests.jobs.cluster FOLDER WORKERS.

Prints the scheduler's address. Answers every line of its standard input once all workers are there, and ends with it.
It is a program of its own so that nothing of it runs in the process of the tests.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, WorkerPlugin

# What a file in the folder orders: the death of one worker in the middle of a task, of every one that is given a
# task, or of the scheduler.
ONE, ALL, SCHEDULER = "one", "all", "scheduler"

SETTINGS = {
    "distributed.scheduler.allowed-failures": 1,
    # A local cluster gives up workers that it misses for a while; these come back whenever they can.
    "distributed.deploy.lost-worker-timeout": "1 day",
}


class Doom(WorkerPlugin):
    """Kills as ordered when a task begins."""

    def __init__(self, folder: Path, scheduler: int) -> None:
        self.folder = folder
        self.scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        if finish != "executing":
            return
        if (self.folder / ALL).exists() or self._taken(ONE):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._taken(SCHEDULER):
            os.kill(self.scheduler, signal.SIGKILL)

    def _taken(self, order: str) -> bool:
        """Whether the order was there for this worker to carry out, and for no other."""
        try:
            (self.folder / order).unlink()
        except FileNotFoundError:
            return False
        return True


def main() -> None:
    folder, workers = Path(sys.argv[1]), int(sys.argv[2])
    dask.config.set({**SETTINGS, "temporary-directory": str(folder)})
    options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, **options) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Doom(folder, os.getpid()))
        print(cluster.scheduler_address, flush=True)
        for _ in sys.stdin:
            client.wait_for_workers(workers, timeout=120)
            print("ready", flush=True)


if __name__ == "__main__":
    main()
