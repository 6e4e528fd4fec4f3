"""The real server under load while what it stands on breaks: clients are told to come back, then all is well again."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loanmetrics.jobs import members
from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from tests.faults.postgres import Postgres
from tests.http.serving import COMMAND, Connection, Served, serving
from tests.http.valkey import Valkey
from tests.http.waiting import until
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY

ASKED = (
    "/api/v1/metrics/officers",
    "/api/v1/metrics/branches",
    "/api/v1/metrics/officers?sort=-risk_score",
    "/healthz",
)
SOME = 60


@dataclass
class Load:
    """Clients that ask on and on; ``answers`` holds path, status and when to come back."""

    served: Served
    token: str
    answers: list[tuple[str, int, str | None]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask_on(self) -> None:
        connection = Connection(self.served.path)
        number = 0
        while not self.stop.is_set():
            path = ASKED[number % len(ASKED)]
            status, headers, _ = connection.ask(path, Authorization=f"Bearer {self.token}")
            back = {name.lower(): text for name, text in headers.items()}.get("retry-after")
            self.answers.append((path, status, back))
            number += 1
        connection.close()

    def more(self) -> "list[tuple[str, int, str | None]]":
        """Some answers to questions asked from now on."""
        before = len(self.answers)
        until(lambda: len(self.answers) >= before + SOME)
        return self.answers[before:]

    @contextmanager
    def going_on(self, clients: int) -> Iterator[None]:
        """For as long as the block."""
        with ThreadPoolExecutor(clients) as threads:
            asking = [threads.submit(self.ask_on) for _ in range(clients)]
            try:
                yield
            finally:
                self.stop.set()
        for it in asking:
            it.result()


@pytest.fixture
def load(run: Cli, lender: str, home: Path, valkey: Valkey) -> Iterator[Load]:
    """A server that serves published figures, and a member who may see them."""
    settings = Settings(database_url=lender, home=home)
    members.add(settings, "ada@example.com", "Ada Eze", "viewer", "correct horse battery staple")
    compute(settings, DAY, Policy())
    token = run(lender, "token", "ada@example.com")[1].strip()
    with serving(home, lender, command=COMMAND, workers="1", threads="4", redis_url=valkey.url) as served:
        until(lambda: b'"cache":"up"' in served.ask("/readyz")[2])
        yield Load(served, token)


def test_redis_and_postgresql_may_break_under_load(load: Load, postgres: Postgres, valkey: Valkey) -> None:
    with load.going_on(4):
        assert {status for _, status, _ in load.more()} == {200}
        valkey.kill()
        assert {status for _, status, _ in load.more()} == {200}
        assert b'"cache":"down"' in load.served.ask("/readyz")[2]

        postgres.crash()
        until(lambda: load.answers[-1][1] == 503)
        refused = load.more()
        for path, status, back in refused:
            assert (status, back) == ((200, None) if path == "/healthz" else (503, "5"))
        assert load.served.ask("/readyz")[0] == 503
        postgres.start()
        since = time.monotonic()
        until(lambda: load.answers[-1][:2] == (ASKED[0], 200))
        print(f"from PostgreSQL's return to an answer: {time.monotonic() - since:.2f} s")
        until(lambda: load.served.ask("/readyz")[0] == 200)
        until(lambda: {status for _, status, _ in load.more()} == {200})
    assert load.served.said("Booting worker") == 1
    assert not load.served.logged(level="error")
