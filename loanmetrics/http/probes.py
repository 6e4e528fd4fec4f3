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


class Ready:
    """``/readyz``: with the age of the data."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Requests can be answered, or not just now."""
        ok, details = health.ready(self._desk.freshness, self._desk.cache)
        response.status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        response.data = msgspec.json.encode(details)


class Metrics:
    """``/metrics``, in Prometheus' text format."""

    def __init__(self, scrape: Callable[[], bytes]) -> None:
        self._scrape = scrape

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """All counters of all workers."""
        response.content_type = telemetry.CONTENT_TYPE
        response.data = self._scrape()


class Text:
    """Something that stays the same for as long as the process lives."""

    def __init__(self, text: bytes, media_type: str) -> None:
        self._text, self._type = text, media_type

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """The text."""
        response.content_type = self._type
        response.data = self._text


FILES = {"reference": falcon.MEDIA_HTML, "reference.js": falcon.MEDIA_JS, "reference.css": "text/css"}


def probes(desk: Desk, base: str, description: bytes) -> dict[str, object]:
    """Resources that everybody may ask, by path."""
    here = Path(__file__).parent
    return {
        "/healthz": Alive(),
        "/readyz": Ready(desk),
        "/metrics": Metrics(telemetry.Scrape(desk.freshness)),
        f"{base}/openapi.json": Text(description, falcon.MEDIA_JSON),
        **{
            f"{base}/{name}": Text((here / (name if "." in name else f"{name}.html")).read_bytes(), kind)
            for name, kind in FILES.items()
        },
    }
