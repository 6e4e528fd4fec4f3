"""Processor seconds, which tell of work done where wall seconds also tell of who else was at work."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def own() -> float:
    """Of this process and of those it has waited for, so far."""
    return sum(os.times()[:4])


def of_server(root: int) -> float:
    """Of a server and all its workers, those that ended included, so far; 0 if it cannot be seen."""
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    except OSError:
        return 0.0
    return _ticks(str(root), 4) / TICKS + sum(_ticks(child, 2) for child in children) / TICKS


def _ticks(process: str, fields: int) -> int:
    """utime and stime, and with four fields those of children waited for."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, words[11 : 11 + fields]))
