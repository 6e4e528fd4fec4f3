"""Real runs in processes of their own, killed at a step that they tell of, or at any moment.

A run tells its steps on stderr, a pipe that is all but full: it has room for the lines up to the step that is to be
the last, so that the run cannot begin another before it is killed.
"""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.http.waiting import PATIENCE, until
from tests.surroundings import surroundings

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-m", "loanmetrics.cli")
CLI = (*COMMAND, "--verbose")
STAMP = len("12:34:56.789 ")
FILLING = b"."
BEFORE = "(before the first step)"


@dataclass(frozen=True)
class Undisturbed:
    """A run that was left alone: its exit code, its steps, and how long it took until each, and in all."""

    code: int
    steps: tuple[str, ...]
    began: tuple[float, ...]
    seconds: float
    said: str


def environment(**given: str) -> dict[str, str]:
    """That of this process, with these settings and no others of ours."""
    ours = {name if name.isupper() else f"LOANMETRICS_{name.upper()}": value for name, value in given.items()}
    return {**surroundings(), **ours, "PYTHONPATH": str(ROOT)}


def undisturbed(command: Sequence[str], settings: Mapping[str, str]) -> Undisturbed:
    """Run to the end."""
    start, began, lines = time.monotonic(), list[float](), list[str]()
    with subprocess.Popen(
        [*CLI, *command],
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            began.append(time.monotonic() - start)
    told = [(line, when) for line, when in zip(lines, began, strict=True) if _is_step(line)]
    return Undisturbed(
        process.returncode,
        tuple(line[STAMP:].rstrip("\n") for line, _ in told),
        tuple(when for _, when in told),
        time.monotonic() - start,
        "".join(lines),
    )


def _is_step(line: str) -> bool:
    return line[2:3] == line[5:6] == ":" and line[8:9] == "."


def killed_at(
    command: Sequence[str], settings: Mapping[str, str], steps: Sequence[str], delay: float
) -> str | None:
    """Kill a run in the last of these steps, ``delay`` seconds after it began, or where it ends; says in which."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stderr:
        room = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        taken = sum(STAMP + len(step) + 1 for step in steps)
        assert taken < room, "the steps fit into the pipe"
        os.write(writer, FILLING * (room - taken))
        process = _started(command, settings, writer)
        until(lambda: _held(reader) == room or process.poll() is not None)
        time.sleep(delay)
        return _ended(process, stderr.fileno())


def killed_after(command: Sequence[str], settings: Mapping[str, str], seconds: float) -> str | None:
    """Kill a run some seconds after its start, wherever it is; says in which step, or None if it had ended."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stderr:
        process = _started(command, settings, writer)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return _ended(process, stderr.fileno())


def _started(command: Sequence[str], settings: Mapping[str, str], stderr: int) -> "subprocess.Popen[bytes]":
    with closing(os.fdopen(stderr, "wb")):
        return subprocess.Popen(
            [*CLI, *command], env=environment(**settings), stdout=subprocess.DEVNULL, stderr=stderr
        )


def _held(pipe: int) -> int:
    """How many bytes wait in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0])


def _ended(process: "subprocess.Popen[bytes]", stderr: int) -> str | None:
    process.kill()
    if process.wait(PATIENCE) != -signal.SIGKILL:
        assert process.returncode == 0
        return None
    with os.fdopen(os.dup(stderr), "rb") as rest:
        lines = rest.read().lstrip(FILLING).decode().splitlines()
    steps = [line[STAMP:] for line in lines if _is_step(line)]
    return steps[-1] if steps else BEFORE
