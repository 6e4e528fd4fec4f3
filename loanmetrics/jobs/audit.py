"""Auditing officers: who audits whom, how far it has come, and what was done about it.

An officer's audit is Unassigned, Assigned, In Progress or Resolved. It is Unassigned exactly while it has no assignee:

- giving it to a member makes an Unassigned one Assigned; in any other status it only changes hands;
- taking it from a member makes it Unassigned, whatever it was: what was found stays in the history;
- by hand it moves Unassigned -> Assigned -> In Progress -> Resolved -> In Progress, one step at a time; a member who
  moves an Unassigned one to Assigned takes it himself;
- an action is recorded in any status and leaves it as it is.

Every write names the version of the audit its writer had seen, and is refused if another came first.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from loanmetrics.errors import ConflictError, NotFoundError, PreconditionFailedError, UsageError, unknown
from loanmetrics.jobs.database import opened
from loanmetrics.settings import Settings
from loanmetrics.store import audit, audit_check, requests
from loanmetrics.store.audit import Head, Row
from loanmetrics.store.audit_check import ChainReport
from loanmetrics.store.canonical import canonical
from loanmetrics.store.members import by_id
from loanmetrics.store.officer_audit import Standing, current
from loanmetrics.store.seen import RiskLoan, known, named, seen
from loanmetrics.store.session import connect
from loanmetrics.tables import AUDIT_STATUSES

MOVES = {
    ("Unassigned", "Assigned"),
    ("Assigned", "In Progress"),
    ("In Progress", "Resolved"),
    ("Resolved", "In Progress"),
}
TOP_LOANS = 20
LONGEST_NOTE = 4_000
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Action:
    """An action on an officer as recorded, with the loans at risk that its author saw."""

    officer_id: str
    action_type: str
    action_notes: str | None
    action_at: datetime
    run_id: str | None
    version: int
    top_risk_loans: Sequence[RiskLoan]


def assign(
    connection: Connection, officer_id: str, assignee_id: int | None, *, by: int, expected: int
) -> Standing:
    """Give the officer's audit to a member, or with None take it from whoever has it."""
    with connection.transaction():
        before = _taken(connection, officer_id, expected)
        name = _assignee_name(connection, assignee_id)
        moment = audit.now(connection)
        status = before.audit_status
        if assignee_id is None:
            status = "Unassigned"
        elif status == "Unassigned":
            status = "Assigned"
        after = replace(
            before,
            assignee_id=assignee_id,
            assignee_name=name,
            assigned_at=None if assignee_id is None else moment,
            audit_status=status,
            status_changed_at=before.status_changed_at if status == before.audit_status else moment,
        )
        return _written(connection, "assigned", by, before, after, moment)


def set_status(
    connection: Connection, officer_id: str, status: str, notes: str | None, *, by: int, expected: int
) -> Standing:
    """Move the officer's audit one step on; the notes replace those of the step before."""
    if status not in AUDIT_STATUSES:
        raise unknown("audit_status", status, AUDIT_STATUSES)
    said = _text("audit_notes", notes, LONGEST_NOTE)
    with connection.transaction():
        before = _taken(connection, officer_id, expected)
        if (before.audit_status, status) not in MOVES:
            follows = [to for was, to in sorted(MOVES) if was == before.audit_status]
            raise ConflictError(
                f"an audit that is {before.audit_status} cannot become {status}",
                f"it can become {follows[0]}",
            )
        moment = audit.now(connection)
        after = replace(
            before, audit_status=status, audit_notes=said, status_changed_at=moment, last_audit_at=moment
        )
        if before.assignee_id is None:
            name = _assignee_name(connection, by)
            after = replace(after, assignee_id=by, assignee_name=name, assigned_at=moment)
        return _written(connection, "status", by, before, after, moment, reason=said)


def act(
    connection: Connection,
    officer_id: str,
    action_type: str,
    notes: str | None,
    *,
    by: int,
    expected: int,
    key: str | None = None,
) -> Action:
    """Record an action on the officer, with the figures and the riskiest loans its author saw.

    Sent again under the same ``key`` by the same member it is answered as before, without being recorded twice.
    """
    kind = _text("action_type", action_type, LONGEST_NAME)
    said = _text("action_notes", notes, LONGEST_NOTE)
    if kind is None:
        raise UsageError("action_type is empty", "say in a word or two what was done")
    request = requests.Request(audit.member(by), key, _digest("act", officer_id, kind, said)) if key else None
    with connection.transaction():
        audit.hold(connection)
        row = requests.answered(connection, request) if request else None
        if row is None:
            before = _taken(connection, officer_id, expected)
            row = _acted(connection, by, before, kind, said)
            if request:
                requests.remember(connection, request, row["audit_id"])
        return _action(row, named(connection, row["new_value"]["top_risk_loans"]))


def standing(connection: Connection, officer_ids: Sequence[str]) -> dict[str, Standing]:
    """How the audits of these officers stand, by officer."""
    return current(connection, officer_ids)


def history(connection: Connection, officer_id: str, limit: int | None = None) -> Sequence[Row]:
    """What was done about the officer, newest first."""
    if not known(connection, officer_id):
        raise NotFoundError(f"no officer {officer_id}")
    return audit.history(connection, officer_id, limit)


def version(connection: Connection) -> int:
    """The id of the chain's last row: whatever shows audits changes with it."""
    return audit.head(connection).audit_id


def verify(settings: Settings, noted: Head | None = None) -> ChainReport:
    """Walk the chain of the settings' database; ``noted`` is a head noted down elsewhere."""
    with opened(settings) as url, connect(url, "loanmetrics audit verify") as connection:
        return audit_check.verify(connection, noted)


def officer_history(settings: Settings, officer_id: str) -> Sequence[Row]:
    """The officer's history in the settings' database."""
    with opened(settings) as url, connect(url, "loanmetrics audit history") as connection:
        return history(connection, officer_id)


def _taken(connection: Connection, officer_id: str, expected: int) -> Standing:
    """The officer's audit as it stands, which nobody else can change until the transaction ends."""
    audit.hold(connection)
    if not known(connection, officer_id):
        raise NotFoundError(f"no officer {officer_id}")
    found = current(connection, [officer_id])[officer_id]
    if found.version != expected:
        raise PreconditionFailedError(
            f"the audit of officer {officer_id} has changed: it is at version {found.version}, not {expected}",
            "look at it again, then repeat what you want to do",
        )
    return found


def _written(
    connection: Connection,
    event: str,
    by: int,
    before: Standing,
    after: Standing,
    moment: datetime,
    reason: str | None = None,
) -> Standing:
    row = _append(connection, event, by, before, after, moment, reason=reason)
    return replace(after, version=row["audit_id"])


def _acted(connection: Connection, by: int, before: Standing, kind: str, notes: str | None) -> Row:
    moment = audit.now(connection)
    after = replace(before, last_audit_at=moment)
    return _append(connection, "action", by, before, after, moment, reason=notes, kind=kind, top=TOP_LOANS)


def _append(
    connection: Connection,
    event: str,
    by: int,
    before: Standing,
    after: Standing,
    moment: datetime,
    *,
    reason: str | None,
    kind: str | None = None,
    top: int = 0,
) -> Row:
    saw = seen(connection, before.officer_id, top)
    loans: dict[str, Any] = {"top_risk_loans": saw.loans} if top else {}
    return audit.append(
        connection,
        event=event,
        actor=audit.member(by),
        officer_id=before.officer_id,
        assignee_id=after.assignee_id,
        audit_status=after.audit_status,
        action_type=kind,
        reason=reason,
        old_value=before.told() if before.version else None,
        new_value={**after.told(), **loans},
        figures=saw.figures,
        run_id=saw.run_id,
        recorded_at=moment,
    )


def _action(row: Row, loans: Sequence[RiskLoan]) -> Action:
    return Action(
        row["officer_id"],
        row["action_type"],
        row["reason"],
        row["recorded_at"],
        row["run_id"],
        row["audit_id"],
        loans,
    )


def _assignee_name(connection: Connection, member_id: int | None) -> str | None:
    if member_id is None:
        return None
    found = by_id(connection, member_id)
    if found is None or not found.is_active:
        raise UsageError(f"assignee_id: no active team member {member_id}", "loanmetrics members list")
    return found.name


def _text(name: str, given: str | None, longest: int) -> str | None:
    """A text fit for the chain; blanks alone are none."""
    said = (given or "").strip()
    if len(said) > longest:
        raise UsageError(f"{name} is longer than {longest:,} characters")
    if "\0" in said or any("\ud800" <= letter <= "\udfff" for letter in said):
        raise UsageError(f"{name} holds a character that is none")
    return said or None


def _digest(*words: str | None) -> str:
    return hashlib.sha256(canonical(words).encode()).hexdigest()
