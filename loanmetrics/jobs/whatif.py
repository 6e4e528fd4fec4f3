"""What another policy would say of the officers, by the facts of the run that published the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from loanmetrics.engine.whatif import whatif as compare
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
        was, is_ = book.policy.as_dict(), policy.as_dict()
        differs = tuple((name, str(was[name]), str(is_[name])) for name in was if was[name] != is_[name])
        rows = compare(book, policy, tuple(metrics), first)
    return WhatIf(first or day, day, version.run_id, differs, rows)
