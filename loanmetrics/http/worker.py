"""A threaded worker that slow clients cannot occupy: a request arrives in time, and its answer is taken in time."""

import socket
import struct
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from loanmetrics.http.problems import MEDIA_TYPE, ProblemBody

UNREADABLE = "this is no HTTP request that could be read"


class Refusing:
    """A client who is sent a problem where gunicorn would send a page."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send a problem of the page's status."""
        status = HTTPStatus(int(page.split(maxsplit=2)[1]))
        body = msgspec.json.encode(ProblemBody(status.phrase, status, UNREADABLE))
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._client.sendall(head.encode() + body)


class PunctualWorker(ThreadWorker):  # type: ignore[misc]
    """Gives a client ``receive`` seconds to send a request, and ``send`` seconds to take each piece of the answer.

    Without this, as many silent clients as there are threads stop a worker. Idle connections cost no thread anyway.
    """

    receive = 15.0
    send = 30
    unread = 64 * 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """One request, from the first byte to the last, in a thread."""
        self._arriving[conn] = time.monotonic() + self.receive
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", self.send, 0))
        try:
            return super().handle(conn)
        finally:
            self._arriving.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """A request without a body has arrived; one with a body is still on its way."""
        told = {name: value for name, value in req.headers if name in ("CONTENT-LENGTH", "TRANSFER-ENCODING")}
        if not told:
            self._arriving.pop(conn, None)
        elif "TRANSFER-ENCODING" in told or int(told["CONTENT-LENGTH"]) > self.unread:
            # A refused body that is longer than what gunicorn reads to its end ends the connection: say so.
            req.force_close()
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> Any:
        """What cannot be read as a request gets a problem for an answer, as any other refusal does."""
        return super().handle_error(req, Refusing(client), addr, exc)

    def murder_keepalived(self, force: bool = False) -> None:
        """Called often: what has arrived on a connection that is about to be closed is answered first."""
        waiting = self.keepalived_conns
        if not force and waiting and waiting[0].timeout <= time.monotonic():
            self.wait_for_and_dispatch_events(0)
        super().murder_keepalived(force)

    def murder_pending(self) -> None:
        """Called about once a second, while workers stop too."""
        super().murder_pending()
        now = time.monotonic()
        for conn, deadline in list(self._arriving.items()):
            if deadline <= now:
                self._arriving.pop(conn, None)
                # What has arrived can still be read and answered; the thread that waits for more wakes up.
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)
