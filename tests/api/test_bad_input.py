"""What the API is asked that it must refuse: with the right status, naming what is wrong, and changing nothing."""

import re
from collections.abc import Iterator
from typing import Any

import falcon.testing
import pytest

from loanmetrics.http.routes import Route
from loanmetrics.http.table import ROUTES
from loanmetrics.settings import Settings
from loanmetrics.tables import TABLES
from tests.api.conftest import Api
from tests.bad_input.requests import (
    BODIES,
    BODY_FIELDS,
    CONDITIONAL,
    FIELDS,
    HEADERS,
    KEYS,
    PARAMETERS,
    PATHS,
    POSTED,
    QUERIES,
    VALUES,
    VERSIONS,
    Body,
)
from tests.jobs.stored import asked

NEEDED = {"officer-tracks": ("metric=fimr", "officer_id=O0001")}
# What a client must never see.
INNER = re.compile(r"Traceback|psycopg|polars|duckdb|msgspec|falcon|site-packages|password_hash|argon2", re.I)
# Written by whoever reads, or counted.
LIVELY = {"login_attempts", "refresh_tokens"}
each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
each_posted = pytest.mark.parametrize("route", POSTED, ids=lambda route: route.name)


@pytest.fixture(autouse=True, scope="module")
def nothing_changes(published: Settings) -> Iterator[None]:
    """No row of any table, whatever is asked here."""
    assert published.database_url
    before = _everything(published.database_url)
    yield
    assert _everything(published.database_url) == before


def _everything(url: str) -> list[Any]:
    names = [name for name in TABLES if name not in LIVELY]
    parts = [
        f"(SELECT (count(*), sum(hashtextextended(t::text, 0))::text)::text FROM {name} t)" for name in names
    ]
    return list(asked(url, f"SELECT {', '.join(parts)}")[0])


def path_of(route: Route) -> str:
    return re.sub(r"{\w+}", "nobody", route.path)


def role_of(route: Route) -> str | None:
    return None if route.role == "public" else "admin"


def assert_refused(found: falcon.testing.Result, *statuses: int) -> None:
    """In the one shape there is, and nothing of what goes on inside."""
    assert found.status_code in statuses, (found.status_code, found.text[:300])
    assert found.headers["content-type"] == "application/problem+json"
    assert found.json["status"] == found.status_code
    assert not INNER.search(found.text), found.text[:500]


def ask(api: Api, route: Route, query: str) -> falcon.testing.Result:
    headers = {"If-Match": '"0"', "Idempotency-Key": "bad-input-1", "Content-Type": "application/json"}
    more: dict[str, Any] = {"headers": headers, "body": b"{}"} if route.body else {}
    name = query.partition("=")[0]
    needed = [given for given in NEEDED.get(route.name, ()) if not given.startswith(f"{name}=")]
    whole = "&".join([*needed, query] if query else needed)
    return api.ask(route.method, path_of(route), role_of(route), query_string=whole, **more)


@pytest.mark.parametrize(
    ("route", "name", "values"), PARAMETERS, ids=[f"{route.name} {name}" for route, name, _ in PARAMETERS]
)
def test_what_is_no_value_of_a_parameter_is_refused_or_finds_nothing(
    api: Api, route: Route, name: str, values: tuple[str, ...]
) -> None:
    plain = ask(api, route, "").json.get("data")
    for value in map(VALUES.__getitem__, values):
        found = ask(api, route, f"{name}={value}")
        if found.status_code == 200:
            assert _is_harmless(found.json["data"], plain, route, name), (value, found.text[:300])
        else:
            assert_refused(found, 400, 404)
            fields = [wrong["field"] for wrong in found.json["errors"]]
            assert fields == [name] or (found.status_code, fields) == (404, []) or _is_bound(name, fields)


def _is_harmless(data: Any, plain: Any, route: Route, name: str) -> bool:
    """Nothing is found, or the value is one that may be given: then it is as if one had asked properly."""
    if not route.is_list:
        return bool(data)
    texts = ("region", "branch", "officer_id", "channel", "risk_band", "role")
    empty = all(row.get("loans") == 0 for row in data)
    return empty if name in texts else len(data) <= len(plain)


def _is_bound(name: str, fields: list[str]) -> bool:
    """One end of a stretch alone is refused under either name."""
    return bool({name, *fields} <= {"start_date", "end_date"})


@each_route
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_that_makes_no_sense_is_refused(api: Api, route: Route, query: str) -> None:
    assert_refused(ask(api, route, query), 400, 404)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_leads_nowhere(api: Api, path: str) -> None:
    assert_refused(api.get(path, "admin"), 400, 404)


@each_posted
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_none_is_refused(api: Api, route: Route, body: Body) -> None:
    given = {"If-Match": '"0"', "Idempotency-Key": "bad-input-1"}
    if body.media:
        given["Content-Type"] = body.media
    if body.encoding:
        given["Content-Encoding"] = body.encoding
    found = api.ask(route.method, path_of(route), role_of(route), body=body.raw, headers=given)
    assert_refused(found, body.status)


@pytest.mark.parametrize(
    ("route", "name"), BODY_FIELDS, ids=[f"{route.name} {name}" for route, name in BODY_FIELDS]
)
def test_what_is_no_value_of_a_bodys_field_is_refused(api: Api, route: Route, name: str) -> None:
    assert route.body
    others = b"".join(
        b', "%s": "xyz"' % other.encode() for other in route.body.__struct_fields__ if other != name
    )
    for place, value in enumerate(FIELDS.values()):
        found = api.ask(
            route.method,
            path_of(route),
            role_of(route),
            body=b'{"%s": %s%s}' % (name.encode(), value, others),
            headers={"If-Match": '"0"', "Idempotency-Key": "bad-input-1", "Content-Type": "application/json"},
            remote_addr=f"198.51.100.{place}",
        )
        if route.name in ("refresh", "logout"):
            assert found.status_code in (200, 400, 401), (value, found.text)
        else:
            assert_refused(found, 400, 404)


@each_route
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_strange_header_breaks_nothing(api: Api, route: Route, header: tuple[str, str]) -> None:
    more: dict[str, Any] = {"headers": dict([header])}
    if route.body:
        more = {"headers": {"Content-Type": "application/json", **dict([header])}, "body": b"{}"}
    elif route.method != "GET":
        more["headers"]["Content-Type"] = "application/json"
    found = api.ask(route.method, path_of(route), role_of(route), **more)
    assert found.status_code < 500, found.text
    assert not INNER.search(found.text if "json" in found.headers.get("content-type", "") else "")
    assert found.headers["x-request-id"] != header[1]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("route", CONDITIONAL, ids=lambda route: route.name)
def test_a_version_that_is_none_is_refused(api: Api, route: Route, version: str) -> None:
    body = {"assign": {"assignee_id": None}, "set-audit-status": {"audit_status": "Resolved"}}
    found = api.ask(
        route.method,
        route.path.format(officer_id="O0001"),
        "auditor",
        json=body.get(route.name, {"action_type": "call"}),
        headers={"If-Match": version, "Idempotency-Key": "bad-input-1"},
    )
    assert_refused(found, 400)
    assert found.json["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    found = api.ask(
        "POST",
        "/audit/officers/O0001/actions",
        "auditor",
        json={"action_type": "call"},
        headers={"If-Match": '"0"', "Idempotency-Key": key},
    )
    assert_refused(found, 400)
    assert found.json["errors"][0]["field"] == "Idempotency-Key"
