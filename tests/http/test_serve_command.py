import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loanmetrics.jobs import members
from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.embedded import places
from tests.http.serving import COMMAND, Served, serving
from tests.http.valkey import Valkey
from tests.http.waiting import until
from tests.jobs.conftest import Cli
from tests.support import SAMPLE_DAY

OPTIONS = [
    (["--workers", "0"], "settings: Expected `int` >= 1 - at `$.workers`"),
    (["--threads", "many"], "Invalid value for '--threads'"),
    (["--bind", "8000"], "at `$.bind`"),
]


@pytest.mark.parametrize(("words", "message"), OPTIONS)
def test_options_are_held_to_the_rules_of_settings(
    run: Cli, database: str, words: list[str], message: str
) -> None:
    code, _, err = run(database, "serve", *words)
    assert code == 2
    assert message in err


def test_an_option_wins_over_the_settings() -> None:
    settings = Settings(threads=3).but("option", threads=4, workers=None)
    assert (settings.threads, settings.workers) == (4, 2)
    assert {row["name"]: row["source"] for row in settings.rows()}["threads"] == "option"


def test_a_missing_part_is_named_with_its_remedy(
    run: Cli, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "falcon", None)
    assert run(database, "serve") == (
        2,
        "",
        "error: what the HTTP API needs is not installed\nhint: pip install 'loanmetrics[http]'\n",
    )


def test_a_redis_url_that_cannot_be_read_is_told_before_anything_starts(
    run: Cli, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANMETRICS_REDIS_URL", "redis+sentinel://one")
    code, _, err = run(database, "serve")
    assert (code, err.splitlines()[0]) == (2, "error: the Redis URL cannot be read")


def test_an_address_that_is_taken_is_an_error(tmp_path: Path, database: str) -> None:
    with serving(tmp_path, database, bind="unix:/nonexistent/http.sock", command=COMMAND) as served:
        assert served.ended() == 1
        assert served.lines[-2:] == [
            "error: the server could not go on\n",
            "hint: its log says why\n",
        ]


def figures(served: Served, token: str) -> tuple[int, str]:
    """Status, and the run that officers' figures are of."""
    status, _, body = served.ask("/api/v1/metrics/officers?per_page=1", Authorization=f"Bearer {token}")
    return status, json.loads(body).get("meta", {}).get("run_id", "")


def test_from_start_through_a_new_run_and_a_reload_to_the_end(
    run: Cli, sample: str, home: Path, valkey: Valkey
) -> None:
    settings = Settings(database_url=sample, home=home, redis_url=valkey.url)
    members.add(settings, "ada@example.com", "Ada Eze", "viewer", "correct horse battery staple")
    token = run(sample, "token", "ada@example.com")[1].strip()
    with serving(home, sample, command=COMMAND, redis_url=valkey.url) as served:
        assert served.ask("/healthz")[0] == 200
        until(lambda: json.loads(served.ask("/readyz")[2]).get("cache") == "up")
        ready = json.loads(served.ask("/readyz")[2])
        assert ready["store"] == "up"
        assert figures(served, token) == (200, ready["run_id"])

        new = compute(settings, SAMPLE_DAY, Policy())
        until(lambda: figures(served, token) == (200, new.run_id))

        stop = threading.Event()
        statuses: list[int] = []

        def ask() -> None:
            while not stop.is_set():
                statuses.append(figures(served, token)[0])

        with ThreadPoolExecutor(2) as threads:
            asking = [threads.submit(ask) for _ in range(2)]
            served.reload(2)
            before = len(statuses)
            until(lambda: len(statuses) > before + 50 or any(it.done() for it in asking))
            stop.set()
            for it in asking:
                it.result()
        assert set(statuses) == {200}
        route = 'route="/metrics/officers",status="200"'
        assert route in served.ask("/metrics")[2].decode()
        served.signal(signal.SIGTERM)
        assert served.ended() == 0
    assert served.logged(route="/metrics/officers")
    assert not served.logged(level="error")


def test_the_embedded_server_runs_for_as_long_as_it_serves(home: Path) -> None:
    with serving(home, "", command=COMMAND) as served:
        until(lambda: served.ask("/readyz")[0] == 200)
        [running] = places.place_of(home).glob("data/postmaster.pid")
        served.reload(2)
        assert served.ask("/readyz")[0] == 200
        served.signal(signal.SIGTERM)
        assert served.ended() == 0
    assert not running.exists()
