"""Around every request: its id, security headers, who may call from a browser, the log line and the counters."""

from time import perf_counter

import falcon

from loanmetrics.http import logs, paths, telemetry
from loanmetrics.http.desk import Desk
from loanmetrics.http.routes import NOBODY

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Strict-Transport-Security": "max-age=31536000",
}
EXPOSED = "ETag, Retry-After, X-Request-ID, Content-Disposition"
ALLOWED = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-ID"


class Frame:
    """Falcon middleware."""

    def __init__(self, desk: Desk) -> None:
        self._origins = frozenset(desk.settings.cors_origins)

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Name the request and start its clock; a browser's preflight is answered here."""
        request.path = paths.kept(request.env.get("RAW_URI", "")) or request.path
        request.context.id = logs.request_id(request.get_header("X-Request-ID"))
        request.context.began = perf_counter()
        request.context.member = NOBODY
        request.context.route = None
        if self._origins:
            response.append_header("Vary", "Origin")
        origin = request.get_header("Origin")
        if origin in self._origins:
            self._welcome(origin, response)
            if request.method == "OPTIONS" and request.get_header("Access-Control-Request-Method"):
                response.set_header("Access-Control-Allow-Methods", "GET, HEAD, PUT, POST")
                response.set_header("Access-Control-Allow-Headers", ALLOWED)
                response.set_header("Access-Control-Max-Age", "600")

    @staticmethod
    def _welcome(origin: str, response: falcon.Response) -> None:
        response.set_header("Access-Control-Allow-Origin", origin)
        response.set_header("Access-Control-Expose-Headers", EXPOSED)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Headers for safety, one line in the log, one observation."""
        for name, value in HEADERS.items():
            response.set_header(name, value)
        response.set_header("X-Request-ID", request.context.id)
        if not response.get_header("Cache-Control"):
            response.set_header("Cache-Control", "no-store")
        route = request.context.route
        telemetry.observe(
            request_id=request.context.id,
            route=route.path if route else (request.uri_template or "unknown"),
            method=request.method,
            status=response.status_code,
            seconds=perf_counter() - request.context.began,
            member_id=request.context.member.member_id,
        )
