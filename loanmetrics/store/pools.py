"""Sessions kept open for many short questions, replaced when the server ended them."""

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from loanmetrics.errors import StoreError

# While the server is away: how long anybody waits for a session, and how often the server is tried (psycopg_pool
# doubles the time between its tries until this, so that a long outage is followed by a long time without sessions).
BRIEF, TRIED_FOR = 0.05, 2.0
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests, StoreError)


class Sessions(ConnectionPool[psycopg.Connection]):
    """A pool where few wait for a server that is away: after the first who did so in vain, until there is a session.

    So a restart of a few seconds is only slow, and a longer one does not keep threads from answering.
    """

    _away = False

    def getconn(self, timeout: float | None = None) -> psycopg.Connection:
        """A session, or PoolTimeout."""
        try:
            found = super().getconn(BRIEF if self._away else timeout)
        except PoolTimeout:
            self._away = True
            raise
        self._away = False
        return found


def pool(url: str, size: int, patience: float) -> Sessions:
    """Up to ``size`` sessions, opened in the background; who needs one waits ``patience`` seconds, then PoolTimeout."""
    try:
        return Sessions(
            url,
            min_size=1,
            max_size=size,
            timeout=patience,
            reconnect_timeout=TRIED_FOR,
            open=True,
            configure=_configure,
            check=ConnectionPool.check_connection,
            kwargs={"autocommit": True, "application_name": "loanmetrics api"},
        )
    except psycopg.ProgrammingError:
        raise StoreError(
            "the database URL cannot be read", "postgresql://user:password@host/database"
        ) from None


def _configure(connection: psycopg.Connection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
