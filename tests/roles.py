"""The least privileges that are shipped, on a database of a test: roles of its own, made from the shipped file."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

FILE = Path(__file__).parent.parent / "deploy" / "postgres" / "roles.sql"
NAMES = ("reader", "writer", "api")


@dataclass(frozen=True)
class Roles:
    """A login in each role, for the database at ``url``."""

    url: str
    prefix: str
    password: str

    def as_(self, name: str) -> str:
        """The URL of a session that may do what this role may, and no more."""
        login = {"user": f"{self.prefix}_{name}_login", "password": self.password}
        return f"postgresql:///?{urlencode({**conninfo_to_dict(self.url), **login})}"


@contextmanager
def roles(url: str) -> Iterator[Roles]:
    """Roles belong to a whole server, which tests share: these have names that nobody else has."""
    made = Roles(url, f"loanmetrics_test_{secrets.token_hex(6)}", secrets.token_hex(16))
    try:
        with psycopg.connect(url, autocommit=True) as owner:
            grant(owner, made)
            for name in NAMES:
                owner.execute(_of("CREATE ROLE {login} LOGIN PASSWORD {password} IN ROLE {role}", made, name))
        yield made
    finally:
        with psycopg.connect(url, autocommit=True) as owner:
            for name in reversed(NAMES):
                for statement in ("DROP ROLE IF EXISTS {login}", "DROP OWNED BY {role}", "DROP ROLE {role}"):
                    owner.execute(_of(statement, made, name))


def grant(owner: psycopg.Connection, made: Roles) -> None:
    """Run the shipped file, as its head says."""
    text = FILE.read_text()
    for name in NAMES:
        text = text.replace(f"loanmetrics_{name}", f"{made.prefix}_{name}")
    with owner.transaction():
        owner.execute(text.encode())


def _of(statement: str, made: Roles, name: str) -> sql.Composed:
    role = f"{made.prefix}_{name}"
    return sql.SQL(statement).format(
        role=sql.Identifier(role), login=sql.Identifier(f"{role}_login"), password=sql.Literal(made.password)
    )
