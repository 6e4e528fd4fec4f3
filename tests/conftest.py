"""Fixtures of all tests: databases of their own, and no network."""

import os
import socket
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from loanmetrics.testing import Databases, databases
from tests.bucket import KINDS, Bucket, made, served

BUCKETS = count(1)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(scope="session", name="databases")
def all_databases() -> Iterator[Databases]:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with databases(run, worker, os.environ.get("LOANMETRICS_TEST_DSN")) as found:
        yield found


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The URL of a migrated database of the test's own."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    with databases.empty() as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Where S3 is served."""
    with served() as address:
        yield address


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty object store of the test's own: a folder, then S3."""
    if request.param == "file":
        return Bucket(f"file://{tmp_path / 'bucket'}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    return made(request.getfixturevalue("s3"), f"bucket-{next(BUCKETS)}")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    may_loop = request.node.get_closest_marker("loopback") is not None
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not (may_loop and address[0] in LOOPBACK):
            raise RuntimeError(f"a test tried to connect to {address} (tests use no network)")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
