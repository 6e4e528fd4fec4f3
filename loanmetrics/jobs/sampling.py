"""Every hundredth loan once more before anything is published, by DuckDB, which shares no code with the engine.

Another hundredth each run: in a hundred runs that make all loans, every loan is looked at. A run that makes only what
was touched looks at its share of that.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from loanmetrics import referee
from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import GateError
from loanmetrics.facts import lake as lakes
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.quoting import utf8
from loanmetrics.facts.version import SHARDED, Version
from loanmetrics.tables import LOAN_STATE, MINOR_PER_UNIT

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHARE = 100
NAMED = 3
FIGURES = LOAN_STATE.names[1:]
HINT = "two engines disagree, so one of them is wrong: please report it"


@dataclass(frozen=True)
class Sample:
    """The loans of a version of the facts that are computed twice, by their ``keys``."""

    lake: Lake
    version: Version
    keys: range

    def of(self, facts: Facts) -> Facts:
        """The facts of these loans, for the first engine."""
        mine = (pl.col("loan") >= self.keys.start) & (pl.col("loan") % SHARE == self.keys.start % SHARE)
        return replace(facts, shards=tuple(_filtered(shard, mine) for shard in facts.shards))

    @contextmanager
    def related(self) -> "Iterator[DuckDBPyConnection]":
        """A second engine that knows these loans and no others; it reads the files by itself."""
        scratch = self.lake.folder / f"work-{self.version.run_id}"
        self.lake.bring(self.version, self.version.files)
        with duckdb.connect(config={"temp_directory": utf8(scratch)}) as second:
            lakes.relate(second, self.lake.folder, self.version)
            for kind in SHARDED:
                mine = f"loan >= {self.keys.start} AND loan % {SHARE} = {self.keys.start % SHARE}"
                second.execute(f"CREATE TABLE sample_{kind} AS FROM {kind} WHERE {mine}")
                second.execute(f"CREATE OR REPLACE VIEW {kind} AS FROM sample_{kind}")
            yield second


def hundredth(lake: Lake, version: Version, turn: int, first: int = 0) -> Sample:
    """The loans whose turn it is, among those with the key ``first`` or a later one."""
    return Sample(lake, version, range(first + (turn - first) % SHARE, version.next_loan, SHARE))


def loans_agree(sample: Sample, book: Book, states: Sequence[pl.LazyFrame]) -> int:
    """Hold loan states that are about to be published to the second engine; returns how many loans it looked at.

    Refuses where any figure of a loan differs, by a minor unit or a day.
    """
    if not sample.keys:
        return 0
    with sample.related() as second:
        mine = second.sql("SELECT loan_id FROM loans").pl()["loan_id"]
        theirs = referee.loans(second, book.as_of, book.policy).select("loan_id", *FIGURES)
    sampled = pl.concat(states).filter(pl.col("loan_id").is_in(mine.implode()))
    ours = sampled.select(theirs.columns).cast(theirs.schema).collect()
    both = ours.join(theirs, on="loan_id", how="full", coalesce=True, suffix="_second")
    wrong = both.filter(pl.any_horizontal(_unlike(name) for name in FIGURES)).sort("loan_id")
    if len(wrong):
        told = [_told(row) for row in wrong.head(NAMED).iter_rows(named=True)]
        raise GateError(_first(told, len(wrong), "loans"), HINT)
    return len(mine)


def cells_agree(sample: Sample, book: Book, cells: pl.DataFrame) -> None:
    """Hold the sample's sums by officer, region and branch, made by the pass over many days, to the second engine."""
    with sample.related() as second:
        theirs = referee.cells(second, book.as_of, book.policy)
    ours = cells.select(theirs.columns).cast(theirs.schema)
    wrong = sorted({row[: len(PLACE)] for row in {*_rows(ours)} ^ {*_rows(theirs)}})
    if wrong:
        told = [f"{' / '.join(place)}: not its loans' sums on {book.as_of}" for place in wrong[:NAMED]]
        raise GateError(_first(told, len(wrong), "cells"), HINT)


def _filtered(shard: Shard, mine: pl.Expr) -> Shard:
    parts = (shard.loans.filter(mine), shard.schedule.filter(mine), shard.repayments.filter(mine))
    return Shard(*parts, ordered=shard.ordered)


def _rows(cells: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Rows of zeros count for none."""
    places = len(PLACE)
    return (row for row in cells.select(*PLACE, pl.exclude(PLACE)).iter_rows() if any(row[places:]))


def _unlike(name: str) -> pl.Expr:
    return pl.col(name).ne_missing(pl.col(f"{name}_second"))


def _first(told: list[str], found: int, what: str) -> str:
    more = f"; and {found - len(told):,} {what} more" if found > len(told) else ""
    return f"the second engine differs: {'; '.join(told)}{more}"


def _told(row: dict[str, Any]) -> str:
    """The first figure of a loan that differs."""
    name = next(name for name in FIGURES if row[name] != row[f"{name}_second"])
    ours, theirs = (_shown(name, row[column]) for column in (name, f"{name}_second"))
    return f"loan {row['loan_id']}: {name} is {ours}, DuckDB says {theirs}"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "nothing"
    if LOAN_STATE.column(name).kind == "money":
        return f"{Decimal(value) / MINOR_PER_UNIT:,.2f}"
    return str(value).lower() if isinstance(value, bool) else str(value)
