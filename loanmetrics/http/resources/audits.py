"""The audits of officers: who does them, how far they are, what was done."""

import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from loanmetrics.http.fields import Field, Fields
from loanmetrics.http.parameters import Paging
from loanmetrics.http.problems import ProblemError, Wrong
from loanmetrics.http.routes import Answer, Asked
from loanmetrics.jobs import audit, members
from loanmetrics.jobs.listing import Listing
from loanmetrics.store.audit import Row
from loanmetrics.store.officer_audit import Standing

if TYPE_CHECKING:
    from psycopg import Connection

AuditStatus = Literal["Unassigned", "Assigned", "In Progress", "Resolved"]
VERSION = re.compile(r'"(\d{1,18})"')
KEY = re.compile(r"[A-Za-z0-9_-]{8,100}")
MEMBERS: Fields = (
    Field("member_id", "bigint", null=False),
    Field("member_name", "text", null=False),
    Field("role", "text", "What the member does at the lender"),
    Field("department", "text"),
    Field("is_active", "bool", null=False),
)


class MembersQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which team members."""

    is_active: bool | None = None
    role: str | None = None


class AssigneeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The team member who is to audit the officer; null takes the audit from whoever has it."""

    assignee_id: int | None


class StatusBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the audit is, and what there is to say."""

    audit_status: AuditStatus
    audit_notes: str | None = None


class ActionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was done about the officer."""

    action_type: str
    action_notes: str | None = None


class Assigned(msgspec.Struct, frozen=True):
    """Who audits an officer now."""

    officer_id: str
    assignee_id: int | None
    assignee_name: str | None
    assigned_date: datetime | None
    audit_status: AuditStatus
    version: int


class Status(msgspec.Struct, frozen=True):
    """How far an officer's audit is now."""

    officer_id: str
    audit_status: AuditStatus
    last_audit_date: datetime | None
    status_changed_date: datetime | None
    version: int


class RiskLoan(msgspec.Struct, frozen=True):
    """One of the officer's riskiest loans."""

    loan_id: str
    customer_name: str | None
    loan_amount: float
    outstanding_balance: float
    current_dpd: int
    loan_risk_score: float


class Action(msgspec.Struct, frozen=True):
    """What was done, and the riskiest loans its author saw."""

    officer_id: str
    action_type: str
    action_date: datetime
    run_id: str | None
    top_risk_loans: list[RiskLoan]
    version: int


class Event(msgspec.Struct, frozen=True):
    """One entry of an officer's audit history."""

    audit_id: int
    event: str
    at: datetime
    by: str | None
    assignee: str | None
    audit_status: AuditStatus | None
    action_type: str | None
    notes: str | None
    run_id: str | None


class Info(msgspec.Struct, frozen=True):
    """An officer's audit as it stands, and how it came to that; ``version`` is what If-Match wants."""

    version: int
    assignee: str | None
    assignee_id: int | None
    audit_status: AuditStatus
    last_audit_date: datetime | None
    audit_notes: str | None
    history: list[Event]


def info(connection: "Connection", officer_id: str) -> Info:
    """All there is to say of one officer's audit."""
    standing = audit.standing(connection, [officer_id])[officer_id]
    events = audit.history(connection, officer_id, limit=100) if standing.version else []
    return Info(
        version=standing.version,
        assignee=standing.assignee_name,
        assignee_id=standing.assignee_id,
        audit_status=standing.audit_status,  # type: ignore[arg-type]
        last_audit_date=standing.last_audit_at,
        audit_notes=standing.audit_notes,
        history=[_event(row) for row in events],
    )


def _event(row: Row) -> Event:
    return Event(
        audit_id=row["audit_id"],
        event=row["event"],
        at=row["recorded_at"],
        by=row["actor_name"],
        assignee=row["assignee_name"],
        audit_status=row["audit_status"],
        action_type=row["action_type"],
        notes=row["reason"],
        run_id=row["run_id"],
    )


def team(asked: Asked) -> Listing:
    """Those who can audit."""
    query: MembersQuery = asked.query
    with asked.desk.database() as connection:
        return members.listing(connection, query.is_active, query.role)


def assign(asked: Asked) -> Answer:
    """Give the officer's audit to a team member, or take it away."""
    body: AssigneeBody = asked.body
    with asked.desk.database() as connection:
        done = audit.assign(
            connection, _officer(asked), body.assignee_id, by=_by(asked), expected=_expected(asked)
        )
    told = Assigned(
        done.officer_id,
        done.assignee_id,
        done.assignee_name,
        done.assigned_at,
        done.audit_status,  # type: ignore[arg-type]
        done.version,
    )
    return Answer(told, headers=_tag(done))


def set_status(asked: Asked) -> Answer:
    """Move the officer's audit one step on."""
    body: StatusBody = asked.body
    with asked.desk.database() as connection:
        done = audit.set_status(
            connection,
            _officer(asked),
            body.audit_status,
            body.audit_notes,
            by=_by(asked),
            expected=_expected(asked),
        )
    told = Status(
        done.officer_id,
        done.audit_status,  # type: ignore[arg-type]
        done.last_audit_at,
        done.status_changed_at,
        done.version,
    )
    return Answer(told, headers=_tag(done))


def act(asked: Asked) -> Answer:
    """Record an action on the officer."""
    body: ActionBody = asked.body
    with asked.desk.database() as connection:
        done = audit.act(
            connection,
            _officer(asked),
            body.action_type,
            body.action_notes,
            by=_by(asked),
            expected=_expected(asked),
            key=_key(asked),
        )
    told = {
        "officer_id": done.officer_id,
        "action_type": done.action_type,
        "action_date": done.action_at,
        "run_id": done.run_id,
        "top_risk_loans": [_loan(loan) for loan in done.top_risk_loans],
        "version": done.version,
    }
    return Answer(told, headers={"ETag": f'"{done.version}"'})


def _loan(loan: Any) -> Mapping[str, Any]:
    return {name: getattr(loan, name) for name in RiskLoan.__struct_fields__}


def _officer(asked: Asked) -> str:
    return asked.path["officer_id"]


def _by(asked: Asked) -> int:
    assert asked.member.member_id is not None
    return asked.member.member_id


def _tag(standing: Standing) -> dict[str, str]:
    return {"ETag": f'"{standing.version}"'}


def _expected(asked: Asked) -> int:
    given = asked.headers["if-match"]
    if not given:
        raise ProblemError(
            HTTPStatus.PRECONDITION_REQUIRED,
            'If-Match is missing: give the audit version you saw, e.g. If-Match: "17"',
            (Wrong("If-Match", "is missing"),),
        )
    found = VERSION.fullmatch(given)
    if not found:
        raise ProblemError.bad("If-Match", 'must be the audit version you saw, e.g. "17"')
    return int(found[1])


def _key(asked: Asked) -> str:
    given = asked.headers["idempotency-key"]
    if not KEY.fullmatch(given):
        raise ProblemError.bad("Idempotency-Key", "must be 8 to 100 letters, digits, - or _")
    return given
