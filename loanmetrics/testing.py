"""Databases for tests: one server for a run, a migrated template made once, a fresh copy for each test."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.store.embedded import server

PREFIX = "loanmetrics_test_"


@dataclass(frozen=True)
class Databases:
    """Fresh databases of one test run. ``run`` is shared by its processes, ``worker`` is one of them."""

    admin: psycopg.Connection
    url: str
    run: str
    worker: str
    numbers: Iterator[int]

    @contextmanager
    def empty(self) -> Iterator[str]:
        with self._copy_of("template1") as url:
            yield url

    @contextmanager
    def migrated(self) -> Iterator[str]:
        with self._copy_of(self._template()) as url:
            yield url

    @contextmanager
    def _copy_of(self, template: str) -> Iterator[str]:
        name = self._name(f"{self.worker}_{next(self.numbers)}")
        _execute(self.admin, "CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield self._url(name)
        finally:
            _execute(self.admin, "DROP DATABASE {} WITH (FORCE)", name)

    def _template(self) -> str:
        """The migrated database, made by the first worker to ask while the others wait."""
        name, partial = self._name("template"), self._name("partial")
        with _locked(self.admin, name):
            if name not in _databases(self.admin):
                self._migrate(partial)
                _execute(self.admin, "ALTER DATABASE {} RENAME TO {}", partial, name)
        return name

    def _migrate(self, name: str) -> None:
        from loanmetrics.store.migrate import migrate

        _execute(self.admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        _execute(self.admin, "CREATE DATABASE {}", name)
        migrate(self._url(name))

    def _url(self, name: str) -> str:
        parameters = conninfo_to_dict(self.url) | {"dbname": name}
        return f"postgresql:///?{urlencode(parameters)}"

    def _name(self, suffix: str) -> str:
        return f"{PREFIX}{self.run}_{suffix}"


@contextmanager
def databases(run: str, worker: str = "main", dsn: str | None = None) -> Iterator[Databases]:
    """Fresh databases on the server at ``dsn``, else on an embedded one without fsync.

    What killed runs left behind is dropped: a run lives while a process holds its advisory lock.
    """
    with _server(dsn) as url, psycopg.connect(url, autocommit=True) as admin:
        run = hashlib.sha256(run.encode()).hexdigest()[:12]
        admin.execute("SELECT pg_advisory_lock_shared(%s)", [_key(run)])
        _drop_leftovers(admin)
        yield Databases(admin, url, run, worker, count())
        admin.execute("SELECT pg_advisory_unlock_shared(%s)", [_key(run)])
        _drop_leftovers(admin)


@contextmanager
def _server(dsn: str | None) -> Iterator[str]:
    if dsn:
        yield dsn
        return
    # One place for all runs, so that the next one finds, and in the end stops, the server of a killed one.
    home = Path(tempfile.gettempdir()) / f"loanmetrics-tests-{os.geteuid()}"
    with server(home, fsync=False) as url:
        yield url


def _drop_leftovers(admin: psycopg.Connection) -> None:
    for name in _databases(admin):
        if name.startswith(PREFIX):
            _drop_if_abandoned(admin, name)


def _drop_if_abandoned(admin: psycopg.Connection, name: str) -> None:
    key = _key(name.removeprefix(PREFIX).split("_")[0])
    taken = admin.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
    if taken == (True,):
        _execute(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        admin.execute("SELECT pg_advisory_unlock(%s)", [key])


def _databases(admin: psycopg.Connection) -> list[str]:
    return [name for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall()]


@contextmanager
def _locked(admin: psycopg.Connection, name: str) -> Iterator[None]:
    admin.execute("SELECT pg_advisory_lock(%s)", [_key(name)])
    try:
        yield
    finally:
        admin.execute("SELECT pg_advisory_unlock(%s)", [_key(name)])


def _key(name: str) -> int:
    """A lock's number."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def _execute(admin: psycopg.Connection, statement: str, *names: str) -> None:
    admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
