"""Loans as they stood on a day, kept beside the facts they were made of: one file per shard and day, and a key.

A shard never changes, so neither do its files, and every version that holds the shard shares them. All of them can
be made again: they are taken away with their shard, and once they have not been read for a while.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from time import time

import polars as pl

from loanmetrics.facts.disk import UNDER_WAY, arriving
from loanmetrics.store.embedded import locks
from loanmetrics.store.mapped import mapped

FOLDER = "days"
SUFFIX = ".arrow"
BETWEEN = "_"
LONGEST_WRITE = 3600
KEEP_SECONDS = 7 * 24 * 3600
MOST_BYTES = 8 << 30
# In each process; they cost it little beyond the page cache that all share.
MOST_OPEN = 64


@dataclass(frozen=True)
class Days:
    """The files of one lake."""

    folder: Path

    def path(self, day: date, key: str, shard: str, some: str = "") -> Path:
        """Where a shard's loans of a day lie; ``some`` names a choice of them."""
        return self.folder / f"{BETWEEN.join([str(day), key, shard, *([some] if some else [])])}{SUFFIX}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one who makes many files here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locks.held(self.folder / "lock"):
            yield

    def keep(self, path: Path, frame: pl.DataFrame) -> None:
        """Write all of a file or nothing."""
        with arriving(path) as file:
            frame.write_ipc(file)

    def used(self, paths: Collection[Path]) -> None:
        """Remember that these files were read now."""
        for path in paths:
            with suppress(OSError):
                os.utime(path)

    def prune(self, shards: Collection[str]) -> None:
        """Take away files of other shards than these, and what ``trim`` does."""
        for _, path, _ in self._read():
            if path.name.removesuffix(SUFFIX).split(BETWEEN)[2] not in shards:
                path.unlink(missing_ok=True)
        self.trim()

    def trim(self) -> None:
        """Take away what nobody read for long, the oldest of what is too much, and what was never finished."""
        total = 0
        for when, path, size in sorted(self._read(), reverse=True):
            total += size
            if total > MOST_BYTES or when < time() - KEEP_SECONDS:
                path.unlink(missing_ok=True)
        for when, path, _ in self._read(UNDER_WAY):
            if when < time() - LONGEST_WRITE:
                path.unlink(missing_ok=True)

    def _read(self, suffix: str = SUFFIX) -> Iterator[tuple[float, Path, int]]:
        """Every file with when it was read last and how large it is."""
        for path in self.folder.glob(f"*{suffix}"):
            with suppress(FileNotFoundError):
                about = path.stat()
                yield about.st_mtime, path, about.st_size


@lru_cache(MOST_OPEN)
def opened(path: Path) -> pl.DataFrame:
    """A file's loans. What a path holds never changes."""
    return mapped(path)
