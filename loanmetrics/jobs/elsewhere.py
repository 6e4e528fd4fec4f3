"""Work in a process of its own, whose memory ends with it: a server that asks for much once stays small."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

from loanmetrics.errors import StoreError

Result = TypeVar("Result")
# The server that waits for it, and all others of the machine, come first.
NICE = 5


def elsewhere(work: Callable[[], Result]) -> Result:
    """What ``work`` gives or raises there: a function that can be pickled, and so can its result."""
    command = [sys.executable, "-m", "loanmetrics.jobs.elsewhere"]
    done = subprocess.run(command, input=pickle.dumps(work), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise StoreError(
            f"a process that did part of the work ended with {done.returncode}",
            "the machine may be short of memory",
        )
    result, error = pickle.loads(done.stdout)
    if error is not None:
        raise error
    returned: Result = result
    return returned


def _answer() -> None:
    os.nice(NICE)
    work = pickle.load(sys.stdin.buffer)
    answer: tuple[object, Exception | None]
    try:
        answer = work(), None
    except Exception as error:
        answer = None, error
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    _answer()
