"""What is published, held to a book read afresh from the lender's tables."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import psycopg
from polars.testing import assert_frame_equal

from loanmetrics.engine import results, run
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.history.transitions import transitions
from loanmetrics.engine.loans import states
from loanmetrics.facts import lake as lakes
from loanmetrics.facts.lake import Lake
from loanmetrics.notebook import Book
from loanmetrics.store.frames import fetch
from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from loanmetrics.tables import DPD_TRANSITIONS, GL_BALANCES, LOAN_STATE, PAR15_SNAPSHOTS

Frames = tuple[pl.DataFrame, ...]


def assert_day(url: str, book: Book) -> None:
    """Officers and branches of the book's day."""
    assert_stored(url, book.as_of, computed(book)[1:])


def assert_loans(url: str, book: Book) -> None:
    with connect(url) as connection:
        found = fetch(connection, LOAN_STATE.name, psycopg.sql.SQL("true"), [], ["loan_id"])
    _assert_same(found, states(book).select(LOAN_STATE.names).sort("loan_id"))


def assert_ledger(url: str, facts: Path) -> None:
    """The newest version of the facts holds the ledger as it is."""
    (lake,) = map(Lake, facts.iterdir())
    with connect(url) as connection:
        rows = fetch(connection, GL_BALANCES.name, psycopg.sql.SQL("true"), [], ["balance_date", "branch"])
    wanted = rows.select(pl.col("balance_date").cast(pl.Int32).alias("day"), "branch", "principal")
    _assert_same(lakes.ledger(lake, lake.current), wanted.sort("day", "branch"))


def assert_records(book: Book, facts: Path) -> None:
    """The newest version of the facts holds whom loans were taken from as one read afresh."""
    (lake,) = map(Lake, facts.iterdir())
    assert_frame_equal(lake.facts(lake.current).reassigned, book.facts.reassigned)


def assert_days(url: str, book: Book, first: date, before: pl.DataFrame) -> None:
    """Everything of the days from ``first`` to the book's, against these days one by one.

    ``before`` are the PAR15 rows that were frozen already.
    """
    fifteenths = [before]
    for day in days(first, book.as_of):
        cells, officers, branches = computed(book.on(day))
        assert_stored(url, day, (officers, branches))
        if day.day == 15 and day not in before["snapshot_date"]:
            fifteenths.append(_par15(cells, day))
    _assert_same(frozen(url), pl.concat(fifteenths).sort("snapshot_date", *run.PLACE))
    _assert_same(
        moved(url, first, book.as_of),
        transitions(book.facts, book.policy, first, book.as_of).sort("loan_id", "transition_date"),
    )


def days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(number) for number in range((last - first).days + 1))


def computed(book: Book) -> Frames:
    """Cells, officers, branches."""
    catalogue = load(book.policy, book.as_of)
    cells = run.cells(book, catalogue)
    return cells, results.officers(cells, book, catalogue), results.branches(cells, book, catalogue)


def assert_stored(url: str, day: date, expected: Frames) -> None:
    with connect(url) as connection:
        found = stored(connection, day)
    for table, wanted in zip(found, expected, strict=True):
        # Of no rows at all nobody can tell which later measures were counted.
        told = table if len(table) else wanted.clear()
        assert_frame_equal(told.select(wanted.columns), wanted, check_exact=True)


def frozen(url: str) -> pl.DataFrame:
    """Every PAR15 row."""
    order = ["snapshot_date", *run.PLACE]
    with connect(url) as connection:
        rows = fetch(connection, PAR15_SNAPSHOTS.name, psycopg.sql.SQL("true"), [], order)
    return rows.drop("run_id")


def moved(url: str, first: date, last: date) -> pl.DataFrame:
    within = psycopg.sql.SQL("transition_date BETWEEN %s AND %s")
    order = ["loan_id", "transition_date"]
    with connect(url) as connection:
        return fetch(connection, DPD_TRANSITIONS.name, within, [first, last], order)


def _par15(cells: pl.DataFrame, day: date) -> pl.DataFrame:
    return cells.select(
        pl.lit(day).alias("snapshot_date"),
        *run.PLACE,
        par15_exposure="overdue_15d_amount",
        par15_count="overdue_15d_count",
    )


def _assert_same(found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    assert_frame_equal(found.select(wanted.columns), wanted, check_exact=True, check_dtypes=False)
