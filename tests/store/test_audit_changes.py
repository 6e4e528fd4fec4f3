"""Versions change with what shows an officer's audit, and with nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from loanmetrics.store import audit, members
from loanmetrics.store.audit_changes import SILENT, Versions, follow
from loanmetrics.store.session import connect


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def tell(connection: psycopg.Connection, event: str, officer_id: str | None = None) -> int:
    row = audit.append(connection, event=event, actor="user:ada", officer_id=officer_id)
    number: int = row["audit_id"]
    return number


@dataclass
class Follower:
    """Goes on from row to row; what it knows is what one who begins anew knows."""

    connection: psycopg.Connection
    versions: Versions = field(default_factory=Versions)

    def seen(self) -> tuple[int, int, int, int]:
        """The versions of A, of A and B, of nobody, of everybody."""
        self.versions = follow(self.connection, self.versions)
        assert self.versions == follow(self.connection, Versions())
        return tuple(map(self.versions.of, (["A"], ["A", "B"], [], None)))  # type: ignore[return-value]


@pytest.fixture
def follower(connection: psycopg.Connection) -> Follower:
    return Follower(connection)


def test_an_audit_concerns_who_shows_its_officer(connection: psycopg.Connection, follower: Follower) -> None:
    nobody = follower.seen()[2]
    first = tell(connection, "assigned", "A")
    assert follower.seen() == (first, first, nobody, first)
    second = tell(connection, "status", "B")
    assert follower.seen() == (first, second, nobody, second)
    third = tell(connection, "action", "A")
    assert follower.seen() == (third, third, nobody, third)


def test_who_logs_in_or_exports_concerns_nobody(connection: psycopg.Connection, follower: Follower) -> None:
    tell(connection, "assigned", "A")
    before = follower.seen()
    for event in SILENT:
        tell(connection, event)
    assert follower.seen() == before


def test_the_team_and_whatever_is_not_known_concern_everybody(
    connection: psycopg.Connection, follower: Follower
) -> None:
    tell(connection, "assigned", "A")
    follower.seen()
    members.add(
        connection,
        email="eve@example.com",
        name="Eve",
        access_role="viewer",
        role=None,
        department=None,
        password_hash=None,
        actor="user:ada",
    )
    joined = audit.head(connection).audit_id
    assert follower.seen() == (joined,) * 4
    last = tell(connection, "something new")
    assert follower.seen() == (last,) * 4


def test_a_chain_that_went_another_way_is_read_anew(
    connection: psycopg.Connection, follower: Follower
) -> None:
    """As after a restore, or when a standby that lacked the last rows took over."""
    for officer_id in ("A", "B"):
        tell(connection, "assigned", officer_id)
    follower.seen()
    connection.execute("ALTER TABLE audit_tracking DISABLE TRIGGER ALL")
    lost = audit.head(connection).audit_id
    connection.execute("DELETE FROM audit_tracking WHERE audit_id = %s", [lost])
    assert tell(connection, "assigned", "C") == lost
    last = tell(connection, "assigned", "A")
    assert follower.seen()[:2] == (last, last)
    assert follower.versions.of(["B"]) < lost <= follower.versions.of(["C"])
    connection.execute("DELETE FROM audit_tracking")
    assert follower.seen() == (0, 0, 0, 0)
