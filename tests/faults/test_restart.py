"""PostgreSQL crashes and comes back: a run that was reading begins again, one that was publishing fails."""

from pathlib import Path

import pytest

from loanmetrics.errors import RefusedError, UnreachableError
from loanmetrics.jobs.backfill import backfill
from loanmetrics.jobs.compute import compute
from loanmetrics.jobs.retrying import PAUSES, pauses
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import runs
from tests.faults.halting import halted
from tests.faults.postgres import Postgres
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import rows, statuses, told

COMPUTE = ("compute", "--as-of", str(DAY))
PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
CUT = [("Failed", runs.ABANDONED), ("Completed", None)]


@pytest.fixture
def settings(lender: str, home: Path) -> Settings:
    return Settings(database_url=lender, home=home)


def test_a_run_whose_reading_is_cut_short_reads_again(postgres: Postgres, lender: str, home: Path) -> None:
    with halted(lender, home, "holidays", *COMPUTE) as (process, _):
        postgres.crash()
        postgres.start()
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert "published 3 officers" in out
    assert err.startswith("the database went away (")
    assert statuses(lender) == CUT
    assert len(list((home / "facts").iterdir())) == 1


def test_a_run_that_was_publishing_fails_and_the_next_is_right(
    run: Cli, postgres: Postgres, settings: Settings, lender: str, home: Path
) -> None:
    compute(settings, DAY, Policy())
    told(lender, PAID)
    before = rows(lender)
    with halted(lender, home, "branch_metrics_daily", *COMPUTE) as (process, _):
        postgres.crash()
        postgres.start()
        err = process.communicate()[1]
    assert process.returncode == 1
    assert err.startswith("error: the database failed: ")
    assert rows(lender) == before
    assert run(lender, *COMPUTE)[0] == 0
    assert rows(lender) != before
    assert statuses(lender) == [("Completed", None), *CUT]


def test_a_server_that_is_down_is_waited_for(postgres: Postgres, settings: Settings, lender: str) -> None:
    waited = list[float]()

    def back(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            postgres.start()

    postgres.crash()
    assert compute(settings, DAY, Policy(), again=pauses(back)).officers == 3
    assert waited == list(PAUSES[:3])
    assert statuses(lender) == [("Completed", None)]


def test_waiting_has_an_end(settings: Settings, tmp_path: Path) -> None:
    nowhere = Settings(database_url=f"postgresql:///loans?host={tmp_path}", home=settings.home)
    waited = list[float]()
    with pytest.raises(UnreachableError, match="cannot connect"):
        list(backfill(nowhere, DAY, DAY, Policy(), again=pauses(waited.append)))
    assert waited == list(PAUSES)


def test_a_server_that_refuses_is_not_asked_again(lender: str, home: Path) -> None:
    other = Settings(database_url=lender.replace("lender_", "nobody_"), home=home)
    waited = list[float]()
    with pytest.raises(RefusedError, match="does not exist"):
        compute(other, DAY, Policy(), again=pauses(waited.append))
    assert waited == []


def test_a_backfill_goes_on_with_the_month_that_was_cut_short(
    postgres: Postgres, settings: Settings, lender: str
) -> None:
    made = list[str]()
    for month in backfill(
        settings, DAY.replace(month=1), DAY, Policy(), again=pauses(lambda _: postgres.start())
    ):
        made.append(month.run_id)
        if len(made) == 2:
            postgres.crash()
    assert len(set(made)) == 3
    assert statuses(lender) == [("Completed", None)] * 3
