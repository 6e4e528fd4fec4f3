import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from loanmetrics.http import logs, telemetry
from loanmetrics.http.cache import Cache
from loanmetrics.http.health import alive, ready
from loanmetrics.http.telemetry import Instruments
from loanmetrics.store import runs
from loanmetrics.store.freshness import Freshness, freshness
from tests.http.valkey import Valkey
from tests.jobs.small import DAY

KEY = b"a key of this test"
RUN = "20260630T100000000-abcdef"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as configured for a server, whatever other tests left of our loggers."""
    root, ours = (
        logging.getLogger(),
        [logging.getLogger(name) for name in ("loanmetrics", "loanmetrics.request")],
    )
    before = root.handlers, root.level
    for logger in ours:
        logger.disabled, logger.propagate = False, True
        logger.setLevel(logging.NOTSET)
    stream = io.StringIO()
    logs.configure(KEY, stream)
    yield stream
    root.handlers = before[0]
    root.setLevel(before[1])


@pytest.mark.parametrize("given", ["a" * 8, "A-1-b-2-c-3", "z" * 64])
def test_a_harmless_request_id_is_kept(given: str) -> None:
    assert logs.request_id(given) == given


@pytest.mark.parametrize(
    "given",
    [None, "", "short", "x" * 65, "with space", 'with"quote', "new\nline-1", "umläuteäöü", "12345678\n"],
)
def test_any_other_is_replaced(given: str | None) -> None:
    made = logs.request_id(given)
    assert made != given and logs.request_id(made) == made
    assert logs.cleaned(KEY, made) == made
    assert logs.request_id(None) != made


PHONES = [
    "08031234567",
    "+2348031234567",
    "+234 803 123 4567",
    "0803-123-4567",
    "(0803) 123 4567",
    "0803.123.4567",
]


@pytest.mark.parametrize("phone", PHONES)
def test_a_phone_number_is_the_same_hash_however_it_is_written(phone: str) -> None:
    said = logs.cleaned(KEY, f"could not reach {phone}, giving up")
    assert said == logs.cleaned(KEY, f"could not reach {PHONES[0]}, giving up")
    assert re.fullmatch(r"could not reach phone:[0-9a-f]{12}, giving up", said)
    assert logs.cleaned(b"another key", phone) != logs.cleaned(KEY, phone)


def test_mail_addresses_and_passwords_do_not_pass() -> None:
    said = logs.cleaned(KEY, "ada@example.com at postgresql://ada:hush@db/loans, email=Ada@Example.com")
    assert "ada" not in said.lower().replace("://ada", "")
    assert "hush" not in said


@pytest.mark.parametrize(
    "harmless",
    [
        RUN,
        "2026-06-30",
        "Listening at: http://127.0.0.1:8000 (4194304)",
        "10.20.30.40 and 192.168.100.200",
        f"run {RUN} of 2026-06-30 took 12.345 s, 1234567 rows",
        "2026-06-30T10:00:00.123+00:00",
    ],
)
def test_runs_days_addresses_and_counts_pass(harmless: str) -> None:
    assert logs.cleaned(KEY, harmless) == harmless


def test_a_line_is_json_with_the_fields_of_a_request(lines: io.StringIO) -> None:
    logs.request("abcdefgh", "/loans/{id}", "GET", 200, 0.0123456, None)
    line = json.loads(lines.getvalue())
    assert (line["route"], line["status"], line["ms"], line["member"]) == ("/loans/{id}", 200, 12.346, None)


def test_a_logger_that_was_silent_before_speaks_once_configured() -> None:
    root, logger = logging.getLogger(), logging.getLogger("loanmetrics.silent-so-far")
    before = root.handlers, root.level
    root.setLevel(logging.WARNING)
    logger.info("nobody hears this, and the logger remembers that")
    stream = io.StringIO()
    logs.configure(KEY, stream)
    logger.info("heard")
    root.handlers = before[0]
    root.setLevel(before[1])
    assert json.loads(stream.getvalue())["message"] == "heard"


def test_an_error_is_told_by_kind_and_place_only(lines: io.StringIO) -> None:
    try:
        try:
            raise KeyError("08031234567")
        except KeyError:
            raise ValueError("Adaobi owes 5") from None
    except ValueError:
        logging.getLogger("x").exception("it broke")
    [text] = lines.getvalue().splitlines()
    assert "Adaobi" not in text and "08031234567" not in text
    error = json.loads(text)["error"]
    assert "builtins.ValueError" in error and any("test_telemetry.py" in place for place in error)


def test_a_line_break_in_a_message_makes_no_second_line(lines: io.StringIO) -> None:
    logging.getLogger("x").warning('one\n{"level": "error"}')
    assert len(lines.getvalue().splitlines()) == 1


def test_requests_are_counted_by_template_and_class() -> None:
    made = Instruments()
    made.request("/officers/{officer_id}", "GET", 200, 0.004)
    made.request("/officers/{officer_id}", "GET", 404, 0.004)
    made.request("/officers/{officer_id}", "PROPFIND", 503, 0.3)
    made.cache_event("hit_redis")
    text = made.render(Freshness).decode()
    labels = 'method="{}",route="/officers/{{officer_id}}"'
    get, other = labels.format("GET"), labels.format("other")
    assert f'loanmetrics_http_requests_total{{{get},status="404"}} 1.0' in text
    assert f"loanmetrics_http_errors_total{{{other}}} 1.0" in text
    assert f"loanmetrics_http_errors_total{{{get}}}" not in text
    bucket = 'loanmetrics_http_request_duration_seconds_bucket{{le="{}",{},status="2xx"}}'
    assert bucket.format("0.0025", get) + " 0.0" in text
    assert bucket.format("0.005", get) + " 1.0" in text
    assert 'loanmetrics_cache_events_total{event="hit_redis"} 1.0' in text
    assert "loanmetrics_data_age_seconds" not in text


def completed(connection: psycopg.Connection, failing: bool = False) -> str:
    run = runs.start(connection, "day", DAY, engine_version="0", policy_hash="p")
    if failing:
        runs.fail(connection, run, "no")
    else:
        said = runs.Outcome(reconciliation={"source_rows": {"loans": 5}})
        runs.complete(connection, run, said)
    return run.run_id


def test_freshness_follows_the_log(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        assert freshness(connection) == Freshness()
        completed(connection, failing=True)
        assert freshness(connection) == Freshness(succeeded=False)
        run_id = completed(connection)
        seen = freshness(connection)
        assert (seen.run_id, seen.as_of, seen.loans, seen.succeeded) == (run_id, DAY, 5, True)
        assert seen.age is not None and seen.seconds is not None and 0 <= seen.age < 600
        completed(connection, failing=True)
        runs.start(connection, "day", DAY, engine_version="0", policy_hash="p")
        assert (freshness(connection).run_id, freshness(connection).succeeded) == (run_id, False)


def test_ready_says_what_is_up(database: str, valkey: Valkey) -> None:
    def read() -> Freshness:
        with psycopg.connect(database) as connection:
            return freshness(connection)

    cache = Cache(1 << 20, valkey.url)
    assert cache.remote is not None
    cache.remote._budget = 20.0
    ok, details = ready(read, cache)
    assert (ok, details["store"], details["cache"], details["run_id"]) == (True, "up", "up", None)
    valkey.kill()
    ok, details = ready(read, cache)
    assert (ok, details["cache"]) == (True, "down")
    cache.close()


def test_not_ready_without_the_database() -> None:
    def read() -> Freshness:
        raise psycopg.OperationalError("password=hush")

    assert ready(read, Cache(1 << 20)) == (
        False,
        {"store": "down", "reason": "OperationalError", "cache": "local"},
    )
    assert alive()["status"] == "alive"


def test_threads_that_begin_together_share_one_set_of_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = threading.Barrier(8)
    monkeypatch.setattr(telemetry, "_made", [])

    def first() -> Instruments:
        begin.wait(60)
        return telemetry.instruments()

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(first) for _ in range(8)]
        assert len({id(it.result(60)) for it in asked}) == 1


def test_every_metric_is_in_the_guide() -> None:
    made = Instruments()
    made.request("/x", "GET", 500, 0.1)
    made.cache_event("miss")
    text = made.render(lambda: Freshness("R1", DAY, 1.0, 1.0, 1, 1, True)).decode()
    samples = set(re.findall(r"^(loanmetrics_\w+)", text, re.M))
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in samples}
    guide = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    assert families - {
        "loanmetrics_http_requests",
        "loanmetrics_http_errors",
        "loanmetrics_cache_events",
    } == set(re.findall(r"`(loanmetrics_\w+)`", guide))
