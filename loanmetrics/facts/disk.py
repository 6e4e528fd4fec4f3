"""Files that survive whatever ends the process."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Have a file on disk before anything depends on it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Write all of a file or nothing, and have it on disk before anything depends on it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
