"""File locks of the kernel: they end with their holder, even by kill -9, and go on in a child given one."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loanmetrics.errors import StoreError


def opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", "set LOANMETRICS_HOME") from None


def try_exclusive(file: int) -> bool:
    return _try(file, fcntl.LOCK_EX)


def try_shared(file: int) -> bool:
    return _try(file, fcntl.LOCK_SH)


def _try(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(path: Path) -> Iterator[None]:
    file = opened(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
