"""The command ``load``: what it tells, where it writes its report, how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOANS = "loan_id,loan_amount,disbursement_date"


def run(folder: Path, *words: str, database: str = "postgresql:///x?host=/nowhere") -> tuple[int, str, str]:
    """Run the command in ``folder``: exit code, stdout, stderr."""
    environment = {
        **os.environ,
        "LOANMETRICS_DATABASE_URL": database,
        "LOANMETRICS_HOME": str(folder / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "loanmetrics.cli", "load", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_load_that_held_back_too_much_loads_the_rest_and_exits_4(database: str, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text(f"{LOANS}\nL1,1,2024-01-05\nL2,bad,2024-01-05\nL3,,2024-01-05\n")
    code, out, err = run(tmp_path, "loans.csv", database=database)
    assert code == 4
    assert "loans     3        1          0          2\n" in out
    assert err.endswith(
        "error: loans: 2 of 3 rows held back (bad_money 1, missing_value 1)\n"
        "hint: all other rows are loaded; Policy.max_quarantine_share is 0.01\n"
    )
    (tmp_path / "lenient.toml").write_text("max_quarantine_share = 0.7")
    assert run(tmp_path, "loans.csv", "--policy", "lenient.toml", database=database)[0] == 0


def test_what_was_loaded_is_told_though_a_later_file_is_refused(database: str, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text(f"{LOANS}\nL1,1,2024-01-05\n")
    (tmp_path / "repayments.csv").write_text("repayment_id\nR1\n")
    for _ in range(2):
        code, out, err = run(tmp_path, ".", "--report", "held.csv", database=database)
        assert code == 1
        assert out.startswith("table  read  written  unchanged  held_back\nloans     1 ")
        assert err.startswith("error: repayments.csv has no column loan_id\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["held.csv", "loans.csv", "repayments.csv"]


@pytest.mark.parametrize("report", ["loans.csv", "linked.csv", "same.csv"])
def test_a_report_never_replaces_what_is_loaded(tmp_path: Path, report: str) -> None:
    (tmp_path / "loans.csv").write_text(LOANS)
    (tmp_path / "linked.csv").symlink_to("loans.csv")
    (tmp_path / "same.csv").hardlink_to(tmp_path / "loans.csv")
    assert run(tmp_path, "loans.csv", "--report", report) == (
        2,
        "",
        f"error: {report} is one of the files to load\nhint: name another file for the report\n",
    )
    assert (tmp_path / "loans.csv").read_text() == LOANS


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (".", "error: . is no file\nhint: name a CSV file for the report\n"),
        ("no/held.csv", "error: no/held.csv: No such file or directory\n"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, report: str, message: str
) -> None:
    (tmp_path / "loans.csv").write_text(LOANS)
    assert run(tmp_path, "loans.csv", "--report", report)[2] == message


def test_a_load_that_fails_at_once_leaves_the_last_report(tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text(LOANS)
    (tmp_path / "held.csv").write_text("the last one")
    assert run(tmp_path, "loans.csv", "--report", "held.csv")[0] == 1
    assert (tmp_path / "held.csv").read_text() == "the last one"
    assert not list(tmp_path.glob(".held*"))
