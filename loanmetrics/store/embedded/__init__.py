"""A PostgreSQL of one's own: started on demand, shared by processes, stopped by the last to leave.

>>> with server(Path(".demo")) as url:  # doctest: +SKIP
...     psycopg.connect(url)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loanmetrics.store.embedded import members
from loanmetrics.store.embedded.binaries import find_binaries

__all__ = ["find_binaries", "server"]


@contextmanager
def server(home: Path, *, fsync: bool = True) -> Iterator[str]:
    """The URL of the server that keeps its data under ``home``, running for as long as the block."""
    member = members.enter(home.absolute(), fsync)
    try:
        yield member.url
    finally:
        members.leave(member)
