"""A PostgreSQL of the tests' own, which they may crash and start again where it was."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.store.embedded import places
from loanmetrics.store.embedded.account import server_account
from loanmetrics.store.embedded.binaries import runnable_binaries
from loanmetrics.store.embedded.cluster import Cluster
from loanmetrics.store.migrate import migrate
from tests.jobs.small import SMALL_BOOK

TEMPLATE = "lender"


@dataclass
class Postgres:
    """One server. ``url`` leads to its maintenance database."""

    cluster: Cluster
    url: str = ""
    numbers: Iterator[int] = field(default_factory=count)

    def start(self) -> None:
        """Run, recovering first from what happened."""
        self.url = self.cluster.running()

    def crash(self) -> None:
        """End at once, without a checkpoint; whoever was connected is cut off."""
        account = server_account()
        pg_ctl = runnable_binaries(account) / "pg_ctl"
        done = account.run([pg_ctl, "stop", "-D", self.cluster.data, "-m", "immediate"])
        assert done.returncode == 0, done.stdout

    def at(self, database: str) -> str:
        return f"postgresql:///?{urlencode({**conninfo_to_dict(self.url), 'dbname': database})}"

    @contextmanager
    def lender(self) -> Iterator[str]:
        """A database with the small book in it, nothing published."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            name = f"lender_{next(self.numbers)}"
            admin.execute(_of("CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE))
        yield self.at(name)
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(_of("DROP DATABASE {} WITH (FORCE)", name))

    def make_template(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(_of("CREATE DATABASE {}", TEMPLATE))
        migrate(self.at(TEMPLATE))
        with psycopg.connect(self.at(TEMPLATE)) as connection:
            connection.execute(SMALL_BOOK)


def _of(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


@contextmanager
def postgres(home: Path) -> Iterator[Postgres]:
    """A server that runs."""
    place = places.place_of(home)
    made = Postgres(Cluster(place, fsync=False))
    made.start()
    try:
        made.make_template()
        yield made
    finally:
        made.cluster.stop()
        with suppress(OSError):
            shutil.rmtree(place)
