"""What machines ask: is it alive, is it ready, how does it do, what can it do."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import falcon
import msgspec

from loanmetrics.http import health, telemetry
from loanmetrics.http.desk import Desk


class Alive:
    """``/healthz``."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """This process answers."""
        response.data = msgspec.json.encode(health.alive())

    on_head = on_get


class Ready:
    """``/readyz``: with the age of the data."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Requests can be answered, or not just now."""
        ok, details = health.ready(self._desk.freshness, self._desk.cache)
        response.status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        response.data = msgspec.json.encode(details)

    on_head = on_get


class Metrics:
    """``/metrics``, in Prometheus' text format."""

    def __init__(self, scrape: Callable[[], bytes]) -> None:
        self._scrape = scrape

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """All counters of all workers."""
        response.content_type = telemetry.CONTENT_TYPE
        response.data = self._scrape()

    on_head = on_get


class Text:
    """Something that stays the same for as long as the process lives."""

    def __init__(self, text: bytes, media_type: str) -> None:
        self._text, self._type = text, media_type

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """The text."""
        response.content_type = self._type
        response.data = self._text

    on_head = on_get


HERE = Path(__file__).parent
KINDS = {".html": falcon.MEDIA_HTML, ".js": falcon.MEDIA_JS, ".css": "text/css", ".svg": "image/svg+xml"}


def probes(desk: Desk, base: str, description: bytes) -> dict[str, object]:
    """Resources that everybody may ask, by path."""
    return {
        "/healthz": Alive(),
        "/readyz": Ready(desk),
        "/metrics": Metrics(telemetry.Scrape(desk.freshness)),
        f"{base}/openapi.json": Text(description, falcon.MEDIA_JSON),
        f"{base}/reference": _file(HERE / "reference.html"),
        f"{base}/reference.js": _file(HERE / "reference.js"),
        f"{base}/reference.css": _file(HERE / "reference.css"),
        "/": _file(HERE / "dashboard" / "index.html"),
        **{
            f"/assets/{path.name}": _file(path)
            for path in sorted((HERE / "dashboard").iterdir())
            if path.suffix != ".html"
        },
    }


def _file(path: Path) -> Text:
    return Text(path.read_bytes(), KINDS[path.suffix])
