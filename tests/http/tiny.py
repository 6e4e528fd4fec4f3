"""The smallest app worth serving: it counts, logs and tells who it is. Run as a program, it is served."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from loanmetrics.http import server, worker
from loanmetrics.http.logs import request_id
from loanmetrics.settings import Settings
from loanmetrics.store.freshness import Freshness, freshness
from loanmetrics.store.session import connect

Start = Callable[[str, list[tuple[str, str]]], Any]


def create(settings: Settings, url: str) -> Callable[..., Any]:
    assert "polars" not in sys.modules, "Polars was used before the fork"
    import polars  # noqa: F401

    from loanmetrics.http import telemetry

    def read() -> Freshness:
        with connect(url) as connection:
            return freshness(connection)

    scrape = telemetry.Scrape(read)

    def app(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
        began, path = perf_counter(), environ["PATH_INFO"]
        if path == "/metrics":
            body = scrape()
        elif path == "/length":
            logging.getLogger("tiny").info("reading")
            body = str(len(environ["wsgi.input"].read())).encode()
        elif path == "/large":
            body = bytes(64 << 20)
        else:
            body = str(os.getpid()).encode()
        status = 503 if path == "/broken" else 200
        if path == "/careless":
            logging.getLogger("careless").warning("dialled %s for %s", "+234 803 123 4567", "ada@example.com")
            try:
                raise ValueError("08031234567")
            except ValueError:
                logging.getLogger("careless").exception("that went wrong")
        name = request_id(environ.get("HTTP_X_REQUEST_ID"))
        start(f"{status} Fine", [("Content-Length", str(len(body))), ("X-Request-ID", name)])
        telemetry.observe(
            request_id=name,
            route=path,
            method=environ["REQUEST_METHOD"],
            status=status,
            seconds=perf_counter() - began,
            member_id=7,
        )
        telemetry.count("miss")
        yield body

    return app


if __name__ == "__main__":
    worker.PunctualWorker.receive = float(sys.argv[1]) if len(sys.argv) > 1 else worker.PunctualWorker.receive
    worker.PunctualWorker.send = int(sys.argv[2]) if len(sys.argv) > 2 else worker.PunctualWorker.send
    settings = Settings.load()
    server.serve(settings, settings.database_url or "", create)
