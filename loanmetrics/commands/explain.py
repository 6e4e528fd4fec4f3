"""Why a figure is what it is."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import AsOf
from loanmetrics.errors import UsageError
from loanmetrics.formatting import cell, level, step

if TYPE_CHECKING:
    from loanmetrics.engine.statement import Statement
    from loanmetrics.jobs.explain import Explained, Since

SCREEN = 20
MOST_PARTS = 5


def explain(
    officer: Annotated[str, typer.Argument(metavar="OFFICER", help="Whose figure.")],
    metric: Annotated[
        str, typer.Argument(metavar="METRIC", help="As in loanmetrics metrics, e.g. risk_score.")
    ],
    as_of: AsOf = None,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], metavar="DATE", help="How it came there since this day."
        ),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="The same as --as-of."),
    ] = None,
    loan: Annotated[
        str | None, typer.Option(metavar="ID", help="The installments and payments of one of the loans.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many loans to show.")] = SCREEN,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the loans, or with --from every cause, to this CSV, JSON or Parquet file."),
    ] = None,
) -> None:
    """Explain an officer's figure: what it is made of, down to loans and payments, and how it came there."""
    from loanmetrics.jobs import explain as job

    format_ = shared.format_of(None, output)
    settings, day = shared.settings(), _day(as_of, last)
    made = job.explain(settings, officer, metric, day, shared.day(first))
    if output:
        _write(made, output, format_)
    _print_figure(made)
    if made.since:
        _print_since(made.since, made)
    elif loan is None:
        _print_loans(made, job.named(settings, made.loans.head(limit)), limit)
    if loan is not None:
        _print_account(*job.loan(settings, loan, made.day))


def _day(as_of: datetime | None, last: datetime | None) -> date | None:
    if as_of and last and as_of != last:
        raise UsageError("--as-of and --to name two days", "give one of them")
    return shared.day(as_of or last)


def _write(made: "Explained", output: Path, format_: shared.Format) -> None:
    from loanmetrics import console
    from loanmetrics.export import About
    from loanmetrics.jobs import catalogue
    from loanmetrics.jobs.diff import in_units

    kinds, definitions = catalogue.kinds(), catalogue.definitions()
    given = {"officer_id": made.officer_id, "metric": made.metric.name}
    since = {"from": made.since.day, "known then by": made.since.run_id} if made.since else {}
    about = About("Why a figure is what it is", made.run_id, made.run_id, made.day, None, {**given, **since})
    if made.since:
        causes = in_units(made.since.causes, kinds)
        console.write_frame(causes, format_, output, {}, about, definitions)
    else:
        console.write_frame(made.loans, format_, output, kinds, about, definitions)


def _print_figure(made: "Explained") -> None:
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    metric, kinds = made.metric, catalogue.kinds()
    value = cell(made.value, kinds[metric.name]) if made.value is not None else metric.reason
    band = f", {made.band}" if made.value is not None and made.band else ""
    console.say(f"{metric.title} of {made.officer_id} as of {made.day}: {value}{band}")
    console.say(f"{metric.about} Run {made.run_id}.\n")
    if made.terms:
        rows = [
            {"term": term.name, "costs": f"{term.lost:.2f}", "of": str(term.weight), "share": term.share}
            for term in sorted(made.terms, key=lambda term: -term.lost)
        ]
        console.show_rows(rows, {"term": "text", "share": "text"})
    else:
        console.say(f"{metric.name} = {metric.formula}")
    console.say("")
    inputs = [{"made of": it.name, "value": cell(it.value, kinds[it.name])} for it in made.inputs]
    console.show_rows(inputs, {"made of": "text"})
    console.say("")


def _print_since(since: "Since", made: "Explained") -> None:
    from loanmetrics import console
    from loanmetrics.engine.diff.told import Changed, changed
    from loanmetrics.jobs import catalogue
    from loanmetrics.jobs.window import window

    kinds = catalogue.kinds()

    def rows(figure: Changed) -> list[dict[str, Any]]:
        kind = kinds[figure.name]
        opening = {"": f"on {since.day}", figure.name: level(figure.before, kind), "times": ""}
        between = [
            {"": cause.name, figure.name: step(cause.effect, kind), "times": f"{cause.times:,}"}
            for cause in figure.causes
        ]
        return [
            opening,
            *between,
            {"": f"on {made.day}", figure.name: level(figure.after, kind), "times": ""},
        ]

    found = changed(since.causes)
    if not found:
        console.say(f"nothing of it changed since {since.day}")
    for figure in found:
        console.show_rows(rows(figure), {"": "text"})
        if told := window(figure):
            console.say(told)
        console.say("")
    if len(since.parts) > 1:
        _print_parts(since)


def _print_parts(since: "Since") -> None:
    from loanmetrics import console

    console.say("The ratio by place: what its own ratios did, and what their weights did.")
    console.show_rows(
        [
            {
                "place": part.name,
                **{name: _percent(value) for name, value in (("before", part.before), ("after", part.after))},
                "rate": f"{float(part.rate):+.2%}",
                "mix": f"{float(part.mix):+.2%}",
            }
            for part in since.parts[:MOST_PARTS]
        ],
        {"place": "text"},
    )


def _percent(value: Any) -> str:
    return "-" if value is None else f"{float(value):.2%}"


def _print_loans(made: "Explained", named: Any, limit: int) -> None:
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    if named.is_empty():
        console.note("no loan adds to it")
        return
    first = ("loan_id", "customer_name", "customer_phone", "branch", "disbursement_date")
    console.show_frame(named, catalogue.kinds(), {}, columns=[*first, *_telling(named, made)])
    if len(made.loans) > limit:
        console.note(f"{len(made.loans) - limit:,} more loans: --limit N or --output FILE")
    console.note("--from DATE tells how it came there; --loan ID shows a loan's installments and payments")


def _telling(named: Any, made: "Explained") -> list[str]:
    """Measures that any of the shown loans adds to, as many as a screen takes."""
    return [name for name in made.measures if (named[name] != 0).any()][:MOST_PARTS]


def _print_account(day: date, account: "Statement") -> None:
    from loanmetrics import console
    from loanmetrics.display.kinds import ACCOUNT

    loan = account.loan
    stands = f"{loan['current_dpd']} days past due" if loan["on_book"] else str(loan["closed_as"])
    owed = cell(loan["total_outstanding"], "money")
    console.say(
        f"loan {loan['loan_id']}, disbursed {loan['disbursement_date']}, on {day}: {stands}, owes {owed}"
    )
    for frame, hidden in ((account.installments, ("cumulative",)), (account.payments, ("recorded_at",))):
        console.say("")
        console.show_frame(frame, ACCOUNT, {}, columns=[name for name in frame.columns if name not in hidden])
