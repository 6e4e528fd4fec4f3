"""Waiting for something that another thread or process is about to bring about."""

import threading
import time
from collections.abc import Callable

PATIENCE = 60.0


def until(holds: Callable[[], object]) -> None:
    """Return as soon as it holds; fail if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came about"
        threading.Event().wait(0.005)
