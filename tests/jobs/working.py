"""Real workers, in processes of their own, and what they say."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.http.waiting import PATIENCE, until
from tests.surroundings import surroundings

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Working:
    """A worker's process and the lines it has logged."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def said(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def leads(self) -> None:
        """Return once it leads."""
        until(lambda: self.said("leading") or self.process.poll() is not None)
        assert self.said("leading"), self.lines

    def ended(self, number: signal.Signals) -> int:
        """Its exit code, once it was sent a signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def working(url: str, home: Path, *options: str, **more: str) -> Iterator[Working]:
    """A worker, with ``more`` in its environment; it is killed in the end if it has not ended by then."""
    ours = {"LOANMETRICS_DATABASE_URL": url, "LOANMETRICS_HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "loanmetrics.cli", "worker", *options],
        env={**surroundings(), **ours, **more},
        cwd=home.parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    worker = Working(process)
    reader = threading.Thread(target=_read, args=(worker,))
    reader.start()
    try:
        yield worker
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join()


def _read(worker: Working) -> None:
    assert worker.process.stderr is not None
    with worker.process.stderr as stream:
        worker.lines.extend(iter(stream.readline, ""))
