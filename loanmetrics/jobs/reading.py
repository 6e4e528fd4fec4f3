"""The figures of a day for readers: as published, or, for a past day nobody published, as known now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl
import psycopg

from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.errors import NotFoundError
from loanmetrics.facts.lake import Lake
from loanmetrics.policy import Policy
from loanmetrics.store import reading as store
from loanmetrics.store import runs
from loanmetrics.store.publish import newest_day, read_branches, read_officers
from loanmetrics.store.reading import Stamp

FIRST_DAY = date(1970, 1, 1)
Read = Callable[[psycopg.Connection, date], pl.DataFrame]
Make = Callable[[pl.DataFrame, Book, Catalogue], pl.DataFrame]


@dataclass(frozen=True)
class Told:
    """Figures of one day, and the run whose facts they come from.

    ``published`` is false for a past day that no run computed: then the newest facts tell it.
    """

    day: date
    stamp: Stamp
    published: bool

    @property
    def catalogue(self) -> Catalogue:
        """What the figures mean: formulas in the revisions in force on the day."""
        return load(self.stamp.policy(), self.day)


@dataclass(frozen=True)
class Reading(Told):
    """All officers."""

    officers: pl.DataFrame


@dataclass(frozen=True)
class Branches(Told):
    """All branches."""

    branches: pl.DataFrame


def newest(connection: psycopg.Connection) -> date:
    """The newest published day."""
    day = newest_day(connection)
    if day is None:
        raise NotFoundError("nothing is published yet", "run: loanmetrics compute")
    return day


def dated(connection: psycopg.Connection, day: date | None) -> tuple[date, Stamp]:
    """A day that there are figures of, by default the newest published one, and the run they come from."""
    last = newest(connection)
    wanted = day or last
    if not FIRST_DAY <= wanted <= last:
        raise NotFoundError(f"there are no figures of {wanted}", f"the newest are of {last}")
    stamp = store.day_stamp(connection, wanted) or store.last_stamp(connection)
    assert stamp is not None, "what is published was published by a run"
    return wanted, stamp


def figures(connection: psycopg.Connection, lake: Lake, day: date | None) -> Reading:
    """All officer rows of ``day``; the newest published day is the last one there is."""
    return Reading(*_rows(connection, lake, day, read_officers, results.officers))


def branches(connection: psycopg.Connection, lake: Lake, day: date | None) -> Branches:
    """All branch rows of ``day``, likewise."""
    return Branches(*_rows(connection, lake, day, read_branches, results.branches))


def _rows(
    connection: psycopg.Connection, lake: Lake, day: date | None, read: Read, make: Make
) -> tuple[date, Stamp, bool, pl.DataFrame]:
    """Of which day and run, whether published, and the rows: as stored, or else as made of the newest facts."""
    wanted, stamp = dated(connection, day)
    if store.is_stored(connection, wanted):
        return wanted, stamp, True, read(connection, wanted)
    made = _computed(connection, lake, wanted, make)
    return wanted, stamp, False, made.with_columns(pl.lit(wanted).alias("calculation_date"))


def _computed(connection: psycopg.Connection, lake: Lake, day: date, make: Make) -> pl.DataFrame:
    run_id = runs.last_completed(connection)
    if run_id is None or not lake.holds(run_id):
        raise NotFoundError(f"no run published {day}", f"loanmetrics backfill --from {day} --to {day}")
    version = lake.version(run_id)
    book = Book(lake.facts(version), day, Policy.from_dict(version.policy))
    catalogue = load(book.policy, day)
    return make(run.cells(book, catalogue), book, catalogue)
