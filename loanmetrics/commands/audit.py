"""The audit chain: does it hold, and what was done about an officer."""

from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.errors import LoanmetricsError, UsageError

if TYPE_CHECKING:
    from loanmetrics.store.audit import Head

audit = typer.Typer(help="Look at the audit chain.", no_args_is_help=True, rich_markup_mode=None)


@audit.command("verify")
def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="ROW:HASH", help="Where the chain ended once, as noted down outside the database."
        ),
    ] = None,
) -> None:
    """Walk the audit chain; exit 1 and name the first bad row if any was changed or removed."""
    from loanmetrics import console
    from loanmetrics.jobs import audit as job

    found = job.verify(shared.settings(), *_head(head))
    if found.fault:
        raise LoanmetricsError(
            f"the audit chain is broken: {found.fault.what}", f"{found.rows:,} rows before it hold"
        )
    console.say(
        f"the audit chain holds: {found.rows:,} rows, {found.anchors:,} anchors\n"
        f"it ends at {found.head.audit_id}:{found.head.row_hash}"
    )


@audit.command("history")
def history(
    officer: Annotated[str, typer.Argument(metavar="OFFICER", help="The officer's id.", show_default=False)],
) -> None:
    """What was done about an officer, newest first."""
    from loanmetrics import console
    from loanmetrics.jobs import audit as job

    rows = [
        {
            "row": row["audit_id"],
            "at": f"{row['recorded_at']:%Y-%m-%d %H:%M:%S} UTC",
            "event": row["event"],
            "by": row["actor_name"] or row["actor"],
            "assignee": row["assignee_name"],
            "status": row["audit_status"],
            "action": row["action_type"],
            "notes": row["reason"],
            "run": row["run_id"],
        }
        for row in job.officer_history(shared.settings(), officer)
    ]
    if rows:
        console.show_rows(rows, {"row": "bigint"})
    else:
        console.note(f"nothing was done about officer {officer} yet")


def _head(text: str | None) -> "list[Head]":
    """No head, or one."""
    from loanmetrics.store.audit import Head

    if text is None:
        return []
    row, _, row_hash = text.partition(":")
    if not row.isdecimal() or not row_hash:
        raise UsageError(f"{text} is no end of a chain", "--head 41:9f86d0818884..., as verify prints it")
    return [Head(int(row), row_hash)]
