"""Logging in: who may, how often, and what becomes of refresh tokens that are shown twice."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher

from loanmetrics.errors import AuthenticationError, TooManyAttemptsError, UsageError
from loanmetrics.http.tokens import Team, Tokens
from loanmetrics.jobs import login, members, passwords
from loanmetrics.settings import Settings
from loanmetrics.store import audit, tokens
from loanmetrics.store.audit_check import verify
from loanmetrics.store.members import Member, password_hash
from loanmetrics.store.session import connect
from tests.http.clock import Clock

EMAIL, PASSWORD, ADDRESS = "ada@example.com", "correct horse battery", "10.0.0.1"
LATER = "UPDATE login_attempts SET attempted_at = attempted_at - interval '{}'"


@pytest.fixture
def settings(database: str, tmp_path: Any) -> Settings:
    return Settings(database_url=database, home=tmp_path / "home")


@pytest.fixture
def ada(settings: Settings) -> Member:
    return members.add(settings, EMAIL, "Ada", "auditor", PASSWORD)


@pytest.fixture
def connection(database: str, ada: Member) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def events(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT event, actor FROM audit_tracking WHERE event <> 'migrated' ORDER BY audit_id"
    ).fetchall()


def enter(connection: psycopg.Connection, **changes: str) -> login.Session:
    asked = {"email": EMAIL, "password": PASSWORD, "address": ADDRESS} | changes
    return login.login(connection, **asked)


def test_a_member_comes_in_by_the_password(connection: psycopg.Connection, ada: Member) -> None:
    assert enter(connection).member == ada
    assert enter(connection, email=" ADA@Example.com ").member == ada
    assert events(connection)[-2:] == [("login", f"member:{ada.member_id}")] * 2
    assert verify(connection).fault is None


WRONG = [
    {"password": "wrong horse battery"},
    {"password": ""},
    {"password": PASSWORD + " "},
    {"password": "x" * 10_000},
    {"password": "\ud800" * 12},
    {"email": "eve@example.com"},
    {"email": ""},
    {"email": "a\0da@example.com"},
    {"email": "\ud800@example.com"},
    {"email": "' OR true --"},
]


@pytest.mark.parametrize("changes", WRONG)
def test_whatever_is_wrong_the_answer_is_the_same(
    connection: psycopg.Connection, changes: dict[str, str]
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        enter(connection, **changes)
    assert str(caught.value) == login.WRONG
    assert events(connection)[-1][0] == "login_failed"


def test_an_unknown_address_costs_as_much_as_a_known_one(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time is not asserted: one hash is checked either way, made with the same parameters."""
    looked_at: list[str] = []
    check = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str | bytes, password: str | bytes) -> Any:
        looked_at.append(str(stored))
        return check(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for changes in ({"password": "wrong horse battery"}, {"email": "eve@example.com"}):
        with pytest.raises(AuthenticationError):
            enter(connection, **changes)
    known, unknown = looked_at
    assert known.rsplit("$", 2)[0] == unknown.rsplit("$", 2)[0]


def test_a_disabled_member_stays_out(settings: Settings, connection: psycopg.Connection, ada: Member) -> None:
    session = enter(connection)
    off = members.set_active(settings, EMAIL, False)
    assert off == replace(ada, is_active=False, version=ada.version + 1)
    with pytest.raises(AuthenticationError, match=login.WRONG):
        enter(connection)
    with pytest.raises(AuthenticationError, match=login.STALE):
        login.refresh(connection, session.refresh.text)
    assert members.set_active(settings, EMAIL, True).version == ada.version + 2
    assert enter(connection).member.is_active
    with pytest.raises(AuthenticationError, match=login.STALE):
        login.refresh(connection, session.refresh.text)


def test_a_disabled_members_access_token_ends_within_a_minute(
    settings: Settings, connection: psycopg.Connection
) -> None:
    clock = Clock()
    gate = Tokens(settings, Team(lambda: members.access(connection), clock))
    text = gate.issue(enter(connection).member)
    assert gate.principal(text).role == "auditor"
    members.set_active(settings, EMAIL, False)
    clock.now += 60.001
    with pytest.raises(AuthenticationError):
        gate.principal(text)


def test_another_password_ends_every_token(settings: Settings, connection: psycopg.Connection) -> None:
    session = enter(connection)
    members.set_password(settings, EMAIL, "another horse battery")
    with pytest.raises(AuthenticationError):
        enter(connection)
    with pytest.raises(AuthenticationError):
        login.refresh(connection, session.refresh.text)
    assert enter(connection, password="another horse battery").member.version == session.member.version + 1


def test_a_password_is_kept_as_a_hash_only(connection: psycopg.Connection, ada: Member) -> None:
    stored = password_hash(connection, ada.member_id)
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    dump = connection.execute("SELECT t::text FROM team_members t").fetchall()
    assert PASSWORD not in str(dump)


def test_an_old_hash_is_made_anew_at_the_next_login(connection: psycopg.Connection, ada: Member) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    connection.execute("UPDATE team_members SET password_hash = %s", [old])
    assert enter(connection).member.version == ada.version
    fresh = password_hash(connection, ada.member_id)
    assert fresh is not None
    assert not passwords.outdated(fresh)
    assert enter(connection).member == ada


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1_001])
def test_a_password_has_a_decent_length(password: str) -> None:
    with pytest.raises(UsageError, match="12 to 1,000"):
        passwords.hashed(password)


def test_a_refresh_token_is_good_once(connection: psycopg.Connection, ada: Member) -> None:
    first = enter(connection).refresh
    second = login.refresh(connection, first.text)
    assert second.member == ada
    assert second.refresh.text != first.text
    third = login.refresh(connection, second.refresh.text)
    assert third.refresh.expires_at > first.expires_at


def test_a_refresh_token_shown_twice_ends_its_family(connection: psycopg.Connection, ada: Member) -> None:
    """Whoever stole it, thief and owner are both out; another log-in of the same member stays."""
    stolen, other = enter(connection).refresh, enter(connection).refresh
    thief = login.refresh(connection, stolen.text)
    for text in (stolen.text, thief.refresh.text, stolen.text):
        with pytest.raises(AuthenticationError, match=login.STALE):
            login.refresh(connection, text)
    assert events(connection).count(("refresh_reused", f"member:{ada.member_id}")) == 1
    assert login.refresh(connection, other.text).member == ada


def test_of_two_who_refresh_at_once_one_gets_in_and_then_neither(
    database: str, connection: psycopg.Connection
) -> None:
    text, gate = enter(connection).refresh.text, threading.Barrier(2)

    def show(_: int) -> str | None:
        with connect(database) as own:
            gate.wait()
            try:
                return login.refresh(own, text).refresh.text
            except AuthenticationError:
                return None

    with ThreadPoolExecutor(2) as pool:
        (given,) = [answer for answer in pool.map(show, range(2)) if answer]
    with pytest.raises(AuthenticationError):
        login.refresh(connection, given)


WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def test_nobody_waits_for_one_who_waits_for_him(
    database: str, settings: Settings, connection: psycopg.Connection, ada: Member
) -> None:
    """A token is being shown when its member is changed: the change waits, and holds nothing the other needs."""
    text = enter(connection).refresh.text
    with connect(database) as watching, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            held = tokens.show(connection, text)
            change = pool.submit(members.set_active, settings, EMAIL, False)
            while watching.execute(WAITING).fetchone() == (0,):
                assert not change.done()
            assert held is not None
            tokens.revoke(connection, held.family)
            audit.append(connection, event="logout", actor=f"member:{ada.member_id}")
        assert not change.result().is_active
    assert [event for event, _ in events(connection)][-2:] == ["logout", "member_disabled"]


@pytest.mark.parametrize("late", [False, True])
def test_a_member_put_out_while_the_password_is_looked_at_stays_out(
    settings: Settings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Even one who is let in again: tokens of before are gone."""
    matches = passwords.matches

    def and_others_commit(password: str, stored: str | None) -> bool:
        right = matches(password, stored)
        members.set_active(settings, EMAIL, False)
        if late:
            members.set_active(settings, EMAIL, True)
        return right

    monkeypatch.setattr(passwords, "matches", and_others_commit)
    with pytest.raises(AuthenticationError, match=login.WRONG):
        enter(connection)
    assert connection.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (0,)


def test_logging_out_ends_the_family(connection: psycopg.Connection, ada: Member) -> None:
    first = enter(connection).refresh
    second = login.refresh(connection, first.text).refresh
    login.logout(connection, second.text)
    login.logout(connection, second.text)
    login.logout(connection, "never issued")
    with pytest.raises(AuthenticationError):
        login.refresh(connection, second.text)
    assert events(connection).count(("logout", f"member:{ada.member_id}")) == 1


@pytest.mark.parametrize("text", ["", "x", "\0", "\ud800", "x" * 100_000])
def test_a_refresh_token_nobody_issued(connection: psycopg.Connection, text: str) -> None:
    with pytest.raises(AuthenticationError, match=login.STALE):
        login.refresh(connection, text)


def test_a_refresh_token_lasts_thirty_days(connection: psycopg.Connection) -> None:
    session = enter(connection)
    connection.execute("UPDATE refresh_tokens SET expires_at = expires_at - interval '30 days'")
    with pytest.raises(AuthenticationError, match=login.STALE):
        login.refresh(connection, session.refresh.text)
    enter(connection)
    assert connection.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (1,)


def test_of_a_refresh_token_only_the_hash_is_kept(connection: psycopg.Connection) -> None:
    session = enter(connection)
    rows = str(connection.execute("SELECT t::text FROM refresh_tokens t").fetchall())
    assert session.refresh.text not in rows
    assert tokens.digest(session.refresh.text) in rows


def fail(connection: psycopg.Connection, times: int, **changes: str) -> None:
    for _ in range(times):
        with pytest.raises(AuthenticationError):
            enter(connection, **({"password": "wrong horse battery"} | changes))


@pytest.mark.parametrize("email", [EMAIL, "eve@example.com"])
def test_an_account_known_or_not_is_closed_for_a_while_after_five_failures(
    connection: psycopg.Connection, email: str
) -> None:
    fail(connection, tokens.PER_ACCOUNT, email=email)
    for _ in range(3):
        with pytest.raises(TooManyAttemptsError) as caught:
            enter(connection, email=email, address="10.0.0.2")
        assert 0 < caught.value.retry_after <= 15 * 60
    assert connection.execute("SELECT count(*) FROM login_attempts").fetchone() == (tokens.PER_ACCOUNT,)


def test_the_window_slides(connection: psycopg.Connection) -> None:
    fail(connection, 2)
    connection.execute(LATER.format("10 minutes").encode())
    fail(connection, 3)
    with pytest.raises(TooManyAttemptsError) as caught:
        enter(connection)
    assert caught.value.retry_after <= 5 * 60
    connection.execute(LATER.format("5 minutes").encode())
    assert enter(connection).member.email == EMAIL


def test_an_address_that_tries_many_accounts_is_refused(connection: psycopg.Connection) -> None:
    connection.execute(
        "INSERT INTO login_attempts (account_hash, address_hash, attempted_at)"
        " SELECT n::text, %s, now() FROM generate_series(1, %s) AS n",
        [tokens.digest(ADDRESS), tokens.PER_ADDRESS],
    )
    with pytest.raises(TooManyAttemptsError):
        enter(connection)
    assert enter(connection, address="10.0.0.2").member.email == EMAIL


def test_success_is_no_failure(connection: psycopg.Connection) -> None:
    for _ in range(tokens.PER_ACCOUNT + 1):
        enter(connection)
    assert connection.execute("SELECT count(*) FROM login_attempts").fetchone() == (0,)


def test_many_guesses_at_once_gain_nothing(database: str, connection: psycopg.Connection) -> None:
    def guess(number: int) -> type[Exception] | None:
        with connect(database) as own:
            try:
                enter(own, password=f"wrong horse battery {number}", address=f"10.0.1.{number}")
            except (AuthenticationError, TooManyAttemptsError) as error:
                return type(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(16)))
    assert answers.count(AuthenticationError) <= tokens.PER_ACCOUNT
    assert None not in answers


def test_the_chain_holds_no_address_of_anybody(connection: psycopg.Connection) -> None:
    fail(connection, 1, email="eve@example.com")
    enter(connection)
    rows = str(connection.execute("SELECT t::text FROM audit_tracking t").fetchall())
    assert not any(word in rows for word in ("ada@", "Ada", "eve@", ADDRESS, "10.0.0"))
