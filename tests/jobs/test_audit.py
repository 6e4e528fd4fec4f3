"""Auditing officers: every move between statuses, writers who collide, and what an author saw."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import psycopg
import pytest

from loanmetrics.engine import loans as engine_loans
from loanmetrics.engine.book import Book
from loanmetrics.errors import ConflictError, NotFoundError, PreconditionFailedError, UsageError
from loanmetrics.jobs import audit
from loanmetrics.policy import Policy
from loanmetrics.store import members
from loanmetrics.store.audit_check import verify
from loanmetrics.store.officer_audit import Standing
from loanmetrics.store.session import connect
from loanmetrics.tables import AUDIT_STATUSES, UNASSIGNED
from tests import support

ALLOWED = {
    ("Unassigned", "Assigned"),
    ("Assigned", "In Progress"),
    ("In Progress", "Resolved"),
    ("Resolved", "In Progress"),
}
WAYS = {
    "Unassigned": [],
    "Assigned": ["Assigned"],
    "In Progress": ["Assigned", "In Progress"],
    "Resolved": ["Assigned", "In Progress", "Resolved"],
}


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        opened.execute("INSERT INTO officers (officer_id) VALUES ('O1'), ('O2')")
        yield opened


@pytest.fixture
def ada(connection: psycopg.Connection) -> int:
    return member(connection, "ada")


def member(connection: psycopg.Connection, name: str) -> int:
    made = members.add(
        connection,
        email=f"{name}@example.com",
        name=name.title(),
        access_role="auditor",
        role="auditor",
        department=None,
        password_hash=None,
        actor="user:test",
    )
    return made.member_id


def now(connection: psycopg.Connection, officer: str = "O1") -> Standing:
    return audit.standing(connection, [officer])[officer]


def bring(connection: psycopg.Connection, status: str, by: int) -> Standing:
    for step in WAYS[status]:
        audit.set_status(connection, "O1", step, None, by=by, expected=now(connection).version)
    return now(connection)


def test_an_officer_never_touched_is_nobodys(connection: psycopg.Connection) -> None:
    assert now(connection) == Standing("O1", 0, None, None, "Unassigned")


@pytest.mark.parametrize(("was", "to"), list(product(AUDIT_STATUSES, AUDIT_STATUSES)))
def test_status_moves_one_step_at_a_time(connection: psycopg.Connection, ada: int, was: str, to: str) -> None:
    before = bring(connection, was, ada)
    assert before.audit_status == was
    if (was, to) in ALLOWED:
        after = audit.set_status(connection, "O1", to, " look ", by=ada, expected=before.version)
        assert (after.audit_status, after.audit_notes) == (to, "look")
        assert after.version > before.version
        assert after.last_audit_at == after.status_changed_at is not None
    else:
        with pytest.raises(ConflictError, match=f"{was} cannot become {to}"):
            audit.set_status(connection, "O1", to, None, by=ada, expected=before.version)
        after = before
    assert now(connection) == after


@pytest.mark.parametrize("was", AUDIT_STATUSES)
def test_giving_an_audit_to_somebody_else(connection: psycopg.Connection, ada: int, was: str) -> None:
    obi = member(connection, "obi")
    before = bring(connection, was, ada)
    after = audit.assign(connection, "O1", obi, by=ada, expected=before.version)
    assert (after.assignee_id, after.assignee_name) == (obi, "Obi")
    assert after.audit_status == ("Assigned" if was == "Unassigned" else was)
    assert after.last_audit_at == before.last_audit_at
    assert now(connection) == after


@pytest.mark.parametrize("was", AUDIT_STATUSES)
def test_taking_an_audit_away_leaves_it_unassigned(
    connection: psycopg.Connection, ada: int, was: str
) -> None:
    before = bring(connection, was, ada)
    after = audit.assign(connection, "O1", None, by=ada, expected=before.version)
    assert (after.assignee_id, after.assigned_at, after.audit_status) == (None, None, "Unassigned")
    assert now(connection) == after


def test_who_takes_an_unassigned_audit_up_has_it(connection: psycopg.Connection, ada: int) -> None:
    after = audit.set_status(connection, "O1", "Assigned", None, by=ada, expected=0)
    assert (after.assignee_id, after.assignee_name) == (ada, "Ada")


@pytest.mark.parametrize("write", ["assign", "status", "act"])
def test_a_write_on_what_has_changed_since_is_refused(
    connection: psycopg.Connection, ada: int, write: str
) -> None:
    audit.assign(connection, "O1", ada, by=ada, expected=0)
    before = now(connection)
    with pytest.raises(PreconditionFailedError, match=f"at version {before.version}, not 0"):
        WRITES[write](connection, "O1", ada, 0)
    assert now(connection) == before


WRITES: dict[str, Any] = {
    "assign": lambda connection, officer, by, expected: audit.assign(
        connection, officer, None, by=by, expected=expected
    ),
    "status": lambda connection, officer, by, expected: audit.set_status(
        connection, officer, "Assigned", None, by=by, expected=expected
    ),
    "act": lambda connection, officer, by, expected: audit.act(
        connection, officer, "Call", None, by=by, expected=expected
    ),
}


@pytest.mark.parametrize("write", WRITES)
def test_an_officer_nobody_knows(connection: psycopg.Connection, ada: int, write: str) -> None:
    with pytest.raises(NotFoundError, match="no officer O9"):
        WRITES[write](connection, "O9", ada, 0)


def test_of_two_who_write_at_once_one_is_told(
    database: str, connection: psycopg.Connection, ada: int
) -> None:
    """Both had seen version 0; whoever comes second must look again, and nothing is lost."""
    obi, gate = member(connection, "obi"), threading.Barrier(2)

    def write(assignee: int) -> Standing | PreconditionFailedError:
        with connect(database) as own:
            gate.wait()
            try:
                return audit.assign(own, "O1", assignee, by=assignee, expected=0)
            except PreconditionFailedError as error:
                return error

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(write, [ada, obi]))
        (won,) = [result for result in done if isinstance(result, Standing)]
        assert now(connection) == won
        assert len(audit.history(connection, "O1")) == 1
        connection.execute("ALTER TABLE audit_tracking DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM audit_tracking WHERE officer_id IS NOT NULL")


def test_two_officers_do_not_disturb_each_other(connection: psycopg.Connection, ada: int) -> None:
    audit.assign(connection, "O1", ada, by=ada, expected=0)
    audit.assign(connection, "O2", ada, by=ada, expected=0)
    assert {name: it.audit_status for name, it in audit.standing(connection, ["O1", "O2"]).items()} == {
        "O1": "Assigned",
        "O2": "Assigned",
    }


@pytest.mark.parametrize("active", [None, False])
def test_an_audit_goes_to_active_members_only(connection: psycopg.Connection, ada: int, active: bool) -> None:
    obi = member(connection, "obi") if active is False else 999
    if active is False:
        members.set_active(connection, obi, False, "user:test")
    with pytest.raises(UsageError, match="assignee_id: no active team member"):
        audit.assign(connection, "O1", obi, by=ada, expected=0)


@pytest.mark.parametrize(
    ("notes", "message"),
    [("x" * 4_001, "longer than 4,000"), ("a\0b", "character"), ("a\ud800b", "character")],
)
def test_notes_that_cannot_be_kept(
    connection: psycopg.Connection, ada: int, notes: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        audit.set_status(connection, "O1", "Assigned", notes, by=ada, expected=0)
    assert now(connection).version == 0


def test_an_action_needs_a_type(connection: psycopg.Connection, ada: int) -> None:
    with pytest.raises(UsageError, match="action_type is empty"):
        audit.act(connection, "O1", "  ", None, by=ada, expected=0)


def test_an_unknown_status_is_answered_with_the_nearest(connection: psycopg.Connection, ada: int) -> None:
    with pytest.raises(UsageError, match="did you mean Resolved"):
        audit.set_status(connection, "O1", "Resolve", None, by=ada, expected=0)


def test_history_tells_who_did_what_newest_first(connection: psycopg.Connection, ada: int) -> None:
    audit.assign(connection, "O1", ada, by=ada, expected=0)
    audit.set_status(connection, "O1", "In Progress", "look", by=ada, expected=now(connection).version)
    audit.act(connection, "O1", "Call", "rang", by=ada, expected=now(connection).version)
    told = [
        (row["event"], row["actor_name"], row["audit_status"], row["action_type"], row["reason"])
        for row in audit.history(connection, "O1")
    ]
    assert told == [
        ("action", "Ada", "In Progress", "Call", "rang"),
        ("status", "Ada", "In Progress", None, "look"),
        ("assigned", "Ada", "Assigned", None, None),
    ]
    assert now(connection).audit_notes == "look"
    assert len(audit.history(connection, "O1", 1)) == 1
    with pytest.raises(NotFoundError):
        audit.history(connection, "O9")


def test_the_version_of_everything_moves_with_every_write(connection: psycopg.Connection, ada: int) -> None:
    before = audit.version(connection)
    after = audit.assign(connection, "O1", ada, by=ada, expected=0)
    assert audit.version(connection) == after.version == before + 1


def test_a_request_sent_again_is_answered_as_before(connection: psycopg.Connection, ada: int) -> None:
    first = audit.act(connection, "O1", "Call", "rang", by=ada, expected=0, key="k")
    assert audit.act(connection, "O1", "Call", "rang", by=ada, expected=0, key="k") == first
    assert audit.act(connection, "O1", "Call", "rang", by=ada, expected=first.version, key="k") == first
    assert len(audit.history(connection, "O1")) == 1


@pytest.mark.parametrize("change", [{"action_type": "Visit"}, {"notes": "rang twice"}, {"officer_id": "O2"}])
def test_a_key_stands_for_one_request(
    connection: psycopg.Connection, ada: int, change: dict[str, str]
) -> None:
    asked: dict[str, Any] = {"officer_id": "O1", "action_type": "Call", "notes": "rang"}
    audit.act(connection, **asked, by=ada, expected=0, key="k")
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        audit.act(connection, **{**asked, **change}, by=ada, expected=0, key="k")


def test_a_key_is_its_members_own(connection: psycopg.Connection, ada: int) -> None:
    obi = member(connection, "obi")
    first = audit.act(connection, "O1", "Call", None, by=ada, expected=0, key="k")
    second = audit.act(connection, "O1", "Call", None, by=obi, expected=first.version, key="k")
    assert second.version > first.version


def test_a_refused_request_leaves_its_key_free(connection: psycopg.Connection, ada: int) -> None:
    with pytest.raises(PreconditionFailedError):
        audit.act(connection, "O1", "Call", None, by=ada, expected=7, key="k")
    assert audit.act(connection, "O1", "Call", None, by=ada, expected=0, key="k").version


def test_the_same_request_twice_at_once_is_recorded_once(
    database: str, connection: psycopg.Connection, ada: int
) -> None:
    gate = threading.Barrier(2)

    def send(_: int) -> audit.Action:
        with connect(database) as own:
            gate.wait()
            return audit.act(own, "O1", "Call", None, by=ada, expected=0, key="k")

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(send, range(2))
    assert first == second
    assert len(audit.history(connection, "O1")) == 1


def test_an_action_keeps_what_its_author_saw(sample: str) -> None:
    """The riskiest loans are the engine's own, to the last bit; the figures are the published row, whole."""
    scored = engine_loans.states(Book(support.sample_facts(), support.SAMPLE_DAY, Policy())).filter(
        on_book=True
    )
    with connect(sample) as connection:
        by = member(connection, "ada")
        names: dict[str, str | None] = dict(
            connection.execute("SELECT loan_id, customer_name FROM loans").fetchall()
        )
        (officers,) = connection.execute("SELECT array_agg(officer_id) FROM officer_metrics_daily").fetchall()
        for officer in officers[0]:
            made = audit.act(connection, officer, "Call", None, by=by, expected=0)
            theirs = scored.filter(officer_id=officer).sort(
                ["loan_risk_score", "total_outstanding", "loan_id"], descending=[True, True, False]
            )
            expected = theirs.head(20).select(
                "loan_id", "loan_risk_score", "current_dpd", "total_outstanding"
            )
            assert [
                (loan.loan_id, loan.loan_risk_score, loan.current_dpd, int(loan.outstanding_balance * 100))
                for loan in made.top_risk_loans
            ] == expected.rows()
            assert all(loan.customer_name == names[loan.loan_id] for loan in made.top_risk_loans)
        rows = connection.execute(
            "SELECT a.figures = to_jsonb(f), a.run_id = f.run_id, a.new_value::text LIKE '%customer%'"
            " FROM audit_tracking a JOIN officer_metrics_daily f USING (officer_id)"
        ).fetchall()
        assert rows == [(True, True, False)] * len(officers[0])
        assert verify(connection).fault is None


def test_loans_of_nobody_are_unassigneds(small: str) -> None:
    with connect(small) as connection:
        connection.execute("UPDATE loans SET officer_id = NULL WHERE loan_id IN ('L1', 'L2')")
        connection.execute(
            "INSERT INTO loan_state SELECT loan_id, disbursement_date, 'schedule', true, NULL, 5, '1-6', 5, NULL,"
            " NULL, NULL, NULL, NULL, 1, 0, 0, 1, 1, 0, 0, 0, 0, false, false, 0 FROM loans"
        )
        connection.execute("INSERT INTO officers (officer_id) VALUES (%s)", [UNASSIGNED])
        by = member(connection, "ada")
        made = audit.act(connection, UNASSIGNED, "Call", None, by=by, expected=0)
    assert [loan.loan_id for loan in made.top_risk_loans] == ["L1", "L2"]
