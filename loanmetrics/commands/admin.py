"""The catalogue, the runs, the database, the settings."""

from typing import Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.commands.shared import PolicyFile

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


def runs(limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20) -> None:
    """The newest runs, with what became of them."""
    from loanmetrics import console
    from loanmetrics.jobs import database

    rows, reasons = database.runs(shared.settings(), limit)
    console.show_rows(rows, {"rows": "bigint", "took": "seconds"}, below=reasons)


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
