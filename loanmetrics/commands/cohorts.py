"""Loans that started together, and where they went."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf, FormatOption, Output
from loanmetrics.formatting import cell

if TYPE_CHECKING:
    import polars as pl

    from loanmetrics.export import About
    from loanmetrics.jobs.cohorts import Cohorts
    from loanmetrics.jobs.days import Where

Officers = Annotated[list[str] | None, typer.Option("--officer", help="Only this officer; may be repeated.")]
Regions = Annotated[list[str] | None, typer.Option("--region", help="Only this region; may be repeated.")]
Branches = Annotated[list[str] | None, typer.Option("--branch", help="Only this branch; may be repeated.")]


class What(StrEnum):
    """What a table on the screen counts."""

    LOANS = "loans"
    MONEY = "money"


class By(StrEnum):
    """Whose loans a file keeps apart."""

    BOOK = "book"
    REGION = "region"
    BRANCH = "branch"
    OFFICER = "officer"


WhatOption = Annotated[What, typer.Option("--what", help="What a table counts; files have both.")]
Ratio = Annotated[str, typer.Argument(metavar="METRIC", help="A ratio of two sums over loans, e.g. fimr.")]
Whose = Annotated[By, typer.Option("--by", help="Whose ratios.")]
ByOption = Annotated[By, typer.Option("--by", help="Groups kept apart in a file.")]


def roll_matrix(
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="Where loans come from.")
    ],
    as_of: AsOf = None,
    officer: Officers = None,
    region: Regions = None,
    branch: Branches = None,
    what: WhatOption = What.LOANS,
    by: ByOption = By.BOOK,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """Of the loans in each DPD bucket on one day, where they stand on a later one; every row sums to 100 %."""
    from loanmetrics.jobs import cohorts as job

    question, where = job.matrix(first.date(), by.value), _where(officer, region, branch)
    found = job.shown(shared.settings(), question, shared.day(as_of), where)
    about = found.about("Roll matrix", since=first.date(), by=by.value, **_given(officer, region, branch))
    if _written(found, about, format_, output):
        return
    share = "loans_share" if what is What.LOANS else "balance_share"
    size = "loans" if what is What.LOANS else "balance"
    _wide(
        found.rows, by, f"from {first.date()} to {found.day}", "from_dpd_bucket", "to_dpd_bucket", share, size
    )


def vintages(
    dpd: Annotated[int, typer.Option(min=0, help="Ever more days past due than this.")] = 30,
    as_of: AsOf = None,
    officer: Officers = None,
    region: Regions = None,
    branch: Branches = None,
    what: WhatOption = What.LOANS,
    by: ByOption = By.BOOK,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """By month of disbursement and months on book, the share of loans that were ever so late; blank if too young."""
    from loanmetrics.jobs import cohorts as job

    question, where = job.ever(dpd, by.value), _where(officer, region, branch)
    found = job.shown(shared.settings(), question, shared.day(as_of), where)
    about = found.about("Vintages", dpd=dpd, by=by.value, **_given(officer, region, branch))
    if _written(found, about, format_, output):
        return
    share = "ever_loans_share" if what is What.LOANS else "ever_amount_share"
    size = "loans" if what is What.LOANS else "amount"
    _wide(
        found.rows,
        by,
        f"ever over {dpd} days past due by {found.day}",
        "vintage",
        "months_on_book",
        share,
        size,
    )


def certainty(
    metric: Ratio,
    as_of: AsOf = None,
    by: Whose = By.OFFICER,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """How much a ratio of few loans can be trusted: intervals, funnel limits, and who stands out of them."""
    from loanmetrics.jobs import cohorts as job

    found = job.shown(shared.settings(), job.trust(metric, by.value), shared.day(as_of))
    _long(found, found.about("Certainty", metric=metric, by=by.value), format_, output)


def peers(
    metric: Ratio,
    as_of: AsOf = None,
    by: Whose = By.OFFICER,
    trait: Annotated[
        list[str] | None,
        typer.Option(
            "--trait",
            help="What tells kinds of loans apart: region, channel, size, term, age; may be repeated. "
            "Default: all but channel.",
        ),
    ] = None,
    format_: FormatOption = None,
    output: Output = None,
) -> None:
    """How a ratio compares with what the whole book's loans of the same kinds do, and who still stands out."""
    from loanmetrics.engine.kinds import usual
    from loanmetrics.engine.run import GROUPS
    from loanmetrics.jobs import cohorts as job

    traits = trait or usual(GROUPS[by.value])
    found = job.shown(shared.settings(), job.adjusted(metric, by.value, traits), shared.day(as_of))
    _long(found, found.about("Peers", metric=metric, by=by.value, trait=traits), format_, output)


def _where(officer: list[str] | None, region: list[str] | None, branch: list[str] | None) -> "Where":
    from loanmetrics.jobs.days import Where

    return Where(officer or (), region or (), branch or ())


def _given(
    officer: list[str] | None, region: list[str] | None, branch: list[str] | None
) -> dict[str, list[str] | None]:
    return {"officer_id": officer, "region": region, "branch": branch}


def _long(found: "Cohorts", about: "About", format_: shared.Format | None, output: Path | None) -> None:
    """One line for each group, all that is known of it."""
    from loanmetrics.display.kinds import COHORTS

    columns = ",".join(found.rows.columns)
    shared.print_frame(found.rows, columns, format_, output, kinds=COHORTS, about=about)


def _written(found: "Cohorts", about: "About", format_: shared.Format | None, output: Path | None) -> bool:
    """Whether the result was asked for by a machine."""
    from loanmetrics.display.kinds import COHORTS

    if shared.format_of(format_, output) is shared.Format.TABLE:
        return False
    shared.print_frame(found.rows, "", format_, output, kinds=COHORTS, about=about)
    return True


def _wide(rows: "pl.DataFrame", by: By, title: str, down: str, across: str, share: str, size: str) -> None:
    """A table on the screen: one line for each group and cohort, a column for each place it went to."""
    from loanmetrics import console
    from loanmetrics.display.kinds import COHORTS
    from loanmetrics.engine.wide import wide

    console.say(f"{title}\n")
    kept = rows.drop("officer_name", strict=False)
    for group, lines in wide(kept, down, across, share, size):
        if by is not By.BOOK:
            console.say(f"{by} {group}")
        console.show_rows(
            [
                {name: cell(value, _kind(name, down, COHORTS[size])) for name, value in line.items()}
                for line in lines
            ],
            {down: "text"},
        )


def _kind(name: str, down: str, size: str) -> str:
    return {down: "text", "of": size}.get(name, "ratio")
