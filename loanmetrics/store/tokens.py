"""Refresh tokens and failed log-ins, kept where all workers see them; of a token only its hash.

Whoever changes tokens of a member holds the member's row first, and appends to the audit chain last: so nobody waits
for somebody who waits for him.
"""

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from loanmetrics.errors import TooManyAttemptsError

LIFETIME = timedelta(days=30)
WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 5
PER_ADDRESS = 30
RECENT = """
    SELECT count(*), extract(epoch FROM min(attempted_at) + %(window)s - clock_timestamp())::float8
    FROM login_attempts
    WHERE {column} = %(of)s AND attempted_at > clock_timestamp() - %(window)s
"""

# Rows that somebody else is at work on are left for the next time: waiting for them could be waiting for ever.
FORGET = """
    DELETE FROM refresh_tokens WHERE token_hash IN (
        SELECT token_hash FROM refresh_tokens WHERE expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED
    )
"""


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token as its bearer gets it, once."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a refresh token that was shown."""

    family: str
    member_id: int
    used: bool
    valid: bool


def issue(connection: psycopg.Connection, member_id: int, family: str | None = None) -> Refresh:
    """A new token, of a new family unless it follows another one; those that have run out are forgotten."""
    text = secrets.token_urlsafe(32)
    connection.execute(FORGET)
    row = connection.execute(
        "INSERT INTO refresh_tokens (token_hash, family, member_id, issued_at, expires_at)"
        " VALUES (%s, %s, %s, clock_timestamp(), clock_timestamp() + %s) RETURNING expires_at",
        [digest(text), family or secrets.token_hex(16), member_id, LIFETIME],
    ).fetchone()
    assert row is not None
    return Refresh(text, row[0])


def show(connection: psycopg.Connection, text: str) -> Held | None:
    """What is known of a token; nobody else can change any of its member's until the transaction ends."""
    connection.execute(
        "SELECT FROM team_members"
        " WHERE member_id = (SELECT member_id FROM refresh_tokens WHERE token_hash = %s) FOR UPDATE",
        [digest(text)],
    )
    row = connection.execute(
        "SELECT family, member_id, used_at IS NOT NULL, revoked_at IS NULL AND expires_at > clock_timestamp()"
        " FROM refresh_tokens WHERE token_hash = %s",
        [digest(text)],
    ).fetchone()
    return Held(*row) if row else None


def use(connection: psycopg.Connection, text: str) -> None:
    """A token is good for one refresh."""
    connection.execute(
        "UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE token_hash = %s", [digest(text)]
    )


def revoke(connection: psycopg.Connection, family: str) -> None:
    """None of the tokens that followed from one log-in is good any more."""
    connection.execute(
        "UPDATE refresh_tokens SET revoked_at = clock_timestamp() WHERE family = %s AND revoked_at IS NULL",
        [family],
    )


def attempt(connection: psycopg.Connection, account: str, address: str) -> int:
    """Count a log-in that begins as failed; refused, and not counted, where too many failed within the window.

    Counted before the password is looked at, so that many at once gain nothing; ``succeeded`` takes it back.
    """
    connection.execute("DELETE FROM login_attempts WHERE attempted_at < clock_timestamp() - %s", [WINDOW])
    row = connection.execute(
        "INSERT INTO login_attempts (account_hash, address_hash, attempted_at)"
        " VALUES (%s, %s, clock_timestamp()) RETURNING attempt_id",
        [digest(account), digest(address)],
    ).fetchone()
    assert row is not None
    number: int = row[0]
    waits = [
        _wait(connection, "account_hash", account, PER_ACCOUNT),
        _wait(connection, "address_hash", address, PER_ADDRESS),
    ]
    if wait := max(waits):
        succeeded(connection, number)
        raise TooManyAttemptsError(wait)
    return number


def succeeded(connection: psycopg.Connection, attempt: int) -> None:
    """The attempt was no failure."""
    connection.execute("DELETE FROM login_attempts WHERE attempt_id = %s", [attempt])


def digest(text: str) -> str:
    """What is kept in the place of a text that must not be known."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _wait(connection: psycopg.Connection, column: str, of: str, most: int) -> int:
    """Seconds until one more attempt is allowed."""
    row = connection.execute(
        RECENT.format(column=column).encode(), {"of": digest(of), "window": WINDOW}
    ).fetchone()
    assert row is not None
    count, seconds = row
    return max(1, math.ceil(seconds)) if count > most else 0
