"""Since when the audits of officers stand as they do, followed row by row of the chain."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import psycopg

# Nothing that shows audits is different after these; after anything else without an officer, all of it may be.
SILENT = (
    *("login", "login_failed", "logout", "refresh_reused", "token_issued", "key_rotated"),
    *("export", "loaded", "policy", "migrated"),
)
# The last row known is read again: a database that was restored or promoted may have gone another way since.
SINCE = """
    SELECT audit_id, row_hash, officer_id, event FROM audit_tracking WHERE audit_id >= %s ORDER BY audit_id
"""
LAST = "SELECT audit_id, row_hash FROM audit_tracking ORDER BY audit_id DESC LIMIT 1"
NEWEST = """
    SELECT officer_id, max(audit_id) FROM audit_tracking WHERE officer_id IS NOT NULL OR event <> ALL(%s) GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Versions:
    """The newest row of the chain about each officer, and the newest that may concern all of them.

    ``last`` is the last row known: where to go on.
    """

    officers: Mapping[str, int] = field(default_factory=dict)
    everybody: int = 0
    last: tuple[int, str] | None = None

    def of(self, officers: Collection[str] | None) -> int:
        """Changes with whatever shows the audits of these officers; None: of any."""
        shown = self.officers.values() if officers is None else (self.officers.get(it, 0) for it in officers)
        return max(self.everybody, max(shown, default=0))


def follow(connection: psycopg.Connection, known: Versions) -> Versions:
    """With what was appended meanwhile. Ids become visible in their order: writers wait for each other."""
    rows = connection.execute(SINCE, [known.last[0]]).fetchall() if known.last else []
    if not rows or rows[0][:2] != known.last:
        return _begun(connection)
    if len(rows) == 1:
        return known
    officers, everybody = dict(known.officers), known.everybody
    for audit_id, _, officer_id, event in rows[1:]:
        if officer_id is not None:
            officers[officer_id] = audit_id
        elif event not in SILENT:
            everybody = audit_id
    return Versions(officers, everybody, rows[-1][:2])


def _begun(connection: psycopg.Connection) -> Versions:
    """Rows appended between the two questions are met again, and change nothing then."""
    last = connection.execute(LAST).fetchone()
    newest: dict[str | None, int] = dict(connection.execute(NEWEST, [list(SILENT)]).fetchall())
    everybody = newest.get(None, 0)
    officers = {officer_id: audit_id for officer_id, audit_id in newest.items() if officer_id is not None}
    return Versions(officers, everybody, (last[0], last[1]) if last else None)
