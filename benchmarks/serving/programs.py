"""The servers that are measured, as processes of their own, and the process that asks them."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import HERE, ROOT
from peers.memory import children

from serving.load import LOOPBACK
from serving.questions import Question
from serving.stage import Stage

PATIENCE = 60.0
CACHE_EVENTS = re.compile(r'^loanmetrics_cache_events_total\{event="(\w+)"\} (\S+)', re.MULTILINE)
PER_WORKER = {"workers": 2, "threads": 8}  # what ``loanmetrics serve`` takes by default


@dataclass(frozen=True)
class Program:
    """A server that listens."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def workers(self) -> list[int]:
        return children(self.process.pid)

    def memory(self) -> float:
        """MiB of the largest worker, pages shared with others by their share."""
        return max(map(_pss, self.workers), default=0.0)

    def cpu(self) -> float:
        """Seconds of all workers so far."""
        return sum(map(_cpu, self.workers))

    def cache_events(self) -> dict[str, float]:
        """What looking for finished answers came to so far, in all workers."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return {name: float(count) for name, count in CACHE_EVENTS.findall(text)}


@contextmanager
def ours(stage: Stage, cached: bool = True, **settings: str) -> Iterator[Program]:
    """``loanmetrics serve`` as it comes; or the same app with a cache that keeps nothing."""
    words = ["-m", "loanmetrics.cli", "serve"] if cached else [str(HERE / "serving" / "uncached.py")]
    given = {f"LOANMETRICS_{name.upper()}": value for name, value in settings.items()}
    port = _free_port()
    bind = {"LOANMETRICS_BIND": f"{LOOPBACK}:{port}"}
    with _running([sys.executable, *words], {**stage.environment, **given, **bind}, port) as program:
        yield program


@contextmanager
def peer(stage: Stage, packages: str = "") -> Iterator[Program]:
    """The hand-written Flask route under the same gunicorn; ``packages``: a folder where Flask is, if not here."""
    port = _free_port()
    words = [
        *(
            "-m",
            "gunicorn",
            "peers.flask_route:app",
            "--bind",
            f"{LOOPBACK}:{port}",
            "--log-level",
            "warning",
        ),
        *(
            "--worker-class",
            "gthread",
            "--keep-alive",
            "75",
            "--pythonpath",
            ",".join(filter(None, (str(HERE), packages))),
        ),
        *("--workers", str(PER_WORKER["workers"]), "--threads", str(PER_WORKER["threads"])),
    ]
    with _running([sys.executable, *words], {"PEER_DATABASE_URL": stage.url}, port) as program:
        yield program


def asked(
    program: Program, questions: Sequence[Question], how: str, users: int, **more: Any
) -> dict[str, Any]:
    """What the load's own process tells, with the seconds of CPU that the server's workers took."""
    script = {
        "port": program.port,
        "how": how,
        "users": users,
        "questions": [it.told() for it in questions],
        **more,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(script, file)
        file.flush()
        before = program.cpu()
        command = [sys.executable, str(HERE / "api.py"), "--work", file.name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
        told: dict[str, Any] = json.loads(done.stdout)
    return {**told, "server_cpu": program.cpu() - before}


@contextmanager
def _running(command: list[str], given: Mapping[str, str], port: int) -> Iterator[Program]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOANMETRICS_")}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env={**kept, "PYTHONPATH": str(ROOT), **given},
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(process, port, log)
            yield Program(process, port)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Any) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            connection.close()
            return
        time.sleep(0.1)
    log.seek(0)
    raise SystemExit(f"a server did not start:\n{log.read().decode()[-3000:]}")


def _free_port() -> int:
    from tests.http.valkey import free_port

    return free_port()


def _pss(pid: int) -> float:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) / 1024
    return 0.0


def _cpu(pid: int) -> float:
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
