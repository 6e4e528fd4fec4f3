"""A second opinion on what is published: sound figures pass, whatever was changed by hand is named."""

import psycopg
import pytest

from tests.jobs.conftest import Cli

DAY = "2026-06-30"
WRONG = {
    "a measure": (
        "UPDATE officer_metrics_daily SET active_loans = active_loans + 1 WHERE officer_id = 'O0001'",
        ["officers, measures: O0001: its measures are not the sums of its loans", "sums: active_loans"],
    ),
    "a cent": (
        "UPDATE branch_metrics_daily SET total_portfolio = total_portfolio + 0.01 WHERE branch = 'Kaduna'",
        ["branches, measures: North / Kaduna", "sums: total_portfolio"],
    ),
    "a ratio": (
        "UPDATE officer_metrics_daily SET fimr = fimr + 0.001 WHERE officer_id = 'O0032'",
        ["officers, formulas: O0032: fimr is 0.81"],
    ),
    "a score": (
        "UPDATE officer_metrics_daily SET risk_score = 99 WHERE officer_id = 'O0032'",
        ["officers, formulas: O0032: risk_score is 99, DuckDB says 37.0"],
    ),
    "a row gone": (
        "DELETE FROM officer_metrics_daily WHERE officer_id = 'O0032'",
        ["officers, measures: O0032"],
    ),
    "a row more": (
        "INSERT INTO officer_metrics_daily (officer_id, calculation_date, run_id, calculated_at, active_loans)"
        " SELECT 'ghost', calculation_date, run_id, calculated_at, 3 FROM officer_metrics_daily LIMIT 1",
        ["officers, measures: ghost"],
    ),
    "a column": (
        "ALTER TABLE branch_metrics_daily DROP COLUMN fimr",
        ["schema: branch_metrics_daily.fimr"],
    ),
    "an audit": (
        "ALTER TABLE audit_tracking DISABLE TRIGGER audit_tracking_append_only;"
        " UPDATE audit_tracking SET actor = 'nobody' WHERE audit_id = 1",
        ["audit chain: row 1 is not as it was written"],
    ),
}


def test_what_was_published_holds(run: Cli, sample: str) -> None:
    assert run(sample, "compute", "--as-of", DAY)[0] == 0
    code, out, err = run(sample, "verify")
    assert (code, err) == (0, "")
    told = [line.split("  ")[0] for line in out.splitlines()[1:]]
    assert told[1:] == [
        "officers, measures",
        "officers, formulas",
        "branches, measures",
        "branches, formulas",
        "sums",
        "audit chain",
    ]
    assert "wrong" not in out


@pytest.mark.parametrize(("change", "named"), WRONG.values(), ids=WRONG)
def test_what_was_changed_by_hand_is_named(run: Cli, sample: str, change: str, named: list[str]) -> None:
    assert run(sample, "compute", "--as-of", DAY)[0] == 0
    with psycopg.connect(sample) as connection:
        connection.execute(change.encode())
    code, out, err = run(sample, "verify", "--as-of", DAY)
    assert code == 4
    assert all(line in out + err for line in named), out + err


def test_a_day_nobody_published_cannot_be_verified(run: Cli, sample: str) -> None:
    assert run(sample, "verify", "--as-of", "2027-01-01")[0] == 1
