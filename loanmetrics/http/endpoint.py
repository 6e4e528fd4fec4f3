"""From a request to a response, the same way for every route: who, what, cached or made, in which form."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import product
from typing import Any

import falcon
import msgspec
from falcon.typing import ReadableIO

from loanmetrics.http import address, auth, codings, exporting, forms, parameters, paths, problems
from loanmetrics.http.cache import Entry
from loanmetrics.http.codings import CODINGS, PLAIN
from loanmetrics.http.desk import Desk
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.refusals import refusal
from loanmetrics.http.routes import Answer, Asked, Member, Role, Route
from loanmetrics.jobs.listing import Listing

ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
JSON = "application/json"
MOST_BYTES = 64 * 1024
WARMED: tuple[Role, ...] = ("viewer", "auditor", "admin")
KEPT_HEADERS = ("if-match", "idempotency-key")


@dataclass(frozen=True)
class Endpoint:
    """All methods of one path."""

    desk: Desk
    routes: dict[str, Route]

    def respond(self, request: falcon.Request, response: falcon.Response, path: dict[str, str]) -> None:
        """Answer, or refuse."""
        route = self.routes[request.method if request.method != "HEAD" else "GET"]
        request.context.route = route
        try:
            self._answer(route, request, response, path)
        except Exception as error:
            problems.say(response, refusal(error, request))

    def _answer(
        self, route: Route, request: falcon.Request, response: falcon.Response, path: dict[str, str]
    ) -> None:
        response.append_header("Vary", "Accept, Accept-Encoding, Authorization")
        member = auth.admit(self.desk, route, request)
        request.context.member = member
        asked = Asked(
            desk=self.desk,
            route=route,
            member=member,
            query=parameters.query(route.query, request.query_string),
            body=_body(route, request),
            path={name: _fit(name, paths.restored(value)) for name, value in path.items()},
            headers={name: request.get_header(name) or "" for name in KEPT_HEADERS},
            address=address.client(
                request.remote_addr or "",
                request.get_header("X-Forwarded-For") or "",
                self.desk.settings.proxies,
            ),
            cookies=request.cookies,
        )
        form = forms.wanted(route, asked.query, request)
        if route.method == "GET" and route.cached:
            _from_cache(asked, form, request, response)
        else:
            _send(response, _packed(_answer(asked), PLAIN))


def _from_cache(asked: Asked, form: str, request: falcon.Request, response: falcon.Response) -> None:
    coding = codings.wanted(request.get_header("Accept-Encoding")) if form == JSON else PLAIN
    finding = Finding(asked, form, coding)
    key = finding.key()
    tag = f'"{key[:32]}"'
    response.set_header("ETag", tag)
    response.set_header("Cache-Control", "private, no-cache")
    if request.if_none_match and any(it == "*" or str(it) == tag.strip('"') for it in request.if_none_match):
        response.status = 304
    elif form == JSON:
        _send(response, finding.entry(key))
    elif request.method == "HEAD":
        response.content_type = form
    elif asked.route.sheet:
        exporting.send_sheet(asked, *asked.route.sheet(asked), response)
    else:
        exporting.send(asked, _listing(asked), form, response)


def warm(desk: Desk, routes: Iterable[Route]) -> None:
    """Have the first page of these ready, for every role, before anybody asks."""
    for route, role, coding in product(routes, WARMED, CODINGS):
        asked = Asked(desk, route, Member(None, role), route.query(), None, {}, {}, "")
        finding = Finding(asked, JSON, coding)
        finding.entry(finding.key())


class Finding:
    """Looks for one answer. One run, role, form, route, question, and the audits shown, give one answer.

    Whose audits a page shows is known once it was made, and the same for as long as the run. The versions are those of
    before it was made: what is shown may be newer than its key, never older.
    """

    def __init__(self, asked: Asked, form: str, coding: str) -> None:
        self._asked, self._form, self._coding = asked, form, coding
        self._made: Entry | None = None
        said = msgspec.json.encode([asked.path, msgspec.to_builtins(asked.query)], order="sorted").decode()
        self._question = [asked.desk.run(), asked.route.name, said]
        self._versions = asked.desk.audits() if asked.route.audited else None

    def key(self) -> str:
        """Under which the answer is kept."""
        return self._key(self._officers() if self._versions else ())

    def entry(self, key: str) -> Entry:
        """The answer."""
        if self._made is not None:
            return self._made
        entry, _ = self._asked.desk.cache.get_or_make(_named(key), self._make)
        return entry

    def _key(self, officers: Sequence[str] | None) -> str:
        audits = self._versions.of(officers) if self._versions else 0
        return _digest([*self._question, audits, self._asked.member.role, self._form, self._coding])

    def _officers(self) -> Sequence[str] | None:
        if self._asked.path:
            return list(self._asked.path.values())
        if self._form != JSON:
            return None
        known, _ = self._asked.desk.shown.get_or_make(_named(_digest(["shown", *self._question])), self._look)
        found: Sequence[str] | None = msgspec.json.decode(known.body)
        return found

    def _look(self) -> Entry:
        """Make the answer, and tell whose audits it shows."""
        answer = _answer(self._asked)
        made = self._made = _packed(answer, self._coding)
        self._asked.desk.cache.get_or_make(_named(self._key(answer.officers)), lambda: made)
        return Entry(HTTPStatus.OK, JSON, msgspec.json.encode(answer.officers))

    def _make(self) -> Entry:
        return _packed(_answer(self._asked), self._coding)


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _named(key: str) -> str:
    return f"loanmetrics:{key}"


def _listing(asked: Asked) -> Listing:
    made = asked.route.handler(asked)
    assert isinstance(made, Listing)
    return made


def _answer(asked: Asked) -> Answer:
    made = asked.route.handler(asked)
    return forms.page(asked, made) if isinstance(made, Listing) else made


def _packed(answer: Answer, coding: str) -> Entry:
    body: dict[str, Any] = {"success": True, "data": answer.data}
    if answer.meta:
        body["meta"] = answer.meta
    text, coded = codings.coded(ENCODER.encode(body), coding)
    headers = {**answer.headers, **coded}
    return Entry(answer.status, JSON, text, tuple(headers.items()))


def _send(response: falcon.Response, entry: Entry) -> None:
    response.status = entry.status
    response.content_type = entry.content_type
    response.data = entry.body
    for name, value in entry.headers:
        response.append_header(name, value)


def _body(route: Route, request: falcon.Request) -> Any:
    if route.body is None:
        return None
    length = request.content_length
    if length is not None and length > MOST_BYTES:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MOST_BYTES} bytes")
    raw = _stream(request).read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MOST_BYTES} bytes")
    return parameters.body(route.body, raw, request.content_type)


def _stream(request: falcon.Request) -> ReadableIO:
    """The body: to its end where the server knows it, as it does of one sent in chunks, else as long as it says."""
    return request.stream if request.env.get("wsgi.input_terminated") else request.bounded_stream


def _fit(name: str, value: str) -> str:
    if parameters.CONTROL.search(value) or len(value) > 200:
        raise ProblemError.missing(f"there is no such {name.removesuffix('_id')}")
    return value


def resource(desk: Desk, routes: dict[str, Route]) -> object:
    """A Falcon resource: one responder per method."""
    endpoint = Endpoint(desk, routes)

    def responder(self: object, request: falcon.Request, response: falcon.Response, **path: str) -> None:
        endpoint.respond(request, response, path)

    methods: dict[str, Callable[..., None]] = {f"on_{method.lower()}": responder for method in routes}
    if "GET" in routes:
        methods["on_head"] = responder
    return type("Resource", (), methods)()
