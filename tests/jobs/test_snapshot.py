"""What others commit while a run reads is not seen by that run, and is seen by the next."""

from typing import Any

import pytest

from loanmetrics.facts import extract
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, told

LATE_ROWS = """
    INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid)
        VALUES ('R9', 'L1', '2026-03-01', 900, 900);
    INSERT INTO loans (loan_id, officer_id, region, branch, loan_amount, disbursement_date, loan_term_days)
        VALUES ('L9', 'O3', 'North', 'Kano', 500, '2026-03-01', 30);
    DELETE FROM repayments WHERE repayment_id = 'R2';
"""
LOANS = "SELECT loan_id, total_outstanding::text FROM loan_state ORDER BY loan_id"
AS_READ = [("L1", "900.00"), ("L2", "700.00"), ("L3", "600.00"), ("L4", "500.00"), ("L5", "400.00")]
AFTER = [("L1", "0.00"), ("L2", "900.00"), *AS_READ[2:], ("L9", "500.00")]


def test_rows_committed_after_the_snapshot_wait_for_the_next_run(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    totals = extract._totals
    waiting = [LATE_ROWS]

    def after_others_commit(*words: Any) -> extract.Source:
        """The snapshot is exported when the leader counts the source."""
        while waiting:
            told(small, waiting.pop())
        return totals(*words)

    monkeypatch.setattr(extract, "_totals", after_others_commit)
    for expected in (AS_READ, AFTER):
        assert run(small, "compute", "--as-of", str(DAY))[0] == 0
        assert asked(small, LOANS) == expected


def test_readers_share_the_leaders_snapshot(run: Cli, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One table was copied already when others commit: the tables that follow are of the same moment."""
    copy = extract._copy
    waiting = [LATE_ROWS]

    def and_others_commit(*words: Any) -> None:
        copy(*words)
        while waiting:
            told(small, waiting.pop())

    monkeypatch.setattr(extract, "_copy", and_others_commit)
    monkeypatch.setenv("LOANMETRICS_READERS", "1")
    for expected in (AS_READ, AFTER):
        assert run(small, "compute", "--as-of", str(DAY))[0] == 0
        assert asked(small, LOANS) == expected
