"""Events over a real Redis Stream: told twice, unreadable, read by a worker that dies, or by none for a while."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.http.valkey import Valkey, valkey
from tests.http.waiting import until
from tests.jobs.conftest import Cli
from tests.jobs.stored import asked, told
from tests.jobs.test_worker import OWED, PAID
from tests.jobs.working import Working, working

NAME = "events"
RECEIVED = {"type": "repayment.received", "id": "7f3a"}
PUBLISHED = "SELECT count(*) FROM metric_calculation_log WHERE status = 'Completed'"


@pytest.fixture
def server() -> Iterator[Valkey]:
    with valkey() as made:
        made.start()
        yield made


@contextmanager
def following(url: str, home: Path, server: Valkey) -> Iterator[Working]:
    """A worker that hears of changes over the stream alone."""
    options = ("--no-schedule", "--every", "0.1", "--stream", NAME)
    more = {"LOANMETRICS_CHANGE_DETECTION": "hashes", "LOANMETRICS_REDIS_URL": server.url}
    with working(url, home, *options, **more) as worker:
        worker.leads()
        yield worker


def tell(server: Valkey, *events: dict[str, str]) -> None:
    with server.client() as client:
        for event in events:
            client.xadd(NAME, event)  # type: ignore[arg-type]


def left(server: Valkey) -> int:
    """How many events were read and not followed."""
    with server.client() as client:
        found: Any = client.xpending(NAME, "loanmetrics")
        return int(found["pending"])


def refused(server: Valkey) -> list[dict[str, str]]:
    with server.client(decode_responses="yes") as client:
        entries: Any = client.xrange(f"{NAME}:refused")
        return [fields for _, fields in entries]


def test_an_event_is_followed_however_often_it_is_told(small: str, home: Path, server: Valkey) -> None:
    tell(server, RECEIVED)
    with following(small, home, server) as worker:
        until(lambda: asked(small, OWED) == [("700.00",)])
        told(small, PAID)
        tell(server, RECEIVED, RECEIVED, {"type": "loan.closed"})
        until(lambda: asked(small, OWED) == [("600.00",)])
        until(lambda: left(server) == 0)
        before = asked(small, "SELECT officer_id, run_id FROM officer_metrics_daily ORDER BY 1")
        runs = asked(small, PUBLISHED)
        tell(server, RECEIVED)
        until(lambda: asked(small, PUBLISHED) != runs and left(server) == 0)
        assert asked(small, "SELECT officer_id, run_id FROM officer_metrics_daily ORDER BY 1") == before
        assert worker.ended(signal.SIGTERM) == 0
    assert refused(server) == []


def test_what_is_no_event_is_set_aside_and_stops_nothing(small: str, home: Path, server: Valkey) -> None:
    tell(server, {"kind": "0803 555 0199"}, {"type": "officer.moved"}, {"type": "loan."}, RECEIVED)
    with following(small, home, server) as worker:
        until(lambda: asked(small, OWED) == [("700.00",)])
        until(lambda: left(server) == 0)
        assert worker.ended(signal.SIGTERM) == 0
        assert not worker.said("0803")
    why = [event["why"] for event in refused(server)]
    strange = "its type is neither loan.* nor repayment.*"
    assert why == ["it has no type", strange, strange]
    assert all(event.keys() == {"event", "why"} for event in refused(server))


def test_an_event_whose_worker_died_is_followed_by_the_next(small: str, home: Path, server: Valkey) -> None:
    with following(small, home, server) as first, psycopg.connect(small) as holder:
        holder.execute("LOCK TABLE officer_metrics_daily IN ACCESS EXCLUSIVE MODE")
        tell(server, RECEIVED)
        until(lambda: asked(small, "SELECT FROM pg_locks WHERE NOT granted"))
        first.process.kill()
        first.process.wait()
    assert left(server) == 1
    assert asked(small, PUBLISHED) == [(0,)]
    with following(small, home, server) as second:
        until(lambda: asked(small, OWED) == [("700.00",)])
        until(lambda: left(server) == 0)
        assert second.ended(signal.SIGTERM) == 0


def test_a_stream_that_goes_away_and_comes_back_empty(small: str, home: Path, server: Valkey) -> None:
    with following(small, home, server) as worker:
        tell(server, RECEIVED)
        until(lambda: asked(small, OWED) == [("700.00",)])
        server.kill()
        until(lambda: worker.said("the stream of events is out of reach"))
        server.start()
        until(lambda: worker.said("the stream of events is back"))
        told(small, PAID)
        tell(server, RECEIVED)
        until(lambda: asked(small, OWED) == [("600.00",)])
        assert worker.ended(signal.SIGTERM) == 0


def test_a_stream_needs_a_redis(small: str, run: Cli) -> None:
    code, _, said = run(small, "worker", "--stream", NAME)
    assert code == 2
    assert "redis_url" in said
