"""How every loan stands at the end of a day, until that is published: one file of each shard.

Held at once, the states of ten million loans would take gigabytes; and where shards are worked on by a cluster, they
need not pass through its scheduler.
"""

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import polars as pl

from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.loan_state import loan_state
from loanmetrics.engine.loans import named_states
from loanmetrics.engine.run import visit_shard
from loanmetrics.engine.state import Channels, channels
from loanmetrics.facts.disk import spill
from loanmetrics.tables import LOAN_STATE

# A folder for them, beside the facts where the workers of a cluster see it too.
ROOM = "states-"
Parts = tuple[pl.LazyFrame, ...]


def files(room: Path, book: Book) -> list[Path]:
    """Where the states of each shard's loans go, in the order of the shards."""
    return [room / f"{number}.arrow" for number in range(len(book.facts.shards))]


def parts(paths: list[Path]) -> Parts:
    """The states in these files, to be read when they are needed."""
    return tuple(map(pl.scan_ipc, paths))


def of_all(book: Book, pool: Executor, room: Path) -> Parts:
    """The states of all loans of a day."""
    paths = files(room, book)
    work = partial(_keep, book=book.of_one_shard(), reference=channels(book), places=book.facts.cells)
    list(pool.map(work, book.facts.shards, paths))
    return parts(paths)


def _keep(shard: Shard, path: Path, *, book: Book, reference: Channels, places: pl.DataFrame) -> None:
    keep(visit_shard(shard, book, reference, loan_state), shard, places, path)


def keep(states: pl.DataFrame, shard: Shard, places: pl.DataFrame, path: Path) -> None:
    """Write the states of a shard's loans into its file."""
    spill(named(states, shard.loans, places), path)


def named(states: pl.DataFrame, loans: pl.LazyFrame, places: pl.DataFrame) -> pl.DataFrame:
    """As they are published."""
    return named_states(states, loans, places).select(LOAN_STATE.names)
