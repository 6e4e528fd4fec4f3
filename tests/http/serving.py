"""A real server of several workers, in processes of its own, on a socket of the test's own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.http.waiting import PATIENCE, until
from tests.surroundings import surroundings

ROOT = Path(__file__).parent.parent.parent
TINY = (sys.executable, "-m", "tests.http.tiny")
COMMAND = (sys.executable, "-m", "loanmetrics.cli", "serve")
Answer = tuple[int, Mapping[str, str], bytes]


class Connection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = raw(self._path)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        self.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = self.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def raw(path: Path) -> socket.socket:
    """A connection to say anything on."""
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(PATIENCE)
    made.connect(str(path))
    return made


@dataclass
class Served:
    """A server and what it has logged."""

    process: subprocess.Popen[str]
    path: Path
    lines: list[str] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One question on a connection of its own."""
        connection = Connection(self.path)
        try:
            return connection.ask(path, method, **headers)
        finally:
            connection.close()

    def logged(self, **fields: object) -> list[dict[str, Any]]:
        """Lines that have these fields."""
        told = [json.loads(line) for line in list(self.lines)]
        return [line for line in told if fields.items() <= line.items()]

    def said(self, text: str) -> int:
        """How many lines hold this text."""
        return sum(text in line for line in list(self.lines))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit code."""
        return self.process.wait(PATIENCE)

    def reload(self, workers: int) -> None:
        """SIGHUP, until all workers are new."""
        before = self.said("Worker exiting")
        self.signal(signal.SIGHUP)
        until(lambda: self.said("Worker exiting") == before + workers)


@contextmanager
def serving(
    home: Path, database: str, *options: str, command: tuple[str, ...] = TINY, **settings: str
) -> Iterator[Served]:
    """A server that listens; it is killed in the end if it has not ended by then."""
    with tempfile.TemporaryDirectory(prefix="lm-serve-") as folder:
        path = Path(folder) / "http.sock"
        given = {"home": str(home), "database_url": database, "bind": f"unix:{path}", **settings}
        ours = {f"LOANMETRICS_{name.upper()}": value for name, value in given.items() if value}
        process = subprocess.Popen(
            [*command, *options],
            env={**surroundings(), **ours, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        served = Served(process, path)
        reader = threading.Thread(target=_read, args=(served,))
        reader.start()
        try:
            until(lambda: served.said("Listening at") or process.poll() is not None)
            yield served
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                _end(process)
            reader.join()


def _end(process: "subprocess.Popen[str]") -> None:
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(served: Served) -> None:
    assert served.process.stdout is not None
    with served.process.stdout as stream:
        served.lines.extend(line for line in iter(stream.readline, ""))
