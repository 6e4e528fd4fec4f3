"""Policies and settings that would be misread are refused before anything runs."""

import re
from pathlib import Path

import pytest

from loanmetrics.policy import Policy
from loanmetrics.settings import load_policy
from tests.bad_input.conventions import PLACES, POLICIES, SETTINGS, Setting
from tests.bad_input.figures import untouched
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import statuses

HINT = re.compile(r"\nhint: (.*)\n$")
COMPUTE = ("compute", "--as-of", str(DAY), "--policy")


def short(text: object) -> str:
    return repr(text)[:60]


def assert_refused(said: tuple[int, str, str], message: str, home: Path) -> None:
    code, out, err = said
    assert (code, out) == (2, "")
    assert message in HINT.sub(r" (\1)", err)
    assert err.startswith("error: ")
    assert err.count("\n") == 1 + ("\nhint: " in err)
    assert len(err) < 2_000 or "File name too long" in err
    assert list(home.glob("error-*.log")) == []


@pytest.mark.parametrize(("content", "message"), POLICIES, ids=short)
def test_a_policy_that_would_be_misread_is_refused(
    run: Cli, small: str, home: Path, tmp_path: Path, content: str | bytes, message: str
) -> None:
    (tmp_path / "policy.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with untouched(small):
        assert_refused(run(small, *COMPUTE, "policy.toml"), message, home)
    assert statuses(small) == []


@pytest.mark.parametrize("place", PLACES, ids=short)
def test_what_is_no_policy_file_is_refused(
    run: Cli, small: str, home: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "policy.toml").write_text("cohort_days = 90")
    assert_refused(run(small, *COMPUTE, place), PLACES[place], home)
    assert statuses(small) == []


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("\ufeffcohort_days = 30\r\n", newline="")
    assert load_policy(tmp_path / "policy.toml") == Policy(cohort_days=30)


@pytest.mark.parametrize("setting", SETTINGS, ids=short)
def test_a_setting_that_would_be_misread_is_refused(
    run: Cli, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    (tmp_path / "loanmetrics.toml").write_bytes(setting.content)
    for name, value in setting.variables.items():
        monkeypatch.setenv(name, value)
    url = setting.variables.get("LOANMETRICS_DATABASE_URL", "postgresql:///x?host=/nowhere")
    assert_refused(run(url, "config", "check"), setting.message, home)
