"""Peak memory of this process, or of a server with all its workers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def own_peak() -> float:
    """Peak resident memory of this process image in MiB (ru_maxrss would count the parent's at the fork)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def watched(root: int) -> Iterator[Callable[[], float]]:
    """Peak MiB of a process and its children, shared pages counted once; 0 if it cannot be seen."""
    highest = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while root and not done.wait(0.2):
            highest = max(highest, sum(_share_of_memory(pid) for pid in (root, *children(root))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: highest
    finally:
        done.set()
        watcher.join()


def children(pid: int) -> list[int]:
    """The processes that it started and that still run."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _share_of_memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(lines.split("Pss:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0
