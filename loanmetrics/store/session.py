"""Opening sessions: every connection says who it is, and a failure to connect is one line for people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from loanmetrics.errors import RefusedError, StoreError, UnreachableError

# A failure to connect has no code, and the text may be in another language: then it counts as out of reach.
REFUSED = re.compile(r"authentication failed|does not exist|no pg_hba\.conf entry|not permitted to log in")
ENDED = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)
CONNECTION_CLASS = "08"


def connect(url: str, application: str = "loanmetrics") -> psycopg.Connection:
    """An autocommitting session in UTC; ``connection.transaction()`` says where transactions are meant."""
    try:
        connection = psycopg.connect(url, autocommit=True, application_name=application)
    except psycopg.ProgrammingError:
        raise StoreError(
            "the database URL cannot be read", "postgresql://user:password@host/database"
        ) from None
    except psycopg.OperationalError as error:
        kind = RefusedError if REFUSED.search(str(error)) else UnreachableError
        raise kind(f"cannot connect to the database: {str(error).splitlines()[0]}") from None
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@contextmanager
def may_be_lost() -> Iterator[None]:
    """A session that is lost within the block, or that the server ended, is an UnreachableError.

    For work that writes nothing, so that it may be done again.
    """
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if not _is_lost(error):
            raise
        raise UnreachableError(f"the database went away ({type(error).__name__})") from error


def _is_lost(error: psycopg.Error) -> bool:
    return error.sqlstate is None or error.sqlstate.startswith(CONNECTION_CLASS) or isinstance(error, ENDED)
