"""One question to the database for all who would ask the same at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """What ``read`` says, read after each caller came: whoever comes while it is being read waits for the next time.

    So nobody is told of a state older than his question, and however many ask, one reads at a time.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._waiting: Future[T] | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def __call__(self) -> T:
        """The value; whatever ``read`` raises goes to all who wait for it."""
        with self._lock:
            leads = self._waiting is None
            mine = self._waiting = self._waiting or Future()
        if leads:
            self._lead(mine)
        return mine.result()

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for a reading that has not begun."""
        return self._waiting is not None

    def _lead(self, mine: "Future[T]") -> None:
        with self._reading:
            with self._lock:
                self._waiting = None
            try:
                mine.set_result(self._read())
            except BaseException as error:
                mine.set_exception(error)
