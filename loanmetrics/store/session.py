"""Opening sessions: every connection says who it is, and a failure to connect is one line for people."""

import psycopg

from loanmetrics.errors import StoreError, UnreachableError


def connect(url: str, application: str = "loanmetrics") -> psycopg.Connection:
    """An autocommitting session in UTC; ``connection.transaction()`` says where transactions are meant."""
    try:
        connection = psycopg.connect(url, autocommit=True, application_name=application)
    except psycopg.ProgrammingError:
        raise StoreError(
            "the database URL cannot be read", "postgresql://user:password@host/database"
        ) from None
    except psycopg.OperationalError as error:
        raise UnreachableError(f"cannot connect to the database: {str(error).splitlines()[0]}") from None
    connection.execute("SET TimeZone = 'UTC'")
    return connection
