"""The catalogue, the runs, the database, the settings."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import BREAK_KINDS, PolicyFile
from loanmetrics.formatting import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loanmetrics.jobs.held_back import HeldBack
    from loanmetrics.jobs.run_report import RunReport

RUN_KINDS = {"rows": "bigint", "took": "seconds"}
MOST_OFFICERS = 20

config = typer.Typer(help="Look at the settings and the policy.", no_args_is_help=True, rich_markup_mode=None)


def metrics(
    name: Annotated[str | None, typer.Argument(help="One metric or measure, in full.")] = None,
) -> None:
    """The catalogue: what each metric and measure means; with a name, its formula and bands."""
    from loanmetrics import console
    from loanmetrics.jobs import catalogue

    if name is None:
        console.show_rows(catalogue.metrics())
        console.say("")
        console.show_rows(catalogue.measures())
        console.note("formula, bands and needs of one: loanmetrics metrics NAME")
    else:
        console.say(catalogue.describe(name))


def runs(
    run: Annotated[
        str | None,
        typer.Argument(
            help="One run in full: rows held back, what they could change at most, ledger breaks."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
) -> None:
    """The newest runs, with what became of them; with a run, what is behind its figures."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    if run is not None:
        from loanmetrics.jobs import run_report

        _print_run(run_report.report(shared.settings(), run))
        return
    rows, reasons = database.runs(shared.settings(), limit)
    console.show_rows(rows, RUN_KINDS, below=reasons)


def _print_run(told: "RunReport") -> None:
    from loanmetrics import console

    console.show_rows([told.run], RUN_KINDS, below=[told.reason])
    console.say(f"loans computed twice: {told.computed_twice:,}")
    if told.breaks:
        console.say("\nthe general ledger differs:")
        console.show_rows(told.breaks, BREAK_KINDS)
    if told.held is None:
        console.note("its facts are no longer kept: what it held back cannot be told")
    elif len(told.held.rules):
        _print_held(told.held, told.figures)


def _print_held(held: "HeldBack", figures: "Sequence[Mapping[str, Any]]") -> None:
    from loanmetrics import console

    money = dict.fromkeys(("money", "owed", "paid"), "money")
    counts = dict.fromkeys(("rows", "loans", "entries", "installments"), "bigint")
    console.say("\nheld back, with all the money that these rows speak of:")
    console.show_rows(held.rules.to_dicts(), {**money, **counts})
    console.say("\nthey could change these figures of the book by so much at most:")
    console.show_rows([_cells(row) for row in figures], dict.fromkeys(("published", "at_most"), "right"))
    console.say("\nand so much of their officers', most first:")
    console.show_rows(held.officers.head(MOST_OFFICERS).to_dicts(), {**money, **counts})
    if len(held.officers) > MOST_OFFICERS:
        console.say(f"and {len(held.officers) - MOST_OFFICERS:,} officers more")
    for what, rows in held.unbounded.items():
        console.say(f"not bounded, {rows:,} {what}")


def _cells(row: "Mapping[str, Any]") -> dict[str, str]:
    kind = "money" if row["kind"] == "money" else "bigint"
    bound = "not bounded" if row["at_most"] is None else cell(row["at_most"], kind)
    return {"measure": row["measure"], "published": cell(row["published"], kind), "at_most": bound}


def migrate() -> None:
    """Bring the database up to date."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    done = database.migrate(shared.settings())
    console.say("\n".join(done) if done else "the database is up to date")


@config.command("check")
def check_config(policy: PolicyFile = None) -> None:
    """Read the settings and the policy, and reach the database."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    settings = shared.settings()
    chosen = shared.policy(settings, policy)
    console.say(f"policy {chosen.hash}: fine\ndatabase: {database.server(settings)}")


@config.command("show")
def show_config(policy: PolicyFile = None) -> None:
    """Print the settings (secrets masked) and the policy."""
    from loanmetrics import console

    settings = shared.settings()
    console.say(f"{settings.describe()}\n\n# policy\n{shared.policy(settings, policy).to_toml()}")
