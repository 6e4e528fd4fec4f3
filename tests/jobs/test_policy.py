"""Whose conventions a run keeps: the given file's, else the settings', else the canonical ones."""

from pathlib import Path

import pytest

from loanmetrics.policy import Policy
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, statuses

COMPUTE = ("compute", "--as-of", str(DAY))
LATE = "SELECT current_dpd FROM loan_state WHERE loan_id = 'L1'"
INCLUSIVE = Policy(dpd_count="inclusive")


def hashes(url: str) -> list[str]:
    return [name for (name,) in asked(url, f"SELECT policy_hash FROM {LOG} ORDER BY log_id")]


@pytest.fixture
def files(tmp_path: Path) -> None:
    (tmp_path / "inclusive.toml").write_text('dpd_count = "inclusive"')
    (tmp_path / "misspelt.toml").write_text("cohort_dais = 90")


@pytest.mark.usefixtures("files")
def test_the_file_given_is_kept_and_logged(run: Cli, small: str) -> None:
    assert run(small, *COMPUTE)[0] == 0
    assert asked(small, LATE) == [(15,)]
    assert run(small, *COMPUTE, "--policy", "inclusive.toml")[0] == 0
    assert asked(small, LATE) == [(16,)]
    assert hashes(small) == [Policy().hash, INCLUSIVE.hash]
    assert asked(small, f"SELECT policy->>'dpd_count' FROM {LOG} ORDER BY log_id") == [
        ("exclusive",),
        ("inclusive",),
    ]


@pytest.mark.usefixtures("files")
def test_the_settings_file_is_kept_where_none_is_given(
    run: Cli, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loanmetrics.toml").write_text('policy_file = "inclusive.toml"')
    assert run(small, *COMPUTE)[0] == 0
    (tmp_path / "plain.toml").write_text("")
    assert run(small, *COMPUTE, "--policy", "plain.toml")[0] == 0
    monkeypatch.setenv("LOANMETRICS_POLICY_FILE", "plain.toml")
    assert run(small, *COMPUTE)[0] == 0
    assert hashes(small) == [INCLUSIVE.hash, Policy().hash, Policy().hash]
    for command in (["config", "check"], ["config", "show"]):
        assert run(small, *command)[0] == 0


@pytest.mark.usefixtures("files")
def test_an_unknown_name_is_refused_before_anything_runs(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = (2, "", "error: unknown policy name: cohort_dais\nhint: did you mean cohort_days?\n")
    commands = (
        COMPUTE,
        (*COMPUTE, "--dry-run"),
        ("compute", "--explain"),
        ("load", "."),
        ("config", "check"),
    )
    for command in commands:
        assert run(small, *command, "--policy", "misspelt.toml") == refusal
    monkeypatch.setenv("LOANMETRICS_POLICY_FILE", "misspelt.toml")
    for command in commands:
        assert run(small, *command) == refusal
    assert statuses(small) == []


def test_the_policys_time_zone_says_what_today_is(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('time_zone = "Nowhere/Land"')
    code, _, err = run(small, "compute", "--policy", "policy.toml")
    assert (code, err) == (
        2,
        "error: policy: time_zone 'Nowhere/Land' is not known\nhint: e.g. Africa/Lagos\n",
    )
