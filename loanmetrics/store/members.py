"""The team: who may look, who may audit. Whatever changes what a member may do is in the audit chain, without names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from loanmetrics.errors import ConflictError, NotFoundError
from loanmetrics.store import audit

SELECT: LiteralString = (
    "SELECT member_id, member_name AS name, member_email AS email, role, department, is_active,"
    " access_role, member_version AS version FROM team_members"
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the team: ``role`` is what he does, ``access_role`` what he may do here.

    ``version`` changes whenever that, the password or being active does: tokens of an older one are refused.
    """

    member_id: int
    name: str
    email: str
    role: str | None
    department: str | None
    is_active: bool
    access_role: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Access:
    """What a token of a member is checked against."""

    version: int
    is_active: bool
    access_role: str | None
    email: str


def add(
    connection: psycopg.Connection,
    *,
    email: str,
    name: str,
    access_role: str,
    role: str | None,
    department: str | None,
    password_hash: str | None,
    actor: str,
) -> Member:
    """Take a new member on; refused if the address has one already."""
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO team_members"
            " (member_name, member_email, role, department, is_active, access_role, password_hash)"
            " VALUES (%s, %s, %s, %s, true, %s, %s) ON CONFLICT (lower(member_email)) DO NOTHING"
            " RETURNING member_id",
            [name, email, role, department, access_role, password_hash],
        ).fetchone()
        if row is None:
            raise ConflictError("this e-mail address has a member already", "loanmetrics members list")
        _tell(connection, "member_added", actor, row[0], {}, {"access_role": access_role, "is_active": True})
        return _must(by_id(connection, row[0]))


def set_active(connection: psycopg.Connection, member_id: int, active: bool, actor: str) -> Member:
    """Let a member in or keep him out; one who is kept out loses his refresh tokens."""
    event = "member_enabled" if active else "member_disabled"
    return _change(connection, member_id, "is_active", active, event, actor)


def set_access_role(connection: psycopg.Connection, member_id: int, access_role: str, actor: str) -> Member:
    """Change what a member may do."""
    return _change(connection, member_id, "access_role", access_role, "member_role_changed", actor)


def set_password(connection: psycopg.Connection, member_id: int, password_hash: str, actor: str) -> Member:
    """Replace a member's password; whoever knew the old one has to log in again."""
    return _change(connection, member_id, "password_hash", password_hash, "member_password_set", actor)


def by_id(connection: psycopg.Connection, member_id: int) -> Member | None:
    """The member with this id."""
    return _one(connection, " WHERE member_id = %s", member_id)


def held(connection: psycopg.Connection, member_id: int) -> Member | None:
    """The member with this id, whom nobody else can change until the transaction ends."""
    return _one(connection, " WHERE member_id = %s FOR UPDATE", member_id)


def by_email(connection: psycopg.Connection, email: str) -> Member | None:
    """The member with this e-mail address, in whatever case it is written."""
    return _one(connection, " WHERE lower(member_email) = lower(%s)", email)


def listed(
    connection: psycopg.Connection, is_active: bool | None = None, role: str | None = None
) -> Sequence[Member]:
    """The team in the order in which it was taken on; only the active or inactive ones, or those of one role."""
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        cursor.execute(
            SELECT + " WHERE (%(active)s::boolean IS NULL OR is_active = %(active)s)"
            " AND (%(role)s::text IS NULL OR role = %(role)s) ORDER BY member_id",
            {"active": is_active, "role": role},
        )
        return cursor.fetchall()


def access(connection: psycopg.Connection) -> dict[int, Access]:
    """What everybody may do now, by member."""
    rows = connection.execute(
        "SELECT member_id, member_version, is_active, access_role, lower(member_email) FROM team_members"
    )
    return {member_id: Access(*rest) for member_id, *rest in rows}


def password_hash(connection: psycopg.Connection, member_id: int) -> str | None:
    """The hash to hold a password against; it goes nowhere else."""
    row = connection.execute(
        "SELECT password_hash FROM team_members WHERE member_id = %s", [member_id]
    ).fetchone()
    return row[0] if row else None


def rehash(connection: psycopg.Connection, member_id: int, before: str, after: str) -> None:
    """The same password under newer parameters, unless it was changed meanwhile: no change of the member."""
    connection.execute(
        "UPDATE team_members SET password_hash = %s WHERE member_id = %s AND password_hash = %s",
        [after, member_id, before],
    )


def _change(
    connection: psycopg.Connection,
    member_id: int,
    column: LiteralString,
    value: object,
    event: str,
    actor: str,
) -> Member:
    with connection.transaction():
        before = held(connection, member_id)
        if before is None:
            raise NotFoundError(f"no team member {member_id}", "loanmetrics members list")
        connection.execute(
            f"UPDATE team_members SET {column} = %s, member_version = member_version + 1, updated_at = now()"
            " WHERE member_id = %s",
            [value, member_id],
        )
        connection.execute(
            "UPDATE refresh_tokens SET revoked_at = clock_timestamp() WHERE member_id = %s AND revoked_at IS NULL",
            [member_id],
        )
        told = {} if column == "password_hash" else {column: value}
        _tell(connection, event, actor, member_id, {name: getattr(before, name) for name in told}, told)
        return _must(by_id(connection, member_id))


def _tell(
    connection: psycopg.Connection,
    event: str,
    actor: str,
    member_id: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    audit.append(
        connection,
        event=event,
        actor=actor,
        old_value={"member_id": member_id, **before} if before else None,
        new_value={"member_id": member_id, **after},
    )


def _one(connection: psycopg.Connection, where: LiteralString, value: object) -> Member | None:
    with connection.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(SELECT + where, [value]).fetchone()


def _must(found: Member | None) -> Member:
    assert found is not None
    return found
