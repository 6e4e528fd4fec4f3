import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.http.serving import Connection, Served, raw, serving
from tests.http.waiting import until

NO_DATABASE = "postgresql:///none?host=/nonexistent"
QUESTIONS = 300


def value(text: str, name: str) -> float:
    found = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.M)
    assert len(found) == 1, (name, text)
    return float(found[0])


def ask_all_workers(served: Served, count: int) -> tuple[set[bytes], int]:
    """Ask until so many workers have answered, from several threads at once: who they are, and how often."""
    seen: list[bytes] = []
    with ThreadPoolExecutor(8) as threads:

        def all_answered() -> bool:
            seen.extend(pid for _, _, pid in threads.map(served.ask, ["/hello"] * 16))
            return len(set(seen)) == count

        until(all_answered)
    return set(seen), len(seen)


def test_workers_count_together_through_reloads(tmp_path: Path, sample: str) -> None:
    hello = 'loanmetrics_http_requests_total{method="GET",route="/hello",status="200"}'
    duration = 'loanmetrics_http_request_duration_seconds_{}{{{}method="GET",route="/hello",status="2xx"}}'
    with serving(tmp_path, sample) as served:
        workers, asked = ask_all_workers(served, 2)
        for path in ("/broken", "/hello", "/hello"):
            served.ask(path, "BREW")
        text = served.ask("/metrics")[2].decode()
        assert value(text, hello) == asked
        assert value(text, 'loanmetrics_http_errors_total{method="other",route="/broken"}') == 1
        assert value(text, 'loanmetrics_cache_events_total{event="miss"}') == asked + 3
        assert value(text, "loanmetrics_http_workers") == 2
        assert value(text, duration.format("count", "")) == asked
        assert value(text, duration.format("bucket", 'le="+Inf",')) == asked

        served.reload(2)
        others, more = ask_all_workers(served, 2)
        assert others.isdisjoint(workers)
        # They say that they exit a moment before they are gone.
        until(lambda: value(served.ask("/metrics")[2].decode(), "loanmetrics_http_workers") == 2)
        text = served.ask("/metrics")[2].decode()
        assert value(text, hello) == asked + more
        assert value(text, "loanmetrics_http_workers") == 2
    with serving(tmp_path, sample) as served:
        assert hello not in served.ask("/metrics")[2].decode()


def test_monitors_see_the_newest_run(tmp_path: Path, sample: str) -> None:
    with serving(tmp_path, sample, workers="1") as served:
        text = served.ask("/metrics")[2].decode()
    assert value(text, "loanmetrics_store_up") == 1
    assert value(text, "loanmetrics_run_success") == 1
    assert value(text, "loanmetrics_loans_processed") == 6_055
    assert value(text, "loanmetrics_officers_tracked") == 44
    assert value(text, "loanmetrics_data_age_seconds") > 0
    assert value(text, "loanmetrics_run_duration_seconds") > 0
    assert re.search(r'^loanmetrics_build_info\{python="3\.\d+\.\d+",version="\S+"\} 1\.0$', text, re.M)


def test_monitors_learn_that_the_database_is_away(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE, workers="1") as served:
        text = served.ask("/metrics")[2].decode()
    assert value(text, "loanmetrics_store_up") == 0
    assert "loanmetrics_run_success" not in text


def test_the_log_has_a_line_per_request_and_nothing_personal(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE, workers="1") as served:
        _, headers, _ = served.ask("/hello?phone=08031234567", X_Request_ID="from-the-proxy-1")
        assert headers["X-Request-ID"] == "from-the-proxy-1"
        _, headers, _ = served.ask("/hello", X_Request_ID="bad id")
        served.ask("/careless")
        served.ask("/hello", X_Request_ID="08031234567")
        with raw(served.path) as rude:
            rude.sendall(b"GET /08031234567 HTTP/9.9\r\n\r\n")
            assert b"400 Bad Request" in rude.recv(1000)
    first, second, _, fourth = served.logged(logger="loanmetrics.request")
    assert {**first, "time": "", "ms": 0.0} == {
        "time": "",
        "level": "info",
        "logger": "loanmetrics.request",
        "message": "request",
        "request_id": "from-the-proxy-1",
        "route": "/hello",
        "method": "GET",
        "status": 200,
        "ms": 0.0,
        "member": 7,
    }
    assert second["request_id"] == headers["X-Request-ID"] != "bad id"
    careless, wrong = served.logged(logger="careless")
    hashed = re.fullmatch(r"dialled (phone:[0-9a-f]{12}) for email:[0-9a-f]{12}", careless["message"])
    assert hashed and fourth["request_id"] == hashed[1]
    assert wrong["error"][-1] == "builtins.ValueError"
    assert served.said("Invalid") == 1
    for line in served.lines:
        assert "8031234567" not in re.sub(r"[\s()-]", "", line) and "ada@" not in line


def test_a_rolling_reload_fails_no_request(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE) as served:
        stop, answers = threading.Event(), Counter[int]()

        def ask_anew() -> None:
            while not stop.is_set():
                answers[served.ask("/hello")[0]] += 1

        def ask_on() -> None:
            """On one connection for as long as the server allows."""
            connection = Connection(served.path)
            while not stop.is_set():
                answers[connection.ask("/hello")[0]] += 1
            connection.close()

        failed: list[threading.ExceptHookArgs] = []
        hook, threading.excepthook = threading.excepthook, failed.append
        threads = [threading.Thread(target=ask) for ask in (ask_anew, ask_anew, ask_on)]
        try:
            for thread in threads:
                thread.start()
            for _ in range(3):
                before = answers.total()
                served.reload(2)
                until(lambda before=before: answers.total() > before + QUESTIONS)  # type: ignore[misc]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            threading.excepthook = hook
        assert failed == []
        assert set(answers) == {200}
        served.signal(signal.SIGTERM)
        assert served.ended() == 0


def test_sigterm_lets_a_request_under_way_finish(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE, workers="1") as served:
        with raw(served.path) as client:
            client.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
            until(lambda: served.said("reading"))
            served.signal(signal.SIGTERM)
            until(lambda: served.said("Handling signal: term"))
            client.sendall(b"56789")
            answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert b"200 Fine" in answer and answer.endswith(b"10")
        assert served.ended() == 0


def test_clients_that_never_finish_their_request_do_not_stop_the_others(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE, "0.5", workers="1", threads="2") as served:
        begun = (b"GET /hello HTTP/1.1\r\nX-", b"POST /length HTTP/1.1\r\nContent-Length: 99\r\n\r\nabc") * 4
        silent = [raw(served.path) for _ in begun]
        for client, text in zip(silent, begun, strict=True):
            client.sendall(text)
        assert served.ask("/hello")[0] == 200
        for client in silent:
            while client.recv(1 << 16):
                pass
            client.close()


def test_clients_that_never_take_their_answer_do_not_stop_the_others(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE, "15", "1", workers="1", threads="2") as served:
        deaf = [raw(served.path) for _ in range(4)]
        for client in deaf:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert served.ask("/hello")[0] == 200
        for client in deaf:
            client.close()


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-A: " + b"x" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 70 + b"\r\n",
        b"NONSENSE\r\n\r\n",
    ],
    ids=["line", "header", "headers", "nonsense"],
)
def test_what_cannot_be_read_is_refused_as_a_problem(tmp_path: Path, request_text: bytes) -> None:
    with serving(tmp_path, NO_DATABASE, workers="1") as served, raw(served.path) as client:
        client.sendall(request_text)
        client.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.getheader("Content-Type") == "application/problem+json"
        told = json.loads(answer.read())
        assert told["status"] == answer.status in (400, 414, 431)
        assert told["title"] == answer.reason
        assert served.ask("/hello")[0] == 200


@pytest.mark.parametrize(("size", "goes_on"), [(1, True), (70_000, False)])
def test_a_connection_that_will_end_says_so(tmp_path: Path, size: int, goes_on: bool) -> None:
    """A long body that is refused unread ends its connection: a client that sent on would never hear of it."""
    with serving(tmp_path, NO_DATABASE, workers="1") as served:
        connection = Connection(served.path)
        connection.request("PUT", "/hello", body=b" " * size)
        answer = connection.getresponse()
        assert (answer.getheader("Connection") == "close") != goes_on
        answer.read()
        assert connection.ask("/hello")[0] == 200
        connection.close()


def test_a_worker_that_dies_is_replaced_and_no_longer_counted(tmp_path: Path) -> None:
    with serving(tmp_path, NO_DATABASE, workers="1") as served:
        pid = int(served.ask("/hello")[2])
        os.kill(pid, signal.SIGKILL)
        until(lambda: served.said("Booting worker") == 2)
        assert int(served.ask("/hello")[2]) != pid
        text = served.ask("/metrics")[2].decode()
    assert value(text, "loanmetrics_http_workers") == 1
    assert value(text, 'loanmetrics_http_requests_total{method="GET",route="/hello",status="200"}') == 2


BEFORE_THE_FORK = """
import sys
import loanmetrics.cli, loanmetrics.http.server, loanmetrics.http.worker
import loanmetrics.jobs.database, loanmetrics.store.migrate, loanmetrics.store.embedded.members, yoyo
print(*(name for name in ("polars", "duckdb", "pyarrow", "prometheus_client") if name in sys.modules))
"""


def test_nothing_that_breaks_by_forking_is_imported_before_it() -> None:
    done = subprocess.run([sys.executable, "-c", BEFORE_THE_FORK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
