"""Looking after the team: who may come in, and by which password."""

import sys
from enum import StrEnum
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loanmetrics.commands import shared
from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    from loanmetrics.store.members import Member

members = typer.Typer(help="Look after the team.", no_args_is_help=True, rich_markup_mode=None)

Email = Annotated[
    str, typer.Argument(metavar="EMAIL", help="The member's e-mail address.", show_default=False)
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File with the password; without it, it is asked for, or read from a pipe."),
]


class AccessRole(StrEnum):
    """What a member may do: look, audit, or look after the team too."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    ADMIN = "admin"


@members.command("add")
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="The member's name.")],
    role: Annotated[AccessRole, typer.Option(help="What the member may do.")],
    department: Annotated[str | None, typer.Option(help="Where the member works.")] = None,
    title: Annotated[str | None, typer.Option(help="What the member is called; default: the role.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Take a member on."""
    from loanmetrics.jobs import members as job

    settings, password = shared.settings(), _password(password_file)
    made = job.add(settings, email, name, role.value, password, title=title, department=department)
    _say(made, f"added as {made.access_role}")


@members.command("list")
def list_(
    full: Annotated[bool, typer.Option("--full", help="Show e-mail addresses whole.")] = False,
) -> None:
    """Who is in the team."""
    from loanmetrics import console
    from loanmetrics.jobs import members as job

    rows = [
        {
            "member": member.member_id,
            "name": member.name,
            "email": member.email if full else job.masked(member.email),
            "role": member.role,
            "department": member.department,
            "may": member.access_role,
            "active": member.is_active,
        }
        for member in job.team(shared.settings())
    ]
    if rows:
        console.show_rows(rows, {"member": "bigint", "active": "bool"})
    else:
        console.note("nobody yet: loanmetrics members add EMAIL --name NAME --role admin")


@members.command("disable")
def disable(email: Email) -> None:
    """Keep a member out: tokens end within a minute."""
    from loanmetrics.jobs import members as job

    _say(job.set_active(shared.settings(), email, False), "kept out; tokens end within a minute")


@members.command("enable")
def enable(email: Email) -> None:
    """Let a member in again."""
    from loanmetrics.jobs import members as job

    _say(job.set_active(shared.settings(), email, True), "let in again")


@members.command("set-role")
def set_role(
    email: Email, role: Annotated[AccessRole, typer.Argument(help="What the member may do.")]
) -> None:
    """Change what a member may do."""
    from loanmetrics.jobs import members as job

    _say(job.set_access_role(shared.settings(), email, role.value), f"may do what a {role.value} may")


@members.command("set-password")
def set_password(email: Email, password_file: PasswordFile = None) -> None:
    """Give a member another password; whoever is logged in has to log in again."""
    from loanmetrics.jobs import members as job

    settings, password = shared.settings(), _password(password_file)
    _say(job.set_password(settings, email, password), "has another password")


def _say(member: "Member", what: str) -> None:
    from loanmetrics import console

    console.say(f"member {member.member_id}: {what}")


def _password(file: Path | None) -> str:
    """Never an argument: those are seen by everybody on the machine."""
    if file:
        return _line(_text(file))
    if not sys.stdin.isatty():
        return _line(sys.stdin.readline())
    first, second = getpass("password: "), getpass("once more: ")
    if first != second:
        raise UsageError("the passwords differ")
    return first


def _line(text: str) -> str:
    """A file or a pipe ends its line; the password does not."""
    return text.removesuffix("\n").removesuffix("\r")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text") from None
