"""Refusals: RFC 9457 ``application/problem+json``, naming the fields that were wrong."""

from http import HTTPStatus
from typing import Any

import falcon
import msgspec

MEDIA_TYPE = "application/problem+json"


class Wrong(msgspec.Struct, frozen=True):
    """One field that was wrong, and how."""

    field: str
    message: str


class ProblemBody(msgspec.Struct, frozen=True):
    """Why a request was refused."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: tuple[Wrong, ...] = ()


class ProblemError(Exception):
    """A refusal on its way to the client."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: tuple[Wrong, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.body = ProblemBody(status.phrase, status.value, detail, errors=errors)

    @classmethod
    def bad(cls, field: str, message: str) -> "ProblemError":
        """400 because of one field."""
        return cls(HTTPStatus.BAD_REQUEST, f"{field}: {message}", (Wrong(field, message),))

    @classmethod
    def missing(cls, detail: str) -> "ProblemError":
        """404."""
        return cls(HTTPStatus.NOT_FOUND, detail)


def say(response: falcon.Response, problem: ProblemError) -> None:
    """Put the refusal into the response.

    It is not kept, and has no tag: who asked again with it would be told that the refusal still stands.
    """
    response.delete_header("ETag")
    response.set_header("Cache-Control", "no-store")
    response.status = problem.status.value
    response.content_type = MEDIA_TYPE
    response.data = msgspec.json.encode(problem.body)
    response.text = None
    for name, value in problem.headers.items():
        response.set_header(name, value)


def serialize(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    """Falcon's own refusals (no such route, method not allowed) in the same shape."""
    status = HTTPStatus(error.status_code)
    detail = str(error.description or error.title or status.phrase)
    response.content_type = MEDIA_TYPE
    response.data = msgspec.json.encode(ProblemBody(status.phrase, status.value, detail))


def schema() -> dict[str, Any]:
    """JSON schema of a refusal."""
    (_,), components = msgspec.json.schema_components(
        [ProblemBody], ref_template="#/components/schemas/{name}"
    )
    return dict(components)
