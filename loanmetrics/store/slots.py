"""Which slot of the schedule each task was last done for: shared by all workers, so that none is done twice."""

from datetime import datetime

import psycopg


def done(connection: psycopg.Connection) -> dict[str, datetime]:
    """The last slot that each task was done for."""
    return dict(connection.execute("SELECT task, slot FROM schedule_slots").fetchall())


def record(connection: psycopg.Connection, task: str, slot: datetime) -> None:
    """Remember that a task was done for a slot; never goes back."""
    connection.execute(
        "INSERT INTO schedule_slots AS old (task, slot, done_at) VALUES (%s, %s, clock_timestamp())"
        " ON CONFLICT (task) DO UPDATE SET (slot, done_at) = (EXCLUDED.slot, EXCLUDED.done_at)"
        " WHERE old.slot < EXCLUDED.slot",
        [task, slot],
    )
