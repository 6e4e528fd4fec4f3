"""Connections that a server is about to close."""

import selectors
import socket
from collections import deque
from functools import partial
from types import SimpleNamespace

from loanmetrics.http.worker import PunctualWorker


def test_a_request_that_has_arrived_is_answered_before_its_connection_is_closed() -> None:
    worker = PunctualWorker.__new__(PunctualWorker)
    asked: list[object] = []
    worker.poller, worker.keepalived_conns, worker.nr_conns = selectors.DefaultSelector(), deque(), 2
    worker.enqueue_req = asked.append
    pairs = [socket.socketpair() for _ in range(2)]
    kept = [SimpleNamespace(sock=ours, timeout=0.0, close=ours.close) for ours, _ in pairs]
    for connection in kept:
        worker.keepalived_conns.append(connection)
        readable = partial(worker.on_client_socket_readable, connection)
        worker.poller.register(connection.sock, selectors.EVENT_READ, readable)
    (_, client), (_, silent) = pairs
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    worker.murder_keepalived()
    assert asked == [kept[0]]
    assert silent.recv(1) == b""
    assert kept[0].sock.recv(3) == b"GET"
    worker.poller.close()
    for end in (*pairs[0], silent):
        end.close()
