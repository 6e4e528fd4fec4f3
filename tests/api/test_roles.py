"""Deny by default: every route, every role, every way of not being somebody."""

import re

import pytest

from loanmetrics.http.routes import ROLES, Route
from loanmetrics.http.table import ROUTES
from tests.api.conftest import BASE, Api

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
GUARDED = [route for route in ROUTES if route.role != "public"]
SESSION = {"/auth/session", "/auth/session/refresh", "/auth/session/end"}
OPEN = {"/auth/token", "/auth/refresh", "/auth/logout", *SESSION}


def path_of(route: Route) -> str:
    return re.sub(r"{\w+}", "nobody", route.path)


def test_only_logging_in_and_out_is_open() -> None:
    assert {route.path for route in ROUTES if route.role == "public"} == OPEN


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
@pytest.mark.parametrize(
    "said",
    ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer eyJhbGciOiJub25lIn0.e30.", "bearer \x7f"],
)
def test_nobody_is_let_in(api: Api, route: Route, said: str) -> None:
    found = api.ask(route.method, path_of(route), None, headers={"Authorization": said} if said else {})
    assert found.status_code == 401
    assert found.headers["www-authenticate"].startswith("Bearer")
    assert found.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("role", ["viewer", "auditor", "admin"])
@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.name)
def test_a_role_is_enough_or_is_not(api: Api, route: Route, role: str) -> None:
    found = api.ask(route.method, path_of(route), role)
    allowed = [str(name) for name in ROLES].index(role) >= ROLES.index(route.role)
    assert (found.status_code == 403) is not allowed
    assert found.status_code != 401


@every_route
def test_other_methods_are_refused(api: Api, route: Route) -> None:
    same = {other.method for other in ROUTES if other.path == route.path}
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - same:
        found = api.ask(method, path_of(route), "admin")
        assert (found.status_code, found.headers["content-type"]) == (405, "application/problem+json")
        assert same <= set(found.headers["allow"].split(", "))


def test_what_is_not_in_the_table_does_not_exist(api: Api) -> None:
    for path in (
        "/",
        "/metrics",
        "/metrics/officers/",
        "/metrics/officers/x/y",
        "/../metrics/officers",
        "/admin",
    ):
        assert api.get(path, "admin").status_code == 404


@every_route
def test_every_answer_has_its_headers(api: Api, route: Route) -> None:
    for found in (
        api.ask(route.method, path_of(route), None),
        api.ask(route.method, path_of(route), "admin"),
    ):
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["x-frame-options"] == "DENY"
        assert "default-src" in found.headers["content-security-policy"]
        assert re.fullmatch(r"[a-z]{20}", found.headers["x-request-id"])
        assert "server" not in found.headers


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/", f"{BASE}/openapi.json", f"{BASE}/filters/options"]
)
def test_head_is_get_without_the_body(api: Api, path: str) -> None:
    asked, headed = (
        api.client.simulate_request(method, path, headers=api.headers("viewer")) for method in ("GET", "HEAD")
    )
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-type"] == asked.headers["content-type"]


def test_a_request_may_bring_its_id_if_it_is_harmless(api: Api) -> None:
    assert (
        api.get("/filters/options", headers={"X-Request-ID": "abc-12345"}).headers["x-request-id"]
        == "abc-12345"
    )
    assert (
        api.get("/filters/options", headers={"X-Request-ID": "a\tb injected"}).headers["x-request-id"]
        != "a\tb injected"
    )


def test_the_api_serves_as_the_role_that_is_shipped_for_it(api: Api) -> None:
    with api.desk.database() as primary, api.desk.reader() as reader:
        for connection in (primary, reader):
            assert str(connection.info.user).endswith("_api_login")
            assert connection.execute(
                "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (False,)
