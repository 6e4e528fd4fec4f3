"""Each process does its work as the role that is shipped for it, and that role can do nothing else."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from loanmetrics.jobs import audit
from loanmetrics.jobs.backfill import backfill
from loanmetrics.jobs.compute import ComputeReport, compute
from loanmetrics.jobs.verify import verify
from loanmetrics.jobs.worker import Worker
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.tables import TABLES
from loanmetrics.testing import Databases
from tests.jobs.small import DAY
from tests.jobs.stored import asked, told
from tests.roles import FILE, Roles, grant, roles

READ = ["officers", "loans", "loan_schedule", "repayments", "holidays", "gl_balances", "par15_snapshots"]
MAY_NOT = {
    "reader": [
        *(f"DELETE FROM {table}" for table in (*READ, "change_log", "officer_metrics_daily")),
        "INSERT INTO holidays VALUES ('2026-01-01')",
        "INSERT INTO loan_reassignments DEFAULT VALUES",
        "UPDATE loans SET loan_amount = 1",
        "SELECT FROM customers",
        "SELECT FROM team_members",
        "SELECT FROM audit_tracking",
        "SELECT FROM officer_metrics_daily",
        "SELECT loanmetrics_watch_changes()",
        "SELECT loanmetrics_ensure_partitions('loans')",
        "CREATE TABLE mine ()",
        "CREATE TEMPORARY TABLE mine ()",
    ],
    "writer": [
        *(f"INSERT INTO {table} DEFAULT VALUES" for table in READ if table != "par15_snapshots"),
        *(f"DELETE FROM {table}" for table in READ),
        "UPDATE loans SET loan_amount = 1",
        "UPDATE par15_snapshots SET par15_exposure = 0",
        "UPDATE loan_reassignments SET officer_id = NULL",
        "DELETE FROM loan_reassignments",
        "UPDATE restatements SET before = '{}'",
        "DELETE FROM metric_calculation_log",
        "DELETE FROM schedule_slots",
        "UPDATE _yoyo_migration SET migration_id = ''",
        "UPDATE audit_tracking SET actor = 'member:1'",
        "DELETE FROM audit_tracking",
        "TRUNCATE audit_tracking",
        "DELETE FROM audit_anchors",
        "UPDATE change_log SET loan_id = NULL",
        "UPDATE change_horizon SET xid = '0'",
        "ALTER TABLE audit_tracking DISABLE TRIGGER ALL",
        "DROP TABLE officer_metrics_daily",
        "SELECT FROM customers",
        "SELECT FROM team_members",
        "SELECT FROM refresh_tokens",
        "SELECT FROM login_attempts",
        "CREATE TABLE mine ()",
    ],
    "api": [
        *(f"DELETE FROM {table}" for table in ("audit_tracking", "audit_anchors", "audit_requests")),
        *(f"UPDATE {table} SET row_hash = ''" for table in ("audit_tracking", "audit_anchors")),
        "UPDATE audit_requests SET audit_id = 1",
        *(f"INSERT INTO {table} DEFAULT VALUES" for table in (*READ, "customers", "officer_metrics_daily")),
        *(f"DELETE FROM {table}" for table in (*READ, "loan_state", "officer_metrics_daily", "team_members")),
        "UPDATE team_members SET access_role = 'admin'",
        "UPDATE team_members SET is_active = true",
        "INSERT INTO team_members (member_name, member_email, is_active) VALUES ('M', 'm@example.com', true)",
        "UPDATE refresh_tokens SET member_id = 1",
        "UPDATE metric_calculation_log SET status = 'Completed'",
        "SELECT date_of_birth FROM customers",
        "SELECT address FROM customers",
        "SELECT interest_rate FROM loans",
        "SELECT * FROM loans_with_state",
        "SELECT FROM repayments",
        "SELECT FROM change_log",
        "SELECT FROM quarantined_rows",
        "SELECT loanmetrics_watch_changes()",
        "CREATE TABLE mine ()",
        "CREATE TEMPORARY TABLE mine ()",
    ],
}  # fmt: skip
REFUSED = [(name, statement) for name, statements in MAY_NOT.items() for statement in statements]


@pytest.fixture(scope="module")
def untouched(databases: Databases) -> Iterator[Roles]:
    """For tests that change nothing, being refused."""
    with databases.migrated() as url, roles(url) as made:
        yield made


@pytest.fixture
def made(small: str) -> Iterator[Roles]:
    with roles(small) as found:
        yield found


@pytest.mark.parametrize(("name", "statement"), REFUSED, ids=[f"{name}-{what}" for name, what in REFUSED])
def test_no_role_can_do_more_than_it_needs(untouched: Roles, name: str, statement: str) -> None:
    # The guards of append-only tables refuse with the same code, in other words.
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"permission denied|must be owner")
    with psycopg.connect(untouched.as_(name)) as connection, refused:
        connection.execute(statement.encode())


def test_nobody_else_gets_in(untouched: Roles) -> None:
    everybody = asked(
        untouched.url,
        "SELECT privilege_type FROM pg_database, aclexplode(datacl)"
        " WHERE datname = current_database() AND grantee = 0",
    )
    assert everybody == []


def test_whoever_adds_a_table_says_who_may_do_what_with_it() -> None:
    owners_alone = {"quarantined_rows"}
    text = FILE.read_text()
    assert {table for table in TABLES if table not in text} == owners_alone


def publish(made: Roles, home: Path, day: date) -> ComputeReport:
    return compute(Settings(database_url=made.as_("writer"), home=home), day, Policy())


def test_the_writer_publishes_day_after_day(made: Roles, home: Path) -> None:
    assert publish(made, home, DAY).reason == "first run"
    told(made.url, "UPDATE repayments SET payment_amount = 150, principal_paid = 150 WHERE loan_id = 'L2'")
    assert publish(made, home, DAY).reason is None
    later = DAY + timedelta(1)
    publish(made, home, later)
    told(made.url, "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid)"
                   " VALUES ('late', 'L1', '2026-03-10', 50, 50)")  # fmt: skip
    assert publish(made, home, DAY).changed > 0
    assert asked(made.url, "SELECT count(*) > 0 FROM restatements") == [(True,)]


def test_the_writer_publishes_a_past_with_its_transitions_and_frozen_days(made: Roles, home: Path) -> None:
    settings = Settings(database_url=made.as_("writer"), home=home)
    assert list(backfill(settings, date(2026, 2, 10), DAY, Policy()))
    for table in ("dpd_transitions", "par15_snapshots"):
        assert asked(made.url, f"SELECT count(*) > 0 FROM {table}") == [(True,)]


def test_the_writer_publishes_what_the_owner_would(made: Roles, small_book: str, home: Path) -> None:
    publish(made, home, DAY)
    ours = asked(
        made.url, "SELECT to_jsonb(o) - 'run_id' - 'calculated_at' FROM officer_metrics_daily o ORDER BY 1"
    )
    told(made.url, "DELETE FROM officer_metrics_daily")
    compute(Settings(database_url=made.url, home=home), DAY, Policy())
    assert ours == asked(
        made.url, "SELECT to_jsonb(o) - 'run_id' - 'calculated_at' FROM officer_metrics_daily o ORDER BY 1"
    )


def test_new_months_are_made_and_read_without_owning_them(made: Roles, home: Path) -> None:
    publish(made, home, DAY)
    told(
        made.url,
        "INSERT INTO loans (loan_id, officer_id, region, branch, loan_amount, disbursement_date, loan_term_days)"
        " VALUES ('old', 'O3', 'North', 'Kano', 500, '2019-05-05', 30)",
    )
    assert publish(made, home, DAY).loans == 6
    assert asked(made.url, "SELECT tableoid::regclass::text FROM loans WHERE loan_id = 'old'") == [
        ("loans_2019_05",)
    ]
    with psycopg.connect(made.as_("reader")) as reader:
        assert reader.execute("SELECT loan_id FROM loans_2019_05").fetchall() == [("old",)]
    with psycopg.connect(made.as_("api")) as api, pytest.raises(psycopg.errors.InsufficientPrivilege):
        api.execute("SELECT loan_id FROM loans_2019_05")


def test_the_worker_does_all_that_is_due(made: Roles, home: Path) -> None:
    settings = Settings(database_url=made.as_("writer"), home=home)
    Worker(settings, Policy()).once()
    told(made.url, "UPDATE schedule_slots SET slot = slot - interval '40 days'")
    told(made.url, "UPDATE loans SET loan_amount = 950 WHERE loan_id = 'L1'")
    Worker(settings, Policy()).once()
    done = asked(
        made.url, "SELECT task FROM schedule_slots WHERE slot > now() - interval '32 days' ORDER BY 1"
    )
    assert done == [(name,) for name in ("figures", "par15", "prune", "refresh")]
    assert asked(made.url, "SELECT count(*) > 0 FROM par15_snapshots") == [(True,)]


def test_a_writer_can_verify_what_it_published(made: Roles, home: Path) -> None:
    publish(made, home, DAY)
    checks = verify(Settings(database_url=made.as_("writer"), home=home), DAY)
    assert [check for check in checks if check.wrong] == []


def test_a_writer_can_check_the_chain_it_writes_to(made: Roles, home: Path) -> None:
    publish(made, home, DAY)
    found = audit.verify(Settings(database_url=made.as_("writer"), home=home))
    assert (found.fault, found.rows > 0, found.anchors) == (None, True, 1)


def test_granting_again_changes_nothing(made: Roles) -> None:
    with psycopg.connect(made.url, autocommit=True) as owner:
        before = grants(made.url)
        grant(owner, made)
        assert grants(made.url) == before
        owner.execute(f"GRANT DELETE ON audit_tracking TO {made.prefix}_api")
        grant(owner, made)
        assert grants(made.url) == before


def grants(url: str) -> list[tuple[object, ...]]:
    return asked(
        url,
        "SELECT relname, pg_get_userbyid(grantee), privilege_type FROM pg_class, aclexplode(relacl)"
        " WHERE relnamespace = current_schema()::regnamespace ORDER BY 1, 2, 3",
    )
