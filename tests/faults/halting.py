"""Runs in processes of their own that wait, at a place of the test's choosing, for what the test does to them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.faults import doom
from tests.jobs.stored import asked

WAITING = """
    SELECT FROM pg_locks WHERE NOT granted AND relation = '{}'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def halted(
    url: str, home: Path, table: str, *command: str, **settings: str
) -> Iterator[tuple["subprocess.Popen[str]", psycopg.Connection]]:
    """A run that waits for a table, and the session that holds it; the lock goes with the block."""
    given = doom.environment(database_url=url, home=str(home), **settings)
    holder = psycopg.connect(url)
    with subprocess.Popen(
        [*doom.COMMAND, *command], env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        while not asked(url, WAITING.format(table)):
            assert process.poll() is None, process.communicate()
        yield process, holder
        holder.close()
