"""Two runs on a real database: what differs between them, and why, told by the command line and in notebooks."""

import json
from pathlib import Path

import polars as pl
import pytest

import loanmetrics as lm
from loanmetrics.engine.diff.causes import CAUSES
from loanmetrics.errors import UsageError
from loanmetrics.facts.between import touched
from loanmetrics.facts.lake import Lake
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, told

COMPUTE = ("compute", "--as-of", str(DAY))
CHANGES = """
UPDATE loans SET officer_id = 'O3', region = 'North', branch = 'Kano' WHERE loan_id = 'L5';
UPDATE repayments SET is_reversed = true, reversal_date = '2026-03-10' WHERE repayment_id = 'R2';
UPDATE repayments SET payment_amount = 400, principal_paid = 400 WHERE repayment_id = 'R3';
INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, payment_method)
VALUES ('R9', 'L1', '2026-03-12', 50, 50, 'Cash');
"""


def computed(run: Cli, url: str) -> str:
    """The run that publishes the day."""
    assert run(url, *COMPUTE)[0::2] == (0, "")
    [(run_id,)] = asked(url, f"SELECT run_id FROM {LOG} ORDER BY log_id DESC LIMIT 1")
    return str(run_id)


@pytest.fixture
def two(run: Cli, small: str) -> tuple[str, str]:
    first = computed(run, small)
    told(small, CHANGES)
    return first, computed(run, small)


def test_the_book_is_told_with_its_causes(run: Cli, small: str, two: tuple[str, str]) -> None:
    code, out, err = run(small, "diff", *two, "--metric", "total_portfolio", "--metric", "total_entries")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"as of {DAY}: 2 figures differ"
    owed = next(place for place, line in enumerate(lines) if line.split()[:2] == ["book", "total_portfolio"])
    assert lines[owed].split()[2:] == ["3,100.00", "3,150.00", "+50.00"]
    assert "payment_reversed +200.00 (L2: payment R2 of 2026-03-01 reversed on 2026-03-10)" in lines[owed + 1]
    assert "payment_edited -100.00 (L3: payment R3 of 2026-03-01: amount 300.00 -> 400.00" in lines[owed + 1]
    assert "payment_late -50.00 (L1: payment R9 of 2026-03-12)" in " ".join(lines[owed + 1 : owed + 4])


def test_a_reassignment_takes_from_one_and_gives_to_the_other(
    run: Cli, small: str, two: tuple[str, str]
) -> None:
    told_of = {
        officer: run(small, "diff", *two, "--officer", officer, "--metric", "total_portfolio")[1]
        for officer in ("O2", "O3")
    }
    for officer, effect in (("O2", "-400.00"), ("O3", "+400.00")):
        assert f"loan_reassigned {effect} (L5: officer_id O2 -> O3, region West -> North," in told_of[officer]


def test_everything_goes_to_a_file(run: Cli, small: str, two: tuple[str, str], tmp_path: Path) -> None:
    assert run(small, "diff", *two, "--output", "causes.parquet")[0] == 0
    causes = pl.read_parquet(tmp_path / "causes.parquet")
    assert {"book", "O1", "O2", "O3", "West / Ikeja", "North / Kano"} <= set(causes["of"])
    assert set(causes["cause"]) <= set(CAUSES)
    owed = causes.filter(of="O3", figure="total_portfolio", cause="loan_reassigned")
    assert owed.select("before", "after", "effect").rows() == [(0, 400, 400)]


def test_the_same_run_twice_differs_in_nothing(run: Cli, small: str, two: tuple[str, str]) -> None:
    assert run(small, "diff", two[0], two[0]) == (0, f"as of {DAY}: no figure differs\n", "")


def test_a_run_of_another_day_is_told_from_time_alone(run: Cli, small: str) -> None:
    first = computed(run, small)
    assert run(small, "compute", "--as-of", "2026-03-17")[0] == 0
    [(second,)] = asked(small, f"SELECT run_id FROM {LOG} ORDER BY log_id DESC LIMIT 1")
    out = run(small, "diff", first, second, "--metric", "overdue_15d_count")[1]
    assert out.startswith(f"{DAY} to 2026-03-17: 1 figures differ")
    assert "day_passed +2 (2 times, most by L1: 2026-03-16 -> 2026-03-17)" in out


def test_what_cannot_be_compared_is_refused_with_a_hint(run: Cli, small: str, home: Path) -> None:
    first = computed(run, small)
    code, _, err = run(small, "diff", first, first[:-1] + "x")
    assert (code, "did you mean" in err) == (2, True)
    assert run(small, "diff", first, first, "--officer", "O7")[0] == 2
    assert run(small, "diff", first, first, "--metric", "fmir")[2].endswith("hint: did you mean fimr?\n")
    [manifest] = home.rglob(f"manifests/{first}.json")
    manifest.unlink()
    code, _, err = run(small, "diff", first, first)
    assert (code, "are no longer kept\nhint: they are kept for 35 days" in err) == (1, True)


def test_a_run_that_failed_published_nothing(run: Cli, small: str) -> None:
    first = computed(run, small)
    told(small, "UPDATE repayments SET principal_paid = payment_amount + 1")
    assert run(small, *COMPUTE)[0] == 4
    [(failed,)] = asked(small, f"SELECT run_id FROM {LOG} WHERE status = 'Failed'")
    code, _, err = run(small, "diff", first, failed)
    assert (code, "is Failed: it published nothing" in err) == (2, True)


def test_a_notebook_opens_what_an_earlier_run_knew(
    run: Cli, small: str, two: tuple[str, str], home: Path
) -> None:
    [manifest] = home.rglob("manifest.json")
    then, now = (lm.Book.scan(manifest.parent, as_of=DAY, known_at=run_id) for run_id in two)
    owed = lm.diff(then, now, "total_portfolio", by="book").collect()
    assert owed["change"].unique().to_list() == [5000]
    assert owed["effect"].sum() == 5000
    assert lm.Book.scan(manifest.parent, as_of=DAY).facts.cells.equals(now.facts.cells)
    with pytest.raises(UsageError, match="facts folder"):
        lm.Book.scan({}, as_of=DAY, known_at=two[0])


def test_policies_that_differ_are_a_cause(run: Cli, small: str, tmp_path: Path) -> None:
    first = computed(run, small)
    (tmp_path / "policy.toml").write_text("flow_days = 10\n")
    assert run(small, *COMPUTE, "--policy", "policy.toml")[0] == 0
    [(second,)] = asked(small, f"SELECT run_id FROM {LOG} ORDER BY log_id DESC LIMIT 1")
    out = run(small, "diff", first, second, "--metric", "total_entries")[1]
    assert "policy_changed -4 (4 times, most by L2: flow_days 30 -> 10)" in out


def test_only_touched_loans_are_read_between_versions_that_share_files(
    two: tuple[str, str], home: Path
) -> None:
    [manifest] = home.rglob("manifest.json")
    lake = Lake(manifest.parent)
    assert touched(lake, *(lake.version(run_id) for run_id in two)).to_list() == ["L1", "L2", "L3", "L5"]
    assert json.loads(manifest.read_text())["run_id"] == two[1]
