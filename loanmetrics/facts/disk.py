"""Files that survive whatever ends the process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

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
def arriving(path: Path) -> Iterator[BinaryIO]:
    """Write a file that others may be writing too: it appears whole and on disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{token_hex(4)}{UNDER_WAY}")
    try:
        with new.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
