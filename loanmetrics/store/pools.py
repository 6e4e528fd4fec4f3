"""Sessions kept open for many short questions, replaced when the server ended them."""

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from loanmetrics.errors import StoreError

AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests, StoreError)


def pool(url: str, size: int, patience: float) -> ConnectionPool:
    """Up to ``size`` sessions, opened in the background; who needs one waits ``patience`` seconds, then PoolTimeout."""
    try:
        return ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=patience,
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
