"""Access tokens for scripts, made on the machine itself, and the keys that sign them."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from loanmetrics.commands import shared
from loanmetrics.commands.members import Email
from loanmetrics.errors import UsageError

ISSUE = "issue"


class _Tokens(TyperGroup):
    """``token EMAIL`` is short for ``token issue EMAIL``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [ISSUE, *args]
        return super().parse_args(ctx, args)


token = typer.Typer(
    cls=_Tokens,
    help="Make an access token for a script: loanmetrics token EMAIL.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@token.command(ISSUE)
def issue(
    email: Email,
    hours: Annotated[float, typer.Option(help="How long it is good for, up to 720.")] = 24,
) -> None:
    """Print an access token of a member, which is told to the audit chain."""
    from loanmetrics import console

    _needed()
    from loanmetrics.http.tokens import Team, Tokens
    from loanmetrics.jobs import members as job

    settings = shared.settings()
    tokens = Tokens(settings, Team(dict))
    tokens.check_hours(hours)
    console.say(tokens.issue(job.token_holder(settings, email, hours), hours))


@token.command("rotate")
def rotate() -> None:
    """Sign with a new key from now on; tokens of the old one stay good until they run out."""
    from loanmetrics import console

    _needed()
    from loanmetrics.http.keys import OwnKeys
    from loanmetrics.http.tokens import keys_folder
    from loanmetrics.jobs import members as job

    settings = shared.settings()
    if settings.api_secret_file:
        raise UsageError(
            "tokens are signed with the secret of api_secret_file", "put another secret into that file"
        )
    kid = job.rotate_keys(settings, OwnKeys(keys_folder(settings)).rotate)
    console.say(f"signing with key {kid}")


def _needed() -> None:
    try:
        import joserfc  # noqa: F401
    except ImportError:
        raise UsageError("access tokens need joserfc", "pip install 'loanmetrics[http]'") from None
