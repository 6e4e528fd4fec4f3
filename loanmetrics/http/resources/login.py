"""Logging in, staying in, logging out."""

from typing import Annotated

import msgspec

from loanmetrics.http.routes import Answer, Asked
from loanmetrics.jobs import login as job
from loanmetrics.jobs.login import Session

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
