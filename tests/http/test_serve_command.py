import sys
from pathlib import Path

import pytest

from loanmetrics.settings import Settings
from tests.http.serving import COMMAND, serving
from tests.jobs.conftest import Cli

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
