"""Exports leave the house: who took what is in the audit chain, and each notes where the chain stood."""

from collections.abc import Mapping

from psycopg import Connection

from loanmetrics.store import audit


def record(
    connection: Connection, what: str, run_id: str, filters: Mapping[str, object], by: int | None
) -> None:
    """Append an export to the chain and anchor the chain by it; ``by`` a team member, or whoever is at the terminal."""
    with connection.transaction():
        row = audit.append(
            connection,
            event="export",
            actor=audit.operator() if by is None else audit.member(by),
            new_value={"list": what, "filters": dict(filters)},
            run_id=run_id,
        )
        audit.anchor(connection, "export", str(row["audit_id"]))
