"""Logging in, staying in and logging out; the access token itself is made by ``loanmetrics.http.tokens``.

Every log-in, failed or not, every refresh token shown twice and every log-out is in the audit chain.
"""

from dataclasses import dataclass

from psycopg import Connection

from loanmetrics.errors import AuthenticationError
from loanmetrics.jobs import passwords
from loanmetrics.store import audit, members, tokens
from loanmetrics.store.members import Member
from loanmetrics.store.tokens import Refresh

NOBODY = "unknown"
WRONG = "wrong e-mail address or password"
STALE = "this refresh token is not valid"


@dataclass(frozen=True, slots=True)
class Session:
    """A member who is in, and the token he gets his next access token with."""

    member: Member
    refresh: Refresh


def login(connection: Connection, email: str, password: str, address: str) -> Session:
    """Let a member in by his password; ``address`` is where the request came from.

    Raises AuthenticationError, the same whatever was wrong, or TooManyAttemptsError. No transaction may be open:
    what failed has to be remembered.
    """
    account = email.strip().lower()
    attempt = tokens.attempt(connection, account, address)
    member = _member(connection, account)
    stored = members.password_hash(connection, member.member_id) if member else None
    right = passwords.matches(password, stored)
    if member is None or stored is None or not right or not _may(member):
        _tell(connection, "login_failed", member.member_id if member else None, address)
        raise AuthenticationError(WRONG)
    if passwords.outdated(stored):
        members.rehash(connection, member.member_id, stored, passwords.hashed(password))
    with connection.transaction():
        if members.held(connection, member.member_id) != member:
            raise AuthenticationError(WRONG)
        tokens.succeeded(connection, attempt)
        session = Session(member, tokens.issue(connection, member.member_id))
        _tell(connection, "login", member.member_id, address)
        return session


def refresh(connection: Connection, text: str) -> Session:
    """A new refresh token for an old one, which is then used up; shown again, it ends its whole family.

    Raises AuthenticationError. No transaction may be open: the end of a family has to last.
    """
    with connection.transaction():
        session = _refreshed(connection, text)
    if session is None:
        raise AuthenticationError(STALE)
    return session


def logout(connection: Connection, text: str) -> None:
    """End what began with one log-in; a token that is not known ends nothing."""
    with connection.transaction():
        held = tokens.show(connection, text)
        if held and held.valid:
            tokens.revoke(connection, held.family)
            _tell(connection, "logout", held.member_id)


def _refreshed(connection: Connection, text: str) -> Session | None:
    held = tokens.show(connection, text)
    if held is None or not held.valid:
        return None
    member = members.by_id(connection, held.member_id)
    if held.used or member is None or not _may(member):
        tokens.revoke(connection, held.family)
        if held.used:
            _tell(connection, "refresh_reused", held.member_id)
        return None
    tokens.use(connection, text)
    return Session(member, tokens.issue(connection, held.member_id, held.family))


def _member(connection: Connection, account: str) -> Member | None:
    """No address holds such characters, and PostgreSQL takes none of them."""
    strange = any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in account)
    return None if strange else members.by_email(connection, account)


def _may(member: Member) -> bool:
    return member.is_active and member.access_role is not None


def _tell(connection: Connection, event: str, member_id: int | None, address: str | None = None) -> None:
    """The address is kept as a hash: the same one can be recognised, not read."""
    audit.append(
        connection,
        event=event,
        actor=NOBODY if member_id is None else audit.member(member_id),
        new_value={"address": tokens.digest(address)[:16]} if address else None,
    )
