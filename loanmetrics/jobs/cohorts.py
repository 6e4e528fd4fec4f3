"""Roll matrices, vintages, intervals and peers of a day, as the run that published it knew the loans."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO

import polars as pl
import psycopg

from loanmetrics.engine.book import Book
from loanmetrics.engine.certainty import certainty
from loanmetrics.engine.peers import peers
from loanmetrics.engine.roll import FROM, TO, roll_matrix
from loanmetrics.engine.run import GROUPS, PLACE
from loanmetrics.engine.vintage import vintages
from loanmetrics.errors import unknown
from loanmetrics.export import About
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs import reading
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.days import ALL, Where, book_of, of_cells
from loanmetrics.jobs.drilldown import knowledge
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store.reading import officer_names
from loanmetrics.store.session import connect

OFFICER = "officer_id"
# What is asked of the loans of a book; by shard, where the executor says.
Question = Callable[[Book, Executor], pl.DataFrame]


@dataclass(frozen=True)
class Cohorts:
    """A table of loans counted together, of a day as a run knew it."""

    day: date
    run_id: str
    rows: pl.DataFrame
    policy_hash: str = ""

    def about(self, title: str, **filters: object) -> About:
        """What the table is; ``filters`` are those that were given."""
        given = {name: value for name, value in filters.items() if value}
        return About(title, self.run_id, self.run_id, self.day, None, given, self.policy_hash)

    @property
    def placed(self) -> pl.LazyFrame:
        """The rows for readers: all columns of a place, null where rows are not kept apart by them; buckets as text.

        ``from_order`` and ``to_order`` say where a bucket stands among them.
        """
        missing = [pl.lit(None, pl.String).alias(name) for name in PLACE if name not in self.rows.columns]
        buckets = [name for name in (FROM, TO) if name in self.rows.columns]
        order = [
            pl.col(name).to_physical().cast(pl.Int32).alias(name.replace("dpd_bucket", "order"))
            for name in buckets
        ]
        return self.rows.lazy().with_columns(*missing, *order, pl.col(buckets).cast(pl.String))


def packed(made: Cohorts) -> bytes:
    """The rows for readers, to be kept."""
    file = BytesIO()
    made.placed.collect().write_ipc(file, compression="zstd")
    return file.getvalue()


def unpacked(content: bytes) -> pl.LazyFrame:
    """What ``packed`` kept."""
    return pl.read_ipc(content).lazy()


def matrix(since: date, by: str = "book") -> Question:
    """Where the loans of ``since`` stand on a day."""
    return lambda book, pool: roll_matrix(book, since, keys_of(by), pool)


def ever(dpd: int, by: str = "book") -> Question:
    """By month of disbursement and age, how many loans were ever later than ``dpd`` days."""
    return lambda book, pool: vintages(book, dpd, keys_of(by), pool)


def trust(metric: str, by: str = "officer") -> Question:
    """How much each ratio can be trusted, those that stand out most first."""
    return lambda book, pool: certainty(book, metric, keys_of(by), pool)


def adjusted(metric: str, by: str, traits: Sequence[str]) -> Question:
    """How each ratio compares with the book's loans of the same kinds, those that stand out most first."""
    return lambda book, pool: peers(book, metric, keys_of(by), traits, pool)


def shown(settings: Settings, question: Question, as_of: date | None, where: Where = ALL) -> Cohorts:
    """The answer of a day, the newest published by default, officers by name where it keeps them apart."""
    with opened(settings) as url, connect(url, "loanmetrics show") as connection:
        made = answered(settings, connection, lake_of(settings, connection), question, as_of, where)
        return (
            replace(made, rows=with_officers(connection, made.rows)) if OFFICER in made.rows.columns else made
        )


def answered(
    settings: Settings,
    connection: psycopg.Connection,
    lake: Lake,
    question: Question,
    as_of: date | None,
    where: Where = ALL,
) -> Cohorts:
    """The same over a session that is open."""
    run_id, book = known_book(connection, lake, as_of, where)
    with ThreadPoolExecutor(settings.readers) as pool:
        return Cohorts(book.as_of, run_id, question(book, pool), book.policy.hash)


def with_officers(connection: psycopg.Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``officer_name`` behind ``officer_id``; null where no officer is named."""
    names = officer_names(connection, rows[OFFICER].drop_nulls().unique().to_list())
    named = rows.join(names, on=OFFICER, how="left", maintain_order="left")
    behind = rows.columns.index(OFFICER) + 1
    return named.select(*rows.columns[:behind], "officer_name", *rows.columns[behind:])


def known_book(
    connection: psycopg.Connection, lake: Lake, as_of: date | None, where: Where
) -> tuple[str, Book]:
    """The chosen loans of a day's book."""
    day, _ = reading.dated(connection, as_of)
    version = knowledge(connection, lake, day)
    book = book_of(lake, version, day)
    if not where:
        return version.run_id, book
    cells = book.facts.cells.filter(where.chosen)
    insist(book, where)
    some = tuple(of_cells(shard, cells["cell"]) for shard in book.facts.shards)
    return version.run_id, Book(replace(book.facts, shards=some), day, book.policy)


def insist(book: Book, where: Where) -> None:
    """Refuse names that nobody has."""
    given = {OFFICER: where.officer_id, "region": where.region, "branch": where.branch}
    for column, names in given.items():
        known = book.facts.cells[column].unique().to_list()
        if column == OFFICER:
            known += book.facts.officers[column].to_list()
        for name in names:
            if name not in known:
                raise unknown(column.removesuffix("_id"), name, known, column)


def keys_of(by: str) -> Sequence[str]:
    """The columns that name groups."""
    if by not in GROUPS:
        raise unknown("grouping", by, GROUPS)
    return GROUPS[by]
