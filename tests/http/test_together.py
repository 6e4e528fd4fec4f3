"""Who asks while the answer is being found out waits for the next one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from loanmetrics.http.together import Together
from tests.http.waiting import PATIENCE, until


def test_nobody_is_told_what_was_read_before_he_asked_and_one_reads_for_all() -> None:
    reads, going = count(1), threading.Event()
    begun = threading.Semaphore(0)

    def read() -> int:
        number = next(reads)
        begun.release()
        if number == 1:
            assert going.wait(PATIENCE)
        return number

    together = Together(read)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(together)
        assert begun.acquire(timeout=PATIENCE)
        later = [pool.submit(together) for _ in range(4)]
        until(lambda: together.waiting)
        going.set()
        assert first.result(PATIENCE) == 1
        told = [each.result(PATIENCE) for each in later]
    assert min(told) == 2
    assert together() == max(told) + 1


def test_a_failure_goes_to_whom_it_concerns_and_is_not_kept() -> None:
    turns = count()

    def read() -> int:
        if next(turns) == 0:
            raise OSError("away")
        return 7

    together = Together(read)
    with pytest.raises(OSError, match="away"):
        together()
    assert together() == 7
