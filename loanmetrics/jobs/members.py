"""The team, as looked after from the command line: an act on the machine, told to the audit chain as its user's."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import polars as pl
from psycopg import Connection

from loanmetrics.errors import NotFoundError, UsageError, unknown
from loanmetrics.jobs import passwords
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.listing import Listing
from loanmetrics.settings import Settings
from loanmetrics.store import audit
from loanmetrics.store import members as store
from loanmetrics.store.members import Access, Member
from loanmetrics.store.session import connect
from loanmetrics.tables import ACCESS_ROLES

TEAM = {
    "member_id": pl.Int64(),
    "member_name": pl.String(),
    "role": pl.String(),
    "department": pl.String(),
    "is_active": pl.Boolean(),
}
EMAIL = re.compile(r"[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+\.[^\s@\x00-\x1f]+")
LONGEST = 254


def listed(
    connection: Connection, is_active: bool | None = None, role: str | None = None
) -> Sequence[Member]:
    """The team; only the active or inactive members, or those of one role."""
    return store.listed(connection, is_active, role)


def listing(connection: Connection, is_active: bool | None, role: str | None) -> Listing:
    """The team as a list for readers."""
    found = store.listed(connection, is_active, role)
    rows = [(it.member_id, it.name, it.role, it.department, it.is_active) for it in found]
    return Listing(pl.DataFrame(rows, schema=TEAM, orient="row").lazy(), ("member_id",), "member_name", {})


def access(connection: Connection) -> dict[int, Access]:
    """What everybody may do now, for tokens to be checked against."""
    return store.access(connection)


def add(
    settings: Settings,
    email: str,
    name: str,
    access_role: str,
    password: str,
    *,
    title: str | None = None,
    department: str | None = None,
) -> Member:
    """Take a new member on."""
    address = _address(email)
    if access_role not in ACCESS_ROLES:
        raise unknown("role", access_role, ACCESS_ROLES)
    if not name.strip():
        raise UsageError("the name is empty")
    secret = passwords.hashed(password)
    with _at(settings) as connection:
        return store.add(
            connection,
            email=address,
            name=name.strip(),
            access_role=access_role,
            role=title or access_role,
            department=department,
            password_hash=secret,
            actor=audit.operator(),
        )


def team(settings: Settings) -> Sequence[Member]:
    """All members, as they were taken on."""
    with _at(settings) as connection:
        return store.listed(connection)


def set_active(settings: Settings, email: str, active: bool) -> Member:
    """Keep a member out, or let him in again."""
    with _at(settings) as connection:
        found = named(connection, email)
        return store.set_active(connection, found.member_id, active, audit.operator())


def set_access_role(settings: Settings, email: str, access_role: str) -> Member:
    """Change what a member may do."""
    with _at(settings) as connection:
        found = named(connection, email)
        return store.set_access_role(connection, found.member_id, access_role, audit.operator())


def set_password(settings: Settings, email: str, password: str) -> Member:
    """Give a member another password."""
    secret = passwords.hashed(password)
    with _at(settings) as connection:
        found = named(connection, email)
        return store.set_password(connection, found.member_id, secret, audit.operator())


def token_holder(settings: Settings, email: str, hours: float) -> Member:
    """The member an operator may make a token for; that he does so is told to the chain first."""
    with _at(settings) as connection:
        found = named(connection, email)
        if not found.is_active or found.access_role is None:
            raise UsageError("this member may not come in", "loanmetrics members enable EMAIL")
        new = {"member_id": found.member_id, "hours": hours}
        audit.append(connection, event="token_issued", actor=audit.operator(), new_value=new)
        return found


def rotate_keys(settings: Settings, rotate: Callable[[], str]) -> str:
    """Sign tokens with another key, and tell the chain which."""
    with _at(settings) as connection, connection.transaction():
        audit.hold(connection)
        kid = rotate()
        audit.append(connection, event="key_rotated", actor=audit.operator(), new_value={"kid": kid})
        return kid


def named(connection: Connection, email: str) -> Member:
    """The member with this address, or an error that does not repeat it."""
    found = store.by_email(connection, _address(email))
    if found is None:
        raise NotFoundError("no team member has this e-mail address", "loanmetrics members list --full")
    return found


def masked(email: str) -> str:
    """An address that its owner recognises and nobody else can write to.

    >>> masked("ada.eze@example.com")
    'a***@example.com'
    """
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"


@contextmanager
def _at(settings: Settings) -> Iterator[Connection]:
    with opened(settings) as url, connect(url, "loanmetrics members") as connection:
        yield connection


def _address(email: str) -> str:
    address = email.strip()
    if len(address) > LONGEST or not EMAIL.fullmatch(address):
        raise UsageError("this is no e-mail address", "name@example.com")
    return address
