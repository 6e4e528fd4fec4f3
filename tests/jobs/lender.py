"""A lender whose figures are published, and the loans behind them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import psycopg

from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs.compute import compute
from loanmetrics.jobs.drilldown import ALL, Where, explains, knowledge, loan_rows
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.session import connect


@dataclass(frozen=True)
class Lender:
    """A database with figures in it, and the facts they came from."""

    settings: Settings
    connection: psycopg.Connection
    lake: Lake

    @property
    def url(self) -> str:
        return str(self.settings.database_url)

    def compute(self, day: date, policy: Policy | None = None, *, full: bool = False) -> str:
        return compute(self.settings, day, policy or Policy(), full=full).run_id

    def version(self, day: date) -> Version:
        return knowledge(self.connection, self.lake, day)

    def rows(self, day: date, where: Where = ALL) -> pl.DataFrame:
        """In order of their ids, names as text."""
        rows = loan_rows(self.settings, self.lake, self.version(day), day, where)
        return rows.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)).sort("loan_id").collect()

    def explains(self, day: date, metric: str, where: Where = ALL) -> pl.DataFrame:
        return explains(self.settings, self.lake, self.version(day), day, metric, where)

    def files(self) -> list[Path]:
        return sorted(self.lake.days.folder.glob("*.arrow"))


@contextmanager
def lender_at(url: str, home: Path) -> Iterator[Lender]:
    settings = Settings(database_url=url, home=home)
    with connect(url) as connection:
        yield Lender(settings, connection, lake_of(settings, connection))
