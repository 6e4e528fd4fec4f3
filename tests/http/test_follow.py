import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loanmetrics.http.follow import FRESH, Follower, Fresh
from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import runs
from loanmetrics.store.announce import CHANNEL, KEY, announce
from tests.http.valkey import Valkey
from tests.http.waiting import PATIENCE, until
from tests.jobs.small import DAY

NEVER = 3600.0  # a poll that no test lives to see
SOON = 0.01


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Database:
    """A current run that a test may change."""

    def __init__(self, run_id: str | None = None) -> None:
        self.run_id, self.asked, self.away = run_id, 0, False

    def __call__(self) -> str | None:
        self.asked += 1
        if self.away:
            raise psycopg.OperationalError
        return self.run_id


@contextmanager
def following(
    read: Callable[[], str | None], url: str | None = None, *, poll: float
) -> Iterator["queue.Queue[str]"]:
    heard: queue.Queue[str] = queue.Queue()
    follower = Follower(read, heard.put, url, poll=poll)
    follower.start()
    try:
        yield heard
    finally:
        follower.stop()


def test_the_current_run_is_never_older_than_a_second() -> None:
    clock, database = Clock(), Database("R1")
    current = Fresh(database, clock=clock)
    assert current() == "R1"
    database.run_id = "R2"
    clock.now += FRESH
    assert (current(), database.asked) == ("R1", 1)
    clock.now += 0.01
    assert (current(), database.asked) == ("R2", 2)


def test_the_age_counts_from_before_the_question() -> None:
    clock, database = Clock(), Database("R1")

    def slow() -> str | None:
        found = database()
        clock.now += FRESH / 2
        return found

    current = Fresh(slow, clock=clock)
    current()
    clock.now += FRESH / 2 + 0.01
    current()
    assert database.asked == 2


def test_a_failure_to_read_is_told_and_not_kept() -> None:
    database = Database("R1")
    current = Fresh(database)
    database.away = True
    with pytest.raises(psycopg.OperationalError):
        current()
    database.away = False
    assert current() == "R1"


def test_a_forgotten_run_is_read_again_even_if_a_question_was_under_way() -> None:
    asked, answer = threading.Event(), threading.Event()
    database = Database("R1")

    def read() -> str | None:
        found = database()
        asked.set()
        assert answer.wait(PATIENCE)
        return found

    current = Fresh(read, clock=Clock())
    slow = threading.Thread(target=current)
    slow.start()
    assert asked.wait(PATIENCE)
    database.run_id = "R2"
    forgetting = threading.Thread(target=current.forget)
    forgetting.start()
    answer.set()
    slow.join()
    forgetting.join()
    assert current() == "R2"


def test_without_redis_new_runs_are_found_by_looking() -> None:
    database = Database()
    with following(database, poll=SOON) as heard:
        database.run_id = "R1"
        assert heard.get(timeout=PATIENCE) == "R1"
        database.run_id = "R2"
        assert heard.get(timeout=PATIENCE) == "R2"
    assert heard.empty()


def test_looking_goes_on_when_the_database_was_away() -> None:
    database = Database("R1")
    with following(database, poll=SOON) as heard:
        assert heard.get(timeout=PATIENCE) == "R1"
        database.away = True
        before = database.asked
        until(lambda: database.asked >= before + 3)
        database.run_id, database.away = "R2", False
        assert heard.get(timeout=PATIENCE) == "R2"


def test_a_run_whose_news_set_off_a_failure_is_told_again() -> None:
    told, times = queue.Queue[str](), itertools.count()

    def heard(run_id: str) -> None:
        told.put(run_id)
        if next(times) == 0:
            raise psycopg.OperationalError

    follower = Follower(Database("R1"), heard, poll=SOON)
    follower.start()
    assert told.get(timeout=PATIENCE) == "R1"
    assert told.get(timeout=PATIENCE) == "R1"
    follower.stop()


def listeners(valkey: Valkey) -> int:
    with valkey.client() as client:
        [(_, count)] = client.pubsub_numsub(CHANNEL)
        return int(count)


def test_with_redis_a_new_run_is_heard_of_at_once(valkey: Valkey) -> None:
    database = Database("R1")
    with following(database, valkey.url, poll=NEVER) as heard:
        assert heard.get(timeout=PATIENCE) == "R1"
        until(lambda: listeners(valkey))
        database.run_id = "R2"
        assert announce(valkey.url, "R2")
        assert heard.get(timeout=PATIENCE) == "R2"


def test_what_redis_says_is_only_a_reason_to_look(valkey: Valkey) -> None:
    database = Database("R1")
    with following(database, valkey.url, poll=NEVER) as heard:
        assert heard.get(timeout=PATIENCE) == "R1"
        until(lambda: listeners(valkey))
        announce(valkey.url, "a lie")
        until(lambda: database.asked == 2)
        database.run_id = "R2"
        announce(valkey.url, "another lie")
        assert heard.get(timeout=PATIENCE) == "R2"
    assert heard.empty()


def test_listening_goes_on_after_redis_was_restarted(valkey: Valkey) -> None:
    database = Database("R1")
    with following(database, valkey.url, poll=NEVER) as heard:
        assert heard.get(timeout=PATIENCE) == "R1"
        until(lambda: listeners(valkey))
        valkey.kill()
        valkey.start()
        until(lambda: listeners(valkey))
        database.run_id = "R2"
        announce(valkey.url, "R2")
        assert heard.get(timeout=PATIENCE) == "R2"


def test_without_an_answer_from_redis_the_database_is_looked_at(stopped_valkey: Valkey) -> None:
    database = Database("R1")
    with following(database, stopped_valkey.url, poll=SOON) as heard:
        assert heard.get(timeout=PATIENCE) == "R1"
        database.run_id = "R2"
        assert heard.get(timeout=PATIENCE) == "R2"


def test_announcing_never_fails(valkey: Valkey) -> None:
    assert not announce(None, "R1")
    assert not announce("redis+sentinel://nonsense", "R1")
    valkey.kill()
    assert not announce(valkey.url, "R1")


def test_a_published_run_is_announced(small: str, tmp_path: Path, valkey: Valkey) -> None:
    settings = Settings(database_url=small, home=tmp_path, redis_url=valkey.url)
    with valkey.client() as client:
        untyped: Any = client
        line = untyped.pubsub(ignore_subscribe_messages=True)
        line.subscribe(CHANNEL)
        line.get_message(timeout=PATIENCE)
        done = compute(settings, DAY, Policy())
        told = line.get_message(timeout=PATIENCE)
        assert told is not None and told["data"] == done.run_id.encode()
        assert client.get(KEY) == done.run_id.encode()
        line.close()
    with psycopg.connect(small) as connection:
        assert runs.last_completed(connection) == done.run_id


def test_a_run_is_published_though_redis_is_away(small: str, tmp_path: Path, stopped_valkey: Valkey) -> None:
    done = compute(Settings(database_url=small, home=tmp_path, redis_url=stopped_valkey.url), DAY, Policy())
    with psycopg.connect(small) as connection:
        assert runs.last_completed(connection) == done.run_id
