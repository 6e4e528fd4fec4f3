"""The audit of each officer as it stands: the officer's last row of the chain says it whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

UNASSIGNED, ASSIGNED, IN_PROGRESS, RESOLVED = "Unassigned", "Assigned", "In Progress", "Resolved"
CURRENT = """
    SELECT wanted.officer_id, last.audit_id, last.new_value, member_name
    FROM unnest(%s::text[]) AS wanted (officer_id)
    CROSS JOIN LATERAL (
        SELECT audit_id, new_value FROM audit_tracking
        WHERE officer_id = wanted.officer_id ORDER BY audit_id DESC LIMIT 1
    ) AS last
    LEFT JOIN team_members ON member_id = (last.new_value ->> 'assignee_id')::bigint
"""
MOMENTS = ("assigned_at", "status_changed_at", "last_audit_at")


@dataclass(frozen=True, slots=True)
class Standing:
    """Who audits an officer and how far it has come; ``version`` is the officer's last row of the chain, 0 without one.

    ``last_audit_at``: the last change of status by hand, or the last action; being assigned is no audit.
    """

    officer_id: str
    version: int = 0
    assignee_id: int | None = None
    assignee_name: str | None = None
    audit_status: str = UNASSIGNED
    audit_notes: str | None = None
    assigned_at: datetime | None = None
    status_changed_at: datetime | None = None
    last_audit_at: datetime | None = None

    def told(self) -> dict[str, Any]:
        """As the chain keeps it: without names, which people may ask to have removed."""
        moments = {name: getattr(self, name) for name in MOMENTS}
        return {
            "assignee_id": self.assignee_id,
            "audit_status": self.audit_status,
            "audit_notes": self.audit_notes,
            **{name: moment and moment.isoformat() for name, moment in moments.items()},
        }


def current(connection: psycopg.Connection, officer_ids: Sequence[str]) -> dict[str, Standing]:
    """How the audits of these officers stand; of one never touched, as nobody's."""
    rows = connection.execute(CURRENT, [list(officer_ids)])
    found = {officer: _standing(officer, *rest) for officer, *rest in rows}
    return {officer: found.get(officer) or Standing(officer) for officer in officer_ids}


def _standing(officer_id: str, version: int, told: Mapping[str, Any], assignee_name: str | None) -> Standing:
    moments = {name: datetime.fromisoformat(told[name]) if told[name] else None for name in MOMENTS}
    return Standing(
        officer_id,
        version,
        told["assignee_id"],
        assignee_name,
        told["audit_status"],
        told["audit_notes"],
        **moments,
    )
