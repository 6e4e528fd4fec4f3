"""Causes of restated figures: they sum exactly to what changed, for every figure of every row."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loanmetrics.engine.catalogue import load
from loanmetrics.engine.diff.causes import CAUSES
from loanmetrics.jobs import restated
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, told

BACKFILL = ("backfill", "--from", "2026-03-10", "--to", str(DAY))
NUMBERS = [name for name, kind in load().columns if kind != "text"] + ["rank"]
CHANGES = """
UPDATE loans SET officer_id = 'O3', region = 'North', branch = 'Kano' WHERE loan_id = 'L5';
UPDATE repayments SET is_reversed = true, reversal_date = '2026-03-12' WHERE repayment_id = 'R2';
INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, payment_method)
VALUES ('R9', 'L1', '2026-03-12', 50.05, 50.05, 'Cash');
"""
Row = dict[str, Any]


def restatements(url: str, where: str = "true") -> list[Row]:
    """Restated rows with exact numbers."""
    query = (
        "SELECT json_build_object('key', row_key, 'day', calculation_date, 'before', before, 'after', after,"
        f" 'causes', causes)::text FROM restatements WHERE {where} ORDER BY restatement_id"
    )
    return [json.loads(text, parse_float=Decimal) for (text,) in asked(url, query)]


def change_of(row: Row, name: str) -> Decimal | None:
    """What a row that went held counts as nothing now, if it was counted or summed."""
    nothing = 0 if name in load().measures else None
    before, after = row["before"][name], row["after"][name] if row["after"] else nothing
    return None if before is None or after is None else Decimal(after) - Decimal(before)


def assert_explained(rows: list[Row]) -> set[str]:
    """The causes that were told; each figure's effects sum to its change."""
    seen: set[str] = set()
    for row in rows:
        assert row["causes"].keys() <= CAUSES.keys(), row
        seen |= row["causes"].keys()
        for name in row["before"].keys() & set(NUMBERS):
            effects = [told["effects"][name] for told in row["causes"].values() if name in told["effects"]]
            change = change_of(row, name)
            if change is None:
                assert effects == [None] or row["after"] is None, (row, name)
            else:
                assert abs(sum(effects) - change) < Decimal("1e-11"), (row, name)
    return seen


def test_causes_sum_to_what_changed(run: Cli, small: str) -> None:
    assert run(small, *BACKFILL)[0] == 0
    told(small, CHANGES)
    assert run(small, *BACKFILL)[0] == 0
    rows = restatements(small)
    seen = assert_explained(rows)
    assert {"loan_reassigned", "payment_reversed", "payment_late", "payment_new"} <= seen
    [mine] = [row for row in rows if (row["key"], row["day"]) == ("O1", "2026-03-16")]
    late, undone = mine["causes"]["payment_late"], mine["causes"]["payment_reversed"]
    assert (late["times"], late["loans"], late["effects"]["total_portfolio"]) == (
        1,
        ["L1"],
        Decimal("-50.05"),
    )
    assert (undone["loans"], undone["effects"]["total_portfolio"]) == (["L2"], 200)


def test_a_past_day_computed_again_tells_its_causes(run: Cli, small: str) -> None:
    for day in ("2026-03-14", str(DAY)):
        assert run(small, "compute", "--as-of", day)[0] == 0
    told(small, CHANGES)
    assert run(small, "compute", "--as-of", "2026-03-14")[0] == 0
    rows = restatements(small)
    assert {row["day"] for row in rows} == {"2026-03-14"}
    assert {"loan_reassigned", "payment_late"} <= assert_explained(rows)


def test_another_policy_is_a_cause(run: Cli, small: str, tmp_path: Path) -> None:
    assert run(small, *BACKFILL)[0] == 0
    (tmp_path / "policy.toml").write_text("flow_days = 10\n")
    assert run(small, *BACKFILL, "--policy", "policy.toml")[0] == 0
    assert assert_explained(restatements(small)) == {"policy_changed", "rounding"}


def test_a_row_that_went_is_told(run: Cli, small: str) -> None:
    assert run(small, *BACKFILL)[0] == 0
    told(small, "DELETE FROM repayments WHERE loan_id > 'L3'; DELETE FROM loan_schedule WHERE loan_id > 'L3'")
    told(small, "DELETE FROM loans WHERE loan_id > 'L3'")
    assert run(small, *BACKFILL)[0] == 0
    gone = restatements(small, "row_key = 'West / Yaba' AND calculation_date < '2026-03-15'")
    assert [row["after"] for row in gone] == [None] * 5
    assert_explained(restatements(small))
    assert gone[0]["causes"]["loan_removed"]["effects"]["active_loans"] == -2


def test_what_was_published_otherwise_is_said(run: Cli, small: str) -> None:
    assert run(small, *BACKFILL)[0] == 0
    which = f"WHERE officer_id = 'O2' AND calculation_date = '{DAY}'"
    told(small, f"UPDATE officer_metrics_daily SET total_portfolio = 1, porr = 0.5 {which}")
    assert run(small, *BACKFILL)[0] == 0
    [row] = restatements(small)
    assert_explained([row])
    assert (
        row["causes"]["published_otherwise"]["effects"]["total_portfolio"]
        == row["after"]["total_portfolio"] - 1
    )
    assert row["causes"].keys() == {"published_otherwise"}


def test_facts_no_longer_kept_leave_causes_unknown(run: Cli, small: str, home: Path) -> None:
    assert run(small, *BACKFILL)[0] == 0
    told(small, CHANGES)
    [(first,)] = asked(small, f"SELECT run_id FROM {LOG}")
    [manifest] = home.rglob(f"manifests/{first}.json")
    manifest.unlink()
    assert run(small, *BACKFILL)[0] == 0
    known = [row["causes"] == {"unknown": "facts pruned"} for row in restatements(small)]
    assert known == [True] * len(known)
    assert known


@pytest.mark.parametrize(
    ("limit", "said"), [("MOST_ROWS", "rows were restated"), ("MOST_LOANS", "loans to look at")]
)
def test_beyond_a_limit_causes_stay_unknown(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    monkeypatch.setattr(restated, limit, 5)
    assert run(small, *BACKFILL)[0] == 0
    told(small, CHANGES)
    assert run(small, *BACKFILL)[0] == 0
    causes = [row["causes"] for row in restatements(small)]
    assert "unknown" not in causes[0]
    assert causes[-1]["unknown"].endswith(said)
