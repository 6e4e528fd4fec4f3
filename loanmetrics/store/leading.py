"""One worker leads, the others wait: an advisory lock that lives and dies with the leader's session.

The same session hears the change log called out, so that a leader that lost it has lost both.
"""

import psycopg

# Beside the lock of runs: "lm", then which lock.
LOCK = (0x6C6D, 2)
CHANNEL = "loanmetrics_changes"
# A leader whose machine vanished is found out by the server within half a minute, not two hours.
KEEPALIVE = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 4",
)


def lead(connection: psycopg.Connection) -> bool:
    """Try to become the leader; whether this session is. It stays so until it ends."""
    taken = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK).fetchone()
    if taken != (True,):
        return False
    for setting in KEEPALIVE:
        connection.execute(setting.encode())
    connection.execute(f"LISTEN {CHANNEL}".encode())
    return True


def heard(connection: psycopg.Connection, seconds: float) -> bool:
    """Whether a change was called out within some seconds."""
    return any(True for _ in connection.notifies(timeout=seconds, stop_after=1))
