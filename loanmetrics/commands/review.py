"""Whose payments ask for a closer look, and which payments they are."""

from typing import Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.cohorts import By, Officers
from loanmetrics.commands.shared import AsOf, FormatOption, Output
from loanmetrics.errors import UsageError

RATES = ("opportunities", "hits", "rate", "base_rate", "funnel_high", "chance", "stands")
HITS = ("officer_id", "loan_id", "repayment_id", "amount", "seen")


def review(
    rule: Annotated[
        str | None, typer.Argument(metavar="[RULE]", help="One rule, e.g. backdated; all by default.")
    ] = None,
    officer: Officers = None,
    hits: Annotated[
        bool, typer.Option("--hits", help="Each payment that met a rule, with evidence.")
    ] = False,
    by: Annotated[By, typer.Option("--by", help="Whose rates.")] = By.OFFICER,
    as_of: AsOf = None,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """How often each officer's payments meet a review rule, beside the book's rate; a hit is a question, no verdict."""
    from loanmetrics.display.kinds import REVIEW
    from loanmetrics.engine.run import GROUPS
    from loanmetrics.jobs import cohorts
    from loanmetrics.jobs import review as job
    from loanmetrics.jobs.days import Where

    settings, day, where = shared.settings(), shared.day(as_of), Where(officer or ())
    if officer and by is not By.OFFICER:
        raise UsageError("--officer picks among officers", "leave out --by")
    columns: tuple[str, ...]
    if hits:
        found = job.told(settings, rule, day, where)
        columns, title = HITS, "Review hits"
    else:
        found = cohorts.shown(settings, job.rates(rule, by.value, where), day)
        columns, title = (*GROUPS[by.value], *RATES), "Review"
    chosen = shared.format_of(format_, output)
    named = ",".join(columns if rule else ("rule", *columns)) if chosen is shared.Format.TABLE else ""
    about = found.about(title, rule=rule, by="" if hits else by.value, officer_id=officer)
    shared.print_frame(found.rows, named, format_, output, kinds=REVIEW, about=about)
