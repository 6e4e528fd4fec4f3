"""What the work on a shard takes along when it is done elsewhere: little, and nobody's name."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import date
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.engine import loans, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.history.sums import sums
from loanmetrics.engine.history.transitions import transitions
from loanmetrics.facts import raw
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.prepare import prepare
from loanmetrics.facts.writing import write
from loanmetrics.policy import Policy
from tests.support import SAMPLE, SAMPLE_DAY

Work = Callable[[Book, Executor | None], pl.DataFrame]
BEGIN = date(2026, 6, 1)
MOST_BYTES = 60_000


class Post(Executor):
    """Does nothing but what came back from bytes, as a process elsewhere would; keeps the letters."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        for arguments in zip(*iterables, strict=True):
            self.letters.append(pickle.dumps((fn, arguments)))
            work, (shard,) = pickle.loads(self.letters[-1])
            yield pickle.loads(pickle.dumps(work(shard)))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The sample in files, in shards of 500 loans."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    connection = raw.connect()
    raw.from_folder(connection, SAMPLE)
    intake = prepare(connection, Policy())
    version = write(connection, lake, "run", Policy(), intake, shard_loans=500, engine="test")
    connection.close()
    return Book(lake.facts(version), SAMPLE_DAY)


def cells(book: Book, executor: Executor | None) -> pl.DataFrame:
    return run.cells(book, executor=executor)


def totals(book: Book, executor: Executor | None) -> pl.DataFrame:
    return sums(book.facts, book.policy, BEGIN, SAMPLE_DAY, load(), executor)


def moved(book: Book, executor: Executor | None) -> pl.DataFrame:
    return transitions(book.facts, book.policy, BEGIN, SAMPLE_DAY, executor)


@pytest.mark.parametrize("work", [cells, totals, moved, loans.states], ids=lambda work: work.__name__)
def test_work_that_travels_is_small_and_gives_the_same(book: Book, work: Work) -> None:
    post = Post()
    assert_frame_equal(work(book, post), work(book, None), check_exact=True)
    assert len(post.letters) == len(book.facts.shards) > 10
    assert max(map(len, post.letters)) < MOST_BYTES
    names = book.facts.officers["officer_name"].drop_nulls().to_list()
    assert names
    assert not [name for name in names if any(name.encode() in letter for letter in post.letters)]
