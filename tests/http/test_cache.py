import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from loanmetrics.errors import UsageError
from loanmetrics.http.cache import KEPT, Cache, Entry, Local, packed, unpacked
from loanmetrics.http.remote import LARGEST, PAUSE, Breaker, Event, Remote
from tests.http.valkey import Valkey

ANSWER = Entry(200, "application/json", b'{"success":true}', (("X-Run", "R1"),))
PLENTY = 1 << 20
# How long a test waits for its own Valkey on a busy machine; only tests of slowness use the real budget.
PATIENCE = 20.0


def key(name: str = "officers") -> str:
    return f"loanmetrics:{hashlib.sha256(name.encode()).hexdigest()}"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Maker:
    def __init__(self, entry: Entry = ANSWER) -> None:
        self.entry, self.calls = entry, 0

    def __call__(self) -> Entry:
        self.calls += 1
        return self.entry


@contextmanager
def worker(
    url: str | None, *, budget: float = PATIENCE, clock: Clock | None = None
) -> Iterator[tuple[Cache, Counter[Event]]]:
    """The cache of one worker process, and what it counted."""
    counted: Counter[Event] = Counter()
    count: Callable[[Event], None] = lambda event: counted.update([event])  # noqa: E731
    ticking = clock or Clock()
    cache = Cache(PLENTY, count=count, clock=ticking)
    cache.remote = Remote(url, count, budget=budget, clock=ticking) if url else None
    try:
        yield cache, counted
    finally:
        cache.close()


def served(cache: Cache, name: str = "officers") -> bool:
    """Whether it was there; the answer is right either way."""
    entry, hit = cache.get_or_make(key(name), lambda: ANSWER)
    assert entry == ANSWER
    return hit


def test_an_answer_is_made_once_and_then_there() -> None:
    with worker(None) as (cache, counted):
        make = Maker()
        assert cache.get_or_make(key(), make) == (ANSWER, False)
        assert cache.get_or_make(key(), make) == (ANSWER, True)
        assert make.calls == 1
        assert counted == {"miss": 1, "hit_local": 1}


@pytest.mark.parametrize("status", [304, 400, 404, 500])
def test_refusals_are_not_kept(status: int, valkey: Valkey) -> None:
    make = Maker(Entry(status, "application/problem+json", b"{}"))
    with worker(valkey.url) as (cache, _):
        assert [cache.get_or_make(key(), make)[1] for _ in range(2)] == [False, False]
    with valkey.client() as client:
        assert client.dbsize() == 0
    assert make.calls == 2


def test_the_least_recently_used_answers_leave_when_there_is_no_room() -> None:
    local = Local(10 * (1000 + 512))
    for name in range(10):
        local.put(str(name), Entry(200, "x", bytes(1000)))
    assert local.get("0") is not None
    local.put("10", Entry(200, "x", bytes(1000)))
    assert local.get("1") is None
    assert local.get("0") is not None
    assert len(local) == 10
    local.put("0", Entry(200, "x", bytes(10)))
    assert local.used == 9 * (1000 + 512) + 10 + 512


def test_an_answer_that_would_push_out_too_much_is_not_kept() -> None:
    local = Local(4000)
    local.put("large", Entry(200, "x", bytes(600)))
    local.put("small", Entry(200, "x", bytes(300)))
    assert (local.get("large"), len(local)) == (None, 1)


def test_an_answer_is_kept_for_its_time() -> None:
    clock = Clock()
    local = Local(PLENTY, clock)
    local.put("a", ANSWER)
    clock.now += KEPT - 1
    assert local.get("a") == ANSWER
    clock.now += 1
    assert local.get("a") is None
    assert (len(local), local.used) == (0, 0)


def test_one_thread_makes_while_the_others_wait() -> None:
    waiting, made = threading.Barrier(8), threading.Event()
    calls: list[int] = []

    def make() -> Entry:
        calls.append(1)
        assert made.wait(60)
        return ANSWER

    with worker(None) as (cache, counted), ThreadPoolExecutor(8) as threads:

        def ask() -> tuple[Entry, bool]:
            waiting.wait(60)
            return cache.get_or_make(key(), make)

        asked = [threads.submit(ask) for _ in range(8)]
        other = cache.get_or_make(key("branches"), lambda: ANSWER)
        made.set()
        answers = [it.result(60) for it in asked]
    assert other == (ANSWER, False)
    assert Counter(answers) == {(ANSWER, False): 1, (ANSWER, True): 7}
    assert len(calls) == 1
    assert counted == {"miss": 2, "hit_local": 7}


def test_who_waits_for_a_failure_gets_it_too_and_the_next_one_tries_again() -> None:
    flying, fail = threading.Event(), threading.Event()

    def make() -> Entry:
        flying.set()
        assert fail.wait(60)
        raise UsageError("no such officer")

    with worker(None) as (cache, _), ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get_or_make, key(), make)
        assert flying.wait(60)
        second = threads.submit(cache.get_or_make, key(), make)
        fail.set()
        for asked in (first, second):
            with pytest.raises(UsageError):
                asked.result(60)
        assert cache.get_or_make(key(), Maker()) == (ANSWER, False)


def test_workers_share_what_one_of_them_made(valkey: Valkey) -> None:
    with worker(valkey.url) as (one, _), worker(valkey.url) as (two, counted):
        assert not served(one)
        assert served(two)
        assert served(two)
        assert counted == {"hit_redis": 1, "hit_local": 1}
    with valkey.client() as client:
        assert 0 < client.ttl(key()) <= KEPT


def test_a_large_answer_stays_in_its_worker(valkey: Valkey) -> None:
    remote = Remote(valkey.url, budget=PATIENCE)
    remote.put(key("small"), bytes(LARGEST), KEPT)
    remote.put(key("large"), bytes(LARGEST + 1), KEPT)
    assert (remote.get(key("small")), remote.get(key("large"))) == (bytes(LARGEST), None)
    remote.close()


RUBBISH = {
    "text": b"hello",
    "nothing": b"",
    "of another format": b"lm0\n" + packed(key(), ANSWER)[4:],
    "of another key": packed(key("branches"), ANSWER),
    "cut short": packed(key(), ANSWER)[:-1],
    "one bit off": packed(key(), ANSWER)[:-1] + bytes([packed(key(), ANSWER)[-1] ^ 1]),
}


@pytest.mark.parametrize("raw", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_a_miss_and_is_mended(raw: bytes, valkey: Valkey) -> None:
    with valkey.client() as client:
        client.set(key(), raw)
    with worker(valkey.url) as (cache, counted):
        assert not served(cache)
        assert counted == {"error": 1, "miss": 1}
    with worker(valkey.url) as (cache, counted):
        assert served(cache)


def test_a_well_checked_value_of_another_shape_is_rubbish() -> None:
    class Other(Entry, frozen=True, array_like=True):
        pass

    assert unpacked(key(), packed(key(), ANSWER)) == ANSWER
    assert unpacked(key(), packed(key(), Other(200, "x", b""))[:-1]) is None
    assert unpacked(key(), packed(key(), Entry("no", "x", b""))) is None  # type: ignore[arg-type]


def test_another_kind_of_value_at_the_key_is_a_miss(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.rpush(key(), "a", "list")
    with worker(valkey.url) as (cache, counted):
        assert not served(cache)
        assert counted == {"error": 1, "miss": 1}


def test_an_absent_redis_is_a_miss_and_costs_one_error_per_pause(stopped_valkey: Valkey) -> None:
    clock = Clock()
    with worker(stopped_valkey.url, clock=clock) as (cache, counted):
        for name in "abc":
            assert not served(cache, name)
        assert counted == {"error": 1, "miss": 3}
        clock.now += PAUSE
        assert not served(cache, "d")
        assert counted == {"error": 2, "miss": 4}


def test_a_killed_redis_is_a_miss_and_is_found_again_when_it_is_back(valkey: Valkey) -> None:
    clock = Clock()
    with worker(valkey.url, clock=clock) as (cache, counted), worker(valkey.url) as (other, seen):
        assert not served(cache, "before")
        valkey.kill()
        assert not served(cache, "while")
        assert counted == {"miss": 2, "error": 1}
        valkey.start()
        clock.now += PAUSE
        assert not served(cache, "after")
        assert counted == {"miss": 3, "error": 1}
        assert served(other, "after")
        assert seen == {"hit_redis": 1}


def test_a_redis_that_says_nothing_is_waited_for_once_per_pause(valkey: Valkey) -> None:
    clock = Clock()
    with worker(valkey.url, budget=0.05, clock=clock) as (cache, counted), valkey.paused():
        for name in "abcdefgh":
            assert not served(cache, name)
        assert counted == {"error": 1, "miss": 8}
        clock.now += PAUSE
        assert not served(cache, "i")
        assert not served(cache, "j")
        assert counted == {"error": 2, "miss": 10}


def test_many_threads_wait_for_a_silent_redis_at_most_once_each(valkey: Valkey) -> None:
    with (
        worker(valkey.url, budget=0.05) as (cache, counted),
        valkey.paused(),
        ThreadPoolExecutor(32) as threads,
    ):
        assert list(threads.map(lambda it: served(cache, str(it)), range(200))) == [False] * 200
    assert counted["miss"] == 200
    assert 1 <= counted["error"] <= 32


def test_a_full_redis_is_still_read(valkey: Valkey) -> None:
    with worker(valkey.url) as (cache, _):
        assert not served(cache, "before")
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
    with worker(valkey.url) as (cache, counted):
        assert not served(cache, "new")
        assert served(cache, "before")
        assert served(cache, "new")
        assert counted == {"miss": 1, "error": 1, "hit_redis": 1, "hit_local": 1}


def test_a_read_only_redis_is_still_read(valkey: Valkey) -> None:
    with worker(valkey.url) as (cache, _):
        assert not served(cache, "before")
    with valkey.client() as client:
        client.config_set("replica-serve-stale-data", "yes")
        client.replicaof("127.0.0.1", "1")
    with worker(valkey.url) as (cache, counted):
        assert not served(cache, "new")
        assert served(cache, "before")
        assert counted == {"miss": 1, "error": 1, "hit_redis": 1}


def test_what_a_reader_may_not_do_is_a_miss(valkey: Valkey) -> None:
    with valkey.client() as client:
        client.config_set("requirepass", "hush")
    with worker(valkey.url) as (cache, counted):
        assert not served(cache)
        assert counted["miss"] == 1
        assert counted["error"] >= 1
    with worker(f"{valkey.url}?password=hush") as (cache, counted):
        assert not served(cache)
        assert counted == {"miss": 1}


def test_the_breaker_lets_one_try_through_per_pause() -> None:
    clock = Clock()
    breaker = Breaker(3.0, clock)
    assert [breaker.lets_through(), breaker.lets_through()] == [True, True]
    breaker.note(works=False)
    assert not breaker.lets_through()
    clock.now += 3
    assert [breaker.lets_through(), breaker.lets_through()] == [True, False]
    breaker.note(works=True)
    assert [breaker.lets_through(), breaker.lets_through()] == [True, True]


def test_a_redis_url_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(UsageError) as error:
        Cache(PLENTY, "redis+sentinel://:hush@one:26379")
    assert "hush" not in str(error.value)
