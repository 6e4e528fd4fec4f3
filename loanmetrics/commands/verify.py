"""A second opinion on what is published."""

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf
from loanmetrics.errors import GateError


def verify(as_of: AsOf = None) -> None:
    """Hold what is published to a second engine, its sums, the audit chain and the schema; exit 4 if it fails."""
    from loanmetrics import console
    from loanmetrics.jobs import verify as job

    checks = job.verify(shared.settings(), shared.day(as_of))
    console.show_rows(
        [{"check": it.name, "result": "wrong" if it.wrong else "fine", "what": it.said} for it in checks]
    )
    wrong = [f"{it.name}: {line}" for it in checks for line in it.wrong]
    if wrong:
        console.say("\n".join(["", *wrong[: job.NAMED]]))
        raise GateError(
            f"{len(wrong):,} figures or rows do not hold",
            "they are as published: compute again, or look into it",
        )
