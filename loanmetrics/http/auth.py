"""Who asks, and whether they may: deny by default."""

from http import HTTPStatus

import falcon

from loanmetrics.errors import AuthenticationError
from loanmetrics.http.desk import Desk
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.routes import NOBODY, Member, Route

SCHEME = "bearer"


def admit(desk: Desk, route: Route, request: falcon.Request) -> Member:
    """The member behind a request, if the route is open to them; else 401 or 403."""
    if route.role == "public":
        return NOBODY
    member = _member(desk, request)
    if not member.may(route.role):
        raise ProblemError(HTTPStatus.FORBIDDEN, f"this takes the role {route.role}")
    return member


def _member(desk: Desk, request: falcon.Request) -> Member:
    scheme, _, token = (request.get_header("Authorization") or "").partition(" ")
    if scheme.lower() != SCHEME or not token:
        raise AuthenticationError("a bearer token is needed", "POST /auth/token")
    return desk.member(token.strip())
