"""Databases with a book in them, as jobs have them, and a second server."""

from collections.abc import Iterator

import pytest

from loanmetrics.store.embedded import server
from tests.jobs.conftest import home, published_sample, sample, small, small_book

__all__ = ["home", "published_sample", "sample", "small", "small_book"]


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of another server, whose transactions have been few."""
    with server(tmp_path_factory.mktemp("elsewhere"), fsync=False) as url:
        yield url
