"""Logging in, staying in, logging out."""

from typing import Annotated

import msgspec

from loanmetrics.http.routes import Answer, Asked
from loanmetrics.jobs import login as job
from loanmetrics.jobs.login import Session

COOKIE = "loanmetrics_session"
COOKIE_SECONDS = 30 * 86_400
# Only this site's own pages send it, only here, and browsers take plain http on this machine for safe enough.
GUARDED = "Path=/api/v1/auth/session; HttpOnly; Secure; SameSite=Strict"
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who a team member is, and what only they know."""

    email: Annotated[str, msgspec.Meta(min_length=3, max_length=254)]
    password: Secret


class RefreshBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refresh token."""

    refresh_token: Secret


class Tokens(msgspec.Struct, frozen=True):
    """A token for requests, and one to get the next with."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    role: str


class Access(msgspec.Struct, frozen=True):
    """A token for requests, kept in memory by the page that got it."""

    access_token: str
    expires_in: int
    role: str
    member_id: int
    name: str


class LoggedOut(msgspec.Struct, frozen=True):
    """Nothing is left to say."""

    logged_out: bool


def login(asked: Asked) -> Answer:
    """Tokens for an e-mail address and a password."""
    body: Credentials = asked.body
    with asked.desk.database() as connection:
        session = job.login(connection, body.email, body.password, asked.address)
    return _tokens(asked, session)


def refresh(asked: Asked) -> Answer:
    """New tokens for a refresh token."""
    body: RefreshBody = asked.body
    with asked.desk.database() as connection:
        session = job.refresh(connection, body.refresh_token)
    return _tokens(asked, session)


def logout(asked: Asked) -> Answer:
    """Withdraw what began with one log-in; an unknown token is withdrawn already."""
    body: RefreshBody = asked.body
    with asked.desk.database() as connection:
        job.logout(connection, body.refresh_token)
    return Answer(LoggedOut(logged_out=True))


def _tokens(asked: Asked, session: Session) -> Answer:
    access, seconds = asked.desk.access_token(session.member)
    return Answer(Tokens(access, "Bearer", seconds, session.refresh.text, session.member.access_role or ""))


def open_session(asked: Asked) -> Answer:
    """Log a browser in."""
    body: Credentials = asked.body
    with asked.desk.database() as connection:
        session = job.login(connection, body.email, body.password, asked.address)
    return _access(asked, session)


def refresh_session(asked: Asked) -> Answer:
    """Go on with a browser's session: its cookie is used up and replaced. Null where there is none."""
    cookie = asked.cookie(COOKIE)
    if not cookie:
        return Answer(None)
    with asked.desk.database() as connection:
        session = job.refresh(connection, cookie)
    return _access(asked, session)


def end_session(asked: Asked) -> Answer:
    """Log a browser out, which is done also if it was not logged in."""
    with asked.desk.database() as connection:
        job.logout(connection, asked.cookie(COOKIE))
    return Answer(LoggedOut(logged_out=True), headers={"Set-Cookie": f"{COOKIE}=; Max-Age=0; {GUARDED}"})


def _access(asked: Asked, session: Session) -> Answer:
    access, seconds = asked.desk.access_token(session.member)
    member = session.member
    told = Access(access, seconds, member.access_role or "", member.member_id, member.name)
    cookie = f"{COOKIE}={session.refresh.text}; Max-Age={COOKIE_SECONDS}; {GUARDED}"
    return Answer(told, headers={"Set-Cookie": cookie})
