"""Clocks that jump: what earlier runs wrote then lies in the future, or long ago. What counts is their order."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from loanmetrics.jobs.compute import ComputeReport, compute
from loanmetrics.jobs.drilldown import stored_by
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import runs
from loanmetrics.store.freshness import freshness
from loanmetrics.store.reading import day_stamp
from loanmetrics.store.session import connect
from tests.jobs.small import DAY
from tests.jobs.stored import asked, statuses, told

PAID = "UPDATE repayments SET payment_amount = payment_amount + 1, principal_paid = principal_paid + 1"
OWED = "SELECT sum(total_outstanding)::int FROM loan_state"
Run = Callable[[timedelta], ComputeReport]


@pytest.fixture
def run_at(small: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run on a machine whose clock is ahead by so much."""
    settings = Settings(database_url=small, home=home)

    def at(ahead: timedelta) -> ComputeReport:
        class Ahead(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "Ahead":
                return super().now(tz) + ahead

        with monkeypatch.context() as patch:
            patch.setattr(runs, "datetime", Ahead)
            return compute(settings, DAY, Policy())

    return at


@pytest.mark.parametrize("ahead", [timedelta(days=2), timedelta(days=-40)], ids=["back", "forward"])
def test_a_clock_that_jumps_between_runs_changes_nothing(
    run_at: Run, small: str, home: Path, ahead: timedelta
) -> None:
    first = run_at(ahead)
    [(owed,)] = asked(small, OWED)
    told(small, PAID)
    second = run_at(timedelta())
    third = run_at(timedelta())
    assert first.run_id < second.run_id < third.run_id
    assert [run.reason for run in (first, second, third)] == ["first run", None, None]
    assert asked(small, OWED) == [(owed - 4,)]
    assert statuses(small) == [("Completed", None)] * 3
    with connect(small) as session:
        stamp, fresh = day_stamp(session, DAY), freshness(session)
        assert stored_by(session, DAY) == third.run_id
        assert stamp and stamp.run_id == third.run_id
        assert fresh.run_id == third.run_id and fresh.age is not None and 0 <= fresh.age < 3600
        assert lake_of(Settings(home=home), session).holds(third.run_id)


def test_stamps_may_go_backwards(run_at: Run, small: str) -> None:
    run_at(timedelta(days=2))
    told(small, PAID + " WHERE repayment_id = 'R2'")
    run_at(timedelta())
    rows = asked(
        small, "SELECT officer_id, calculated_at > now() + interval '1 day' FROM officer_metrics_daily"
    )
    assert dict(rows) == {"O1": False, "O2": True, "O3": True}
