"""The Falcon app, a function of its desk."""

import falcon

from loanmetrics.http import problems, telemetry
from loanmetrics.http.desk import Desk, open_desk
from loanmetrics.http.endpoint import resource, warm
from loanmetrics.http.middleware import Frame
from loanmetrics.http.openapi import document
from loanmetrics.http.probes import probes
from loanmetrics.http.routes import Route
from loanmetrics.http.table import BASE, ROUTES
from loanmetrics.settings import Settings

App = falcon.App[falcon.Request, falcon.Response]


def create(settings: Settings, url: str) -> App:
    """The app of one worker process, on the database at ``url``; it has the first pages of every new run ready."""
    desk = open_desk(settings, url, telemetry.count)
    desk.follow(lambda: warm(desk, [route for route in ROUTES if route.warm]))
    return make(desk)


def make(desk: Desk) -> App:
    """All routes, health, metrics and the description of it all."""
    app = falcon.App(middleware=[Frame(desk)])
    app.req_options.strip_url_path_trailing_slash = False
    app.req_options.keep_blank_qs_values = True
    app.resp_options.secure_cookies_by_default = True
    app.set_error_serializer(problems.serialize)
    for path, methods in by_path(ROUTES).items():
        app.add_route(BASE + path, resource(desk, methods))
    for path, probe in probes(desk, BASE, document(ROUTES, BASE)).items():
        app.add_route(path, probe)
    return app


def by_path(routes: tuple[Route, ...]) -> dict[str, dict[str, Route]]:
    """Routes of one path together."""
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.path, {})[route.method] = route
    return found
