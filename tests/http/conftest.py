"""What tests of the HTTP side share: a Valkey, and databases with a book in them."""

from collections.abc import Iterator

import pytest

from tests.http import valkey as server
from tests.http.valkey import Valkey
from tests.jobs.conftest import home, published_sample, run, sample, small, small_book

__all__ = ["home", "published_sample", "run", "sample", "small", "small_book"]


@pytest.fixture
def stopped_valkey() -> Iterator[Valkey]:
    """A Valkey that is not started."""
    with server.valkey() as made:
        yield made


@pytest.fixture
def valkey(stopped_valkey: Valkey) -> Valkey:
    """A Valkey that answers."""
    stopped_valkey.start()
    return stopped_valkey
