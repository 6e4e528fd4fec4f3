"""What another policy would say of the officers, by the facts of the run that published the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from loanmetrics.engine.diff.wording import differing
from loanmetrics.engine.whatif import whatif as compare
from loanmetrics.export import About
from loanmetrics.jobs import reading
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.days import book_of
from loanmetrics.jobs.drilldown import knowledge
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.session import connect


@dataclass(frozen=True)
class WhatIf:
    """Who would change band; ``differs`` names what the other policy says otherwise: name, now, then."""

    first: date
    day: date
    run_id: str
    differs: tuple[tuple[str, str, str], ...]
    rows: pl.DataFrame

    @property
    def about(self) -> About:
        """What the rows are."""
        said = {f"policy {name}": f"{now} -> {then}" for name, now, then in self.differs}
        stretch = {} if self.first == self.day else {"from": self.first}
        return About("Who would change band", self.run_id, self.run_id, self.day, None, {**stretch, **said})


def whatif(
    settings: Settings,
    policy: Policy,
    as_of: date | None = None,
    first: date | None = None,
    metrics: Sequence[str] = (),
) -> WhatIf:
    """Officers in another band under ``policy`` on a day, or on every day from ``first`` to it. Writes nothing."""
    with opened(settings) as url, connect(url, "loanmetrics whatif") as connection:
        lake = lake_of(settings, connection)
        day, _ = reading.dated(connection, as_of)
        version = knowledge(connection, lake, day)
        book = book_of(lake, version, day)
        differs = tuple(differing(book.policy, policy))
        rows = compare(book, policy, tuple(metrics), first)
    return WhatIf(first or day, day, version.run_id, differs, rows)
