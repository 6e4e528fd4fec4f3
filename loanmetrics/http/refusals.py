"""What went wrong, as the client may know it."""

import logging
from http import HTTPStatus

import falcon

from loanmetrics.errors import (
    AuthenticationError,
    ConflictError,
    LoanmetricsError,
    NotFoundError,
    PreconditionFailedError,
    RemoteError,
    TooManyAttemptsError,
    UsageError,
)
from loanmetrics.http.problems import ProblemError, Wrong
from loanmetrics.store.pools import AWAY

LOG = logging.getLogger("loanmetrics.http")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="loanmetrics"'}
RETRY_AFTER = {"Retry-After": "5"}
STATUSES: tuple[tuple[type[LoanmetricsError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (PreconditionFailedError, HTTPStatus.PRECONDITION_FAILED),
    (AuthenticationError, HTTPStatus.UNAUTHORIZED),
    (UsageError, HTTPStatus.BAD_REQUEST),
)


def refusal(error: Exception, request: falcon.Request) -> ProblemError:
    """The problem to answer with; what nobody foresaw is logged by its kind and place, never by its text."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, TooManyAttemptsError):
        wait = {"Retry-After": str(error.retry_after)}
        return ProblemError(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers=wait)
    for kind, status in STATUSES:
        if isinstance(error, kind):
            headers = CHALLENGE if status is HTTPStatus.UNAUTHORIZED else {}
            return ProblemError(status, str(error), _fields(error), headers)
    if isinstance(error, RemoteError):
        LOG.warning("the facts are away: %s", error.message)
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "the facts cannot be reached just now", headers=RETRY_AFTER
        )
    if isinstance(error, AWAY):
        LOG.warning("the database is away: %s", type(error).__name__)
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be reached just now", headers=RETRY_AFTER
        )
    LOG.error("unexpected %s in %s", type(error).__name__, _place(error))
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"something unexpected went wrong; request id {request.context.get('id', '')}",
    )


def _fields(error: Exception) -> tuple[Wrong, ...]:
    return (Wrong(error.field, error.message),) if isinstance(error, UsageError) and error.field else ()


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
