"""What tests of faults share."""

from collections.abc import Iterator

import pytest

from tests.faults.postgres import Postgres
from tests.faults.postgres import postgres as server
from tests.http.conftest import (
    home,
    published_sample,
    run,
    sample,
    small,
    small_book,
    stopped_valkey,
    valkey,
)

__all__ = ["home", "published_sample", "run", "sample", "small", "small_book", "stopped_valkey", "valkey"]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of this process's tests, made once."""
    with server(tmp_path_factory.mktemp("postgres")) as made:
        yield made


@pytest.fixture
def postgres(running: Postgres) -> Iterator[Postgres]:
    """A server that the test may crash; it runs again afterwards."""
    yield running
    running.start()


@pytest.fixture
def lender(postgres: Postgres) -> Iterator[str]:
    """A database of that server with the small book in it."""
    with postgres.lender() as url:
        yield url
        postgres.start()
