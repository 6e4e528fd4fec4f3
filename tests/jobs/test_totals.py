"""A run that reads only what changed knows what the whole source holds, and refuses a copy that is not its source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loanmetrics.facts import extract
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, statuses, told

COMPUTE = ("compute", "--as-of", str(DAY))
PAY = "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid) VALUES "
CHANGES = (
    PAY + "('R9', 'L1', '2026-03-02', 70, 70)",
    "UPDATE repayments SET payment_amount = 75, principal_paid = 75 WHERE repayment_id = 'R9'",
    "UPDATE repayments SET payment_date = '2026-01-31' WHERE repayment_id = 'R9'",
    "UPDATE repayments SET loan_id = 'L2' WHERE repayment_id = 'R9'",
    "UPDATE loan_schedule SET due_date = due_date + 31, principal_due = 301 WHERE loan_id = 'L3'",
    "UPDATE loans SET loan_amount = 950, disbursement_date = '2026-01-15' WHERE loan_id = 'L3'",
    "DELETE FROM loans WHERE loan_id = 'L4'",
    PAY + "('R8', 'nobody', '2026-03-02', 10, 10), ('R9', 'L5', '2026-03-03', 11, 11)",
    "DELETE FROM repayments WHERE loan_id IN ('L4', 'nobody')",
    "UPDATE repayments SET principal_paid = 1 WHERE repayment_id = 'R2'",
    "INSERT INTO officers (officer_id) VALUES ('O9')",
    "DELETE FROM loan_schedule WHERE loan_id = 'L5'",
)
TOTALS = """
    SELECT jsonb_build_object('officers', (SELECT count(*) FROM officers), 'holidays', (SELECT count(*) FROM holidays),
            'loans', (SELECT count(*) FROM loans), 'loan_schedule', (SELECT count(*) FROM loan_schedule),
            'repayments', (SELECT count(*) FROM repayments)),
        jsonb_build_object('loans', (SELECT sum(loan_amount * 100)::bigint FROM loans),
            'loan_schedule', (SELECT sum(principal_due * 100)::bigint FROM loan_schedule),
            'repayments', (SELECT sum(payment_amount * 100)::bigint FROM repayments))
"""
KNOWN = """
    SELECT reconciliation->'source_rows', reconciliation->'source_sums' FROM metric_calculation_log
    ORDER BY log_id DESC LIMIT 1
"""


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    policy = tmp_path / "policy.toml"
    policy.write_text("max_quarantine_share = 1.0")
    return policy


def test_totals_follow_every_kind_of_change(run: Cli, small: str, lenient: Path) -> None:
    command = (*COMPUTE, "--policy", str(lenient))
    assert run(small, *command)[0] == 0
    for change in CHANGES:
        told(small, change)
        code, _, err = run(small, *command)
        assert code == 0, (change, err)
        assert "read everything" not in err, change
        [known], [counted] = asked(small, KNOWN), asked(small, TOTALS)
        common = [{name: rows[name] for name in counted[0]} for rows in (known[0], counted[0])]
        assert common[0] == common[1], change
        assert known[1] == counted[1], change


def lose_a_row(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def repeat_a_row(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def alter_an_amount(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"200.00", b"200.01"), *lines[1:]]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lose_a_row, "repayments: rows read 4, the source says 5"),
        (repeat_a_row, "repayments: rows read 6, the source says 5"),
        (alter_an_amount, "repayments: sum read 141,001, the source says 141,000"),
    ],
)
def test_a_picked_copy_that_is_not_its_source_is_refused(
    run: Cli,
    small: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[list[bytes]], list[bytes]],
    reason: str,
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAY + "('R9', 'L2', '2026-03-02', 10, 10)")
    relate = extract._relate

    def after_damage(connection: Any, folder: Path, *words: Any) -> None:
        [copy] = folder.glob("repayments-*.csv")
        lines = sorted(copy.read_bytes().splitlines(keepends=True))
        copy.write_bytes(b"".join(fault(lines)))
        relate(connection, folder, *words)

    monkeypatch.setattr(extract, "_relate", after_damage)
    code, out, err = run(small, *COMPUTE)
    assert (code, out) == (4, "")
    assert err.startswith(f"error: {reason}")
    assert statuses(small)[-1][0] == "Failed"
