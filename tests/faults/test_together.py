"""Several at once, and a server that gives up waiting: one goes on, whoever cannot says so, nothing is half-written."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from tests.faults import doom
from tests.faults.halting import halted
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, rows, statuses, told
from tests.roles import roles

COMPUTE = ("compute", "--as-of", str(DAY))
BACKFILL = ("backfill", "--from", str(DAY), "--to", str(DAY))
PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
OWED = "SELECT total_outstanding::text FROM loan_state WHERE loan_id = 'L2'"
BRANCH = "branch_metrics_daily"


@pytest.fixture
def published(small: str, home: Path) -> str:
    """Figures, while a payment made since waits for the next run."""
    compute(Settings(database_url=small, home=home), DAY, Policy())
    told(small, PAID)
    return small


def test_whoever_comes_while_a_run_publishes_is_told_of_it(run: Cli, published: str, home: Path) -> None:
    with halted(published, home, BRANCH, *COMPUTE) as (process, holder):
        for command in (COMPUTE, BACKFILL):
            code, _, err = run(published, *command)
            assert code == 3
            assert "held by loanmetrics compute, server process" in err
        holder.rollback()
        assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert statuses(published) == [("Completed", None)] * 2
    assert asked(published, OWED) == [("600.00",)]


def test_of_runs_that_start_together_each_publishes_or_says_why_not(published: str, home: Path) -> None:
    given = doom.environment(database_url=published, home=str(home))

    def start(_: int) -> int:
        done = subprocess.run([*doom.COMMAND, *COMPUTE], env=given, capture_output=True, check=False)
        return done.returncode

    with ThreadPoolExecutor(3) as threads:
        codes = list(threads.map(start, range(3)))
    assert set(codes) <= {0, 3}
    assert 0 in codes
    assert statuses(published) == [("Completed", None)] * (1 + codes.count(0))
    assert asked(published, OWED) == [("600.00",)]


@pytest.mark.parametrize(
    ("limit", "said"),
    [("lock_timeout", "LockNotAvailable 55P03"), ("statement_timeout", "QueryCanceled 57014")],
)
def test_a_run_that_the_server_makes_give_up_leaves_everything_as_it_was(
    run: Cli, published: str, limit: str, said: str
) -> None:
    before = rows(published)
    with roles(published) as made, psycopg.connect(published, autocommit=True) as owner:
        login = sql.Identifier(f"{made.prefix}_writer_login")
        owner.execute(sql.SQL("ALTER ROLE {} SET {} = '1s'").format(login, sql.SQL(limit)))
        with psycopg.connect(published) as holder:
            holder.execute(f"LOCK TABLE {BRANCH} IN ACCESS EXCLUSIVE MODE".encode())
            code, _, err = run(made.as_("writer"), *COMPUTE)
        assert (code, err.splitlines()[0]) == (1, f"error: the database failed: {said}")
        assert rows(published) == before
        owner.execute(sql.SQL("ALTER ROLE {} RESET {}").format(login, sql.SQL(limit)))
        assert run(made.as_("writer"), *COMPUTE)[0] == 0
    assert statuses(published) == [("Completed", None), ("Failed", said), ("Completed", None)]
    assert asked(published, OWED) == [("600.00",)]


def test_a_run_that_meets_another_writer_is_done_again(run: Cli, published: str, home: Path) -> None:
    name = sql.Identifier(str(conninfo_to_dict(published)["dbname"]))
    with psycopg.connect(published) as owner:
        owner.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'").format(name)
        )
    with halted(published, home, BRANCH, *COMPUTE) as (process, holder):
        holder.execute(f"UPDATE {BRANCH} SET total_portfolio = 1".encode())
        holder.commit()
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert err == "SerializationFailure: trying again\n"
    assert "published 3 officers" in out
    failed = ("Failed", "SerializationFailure 40001")
    assert statuses(published) == [("Completed", None), failed, ("Completed", None)]
    assert asked(published, f"SELECT FROM {BRANCH} WHERE total_portfolio = 1") == []
