"""Files that survive whatever ends the process, and folders that do not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import polars as pl

UNDER_WAY = ".new"


def sync(path: Path) -> None:
    """Have a file on disk before anything depends on it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Write all of a file or nothing, and have it on disk before anything depends on it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(UNDER_WAY)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextmanager
def arriving(path: Path, *, on_disk: bool = True) -> Iterator[BinaryIO]:
    """Write a file that others may be writing too: it appears whole, and ``on_disk``, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{token_hex(4)}{UNDER_WAY}")
    try:
        with new.open("wb") as file:
            yield file
            if on_disk:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write_parquet(frame: "pl.DataFrame", path: Path, row_group_size: int | None = None) -> None:
    """Write a frame; a full disk is an OSError, where Polars by itself would call it something else."""
    written = BytesIO()
    frame.write_parquet(written, compression="lz4", row_group_size=row_group_size)
    path.write_bytes(written.getbuffer())


def spill(frame: "pl.DataFrame", path: Path) -> None:
    """Write a frame that one run will read: all of it or nothing, whoever else writes the same, but in no hurry."""
    written = BytesIO()
    frame.write_ipc(written, compression="lz4")
    with arriving(path, on_disk=False) as file:
        file.write(written.getbuffer())


def remove(folder: Path, *patterns: str) -> None:
    """Take away files and folders by pattern."""
    for pattern in patterns:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder that is gone afterwards; those of processes that were killed are taken away first."""
    for lock in parent.glob(f"{prefix}*/lock"):
        with suppress(OSError), _claimed(lock.parent) as abandoned:
            if abandoned:
                shutil.rmtree(lock.parent)
    with TemporaryDirectory(prefix=prefix, dir=parent) as folder, _claimed(Path(folder)):
        yield Path(folder)


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether the folder is ours to use: its lock dies with the process that holds it."""
    import fcntl  # not to be had where only notebooks run

    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
