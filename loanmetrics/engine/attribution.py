"""Officers by the loans that were theirs on another day: when they were disbursed, or when they first fell behind.

One rule: on a day a loan was with whom the first record of after that day says, else with whom it is now. The same
facts with other cells make a book, and the engine its figures. Nothing here enters what is published.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.calendar import to_date
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.roll import NO_CHANNELS
from loanmetrics.engine.run import PLACE, each_shard
from loanmetrics.engine.state import State
from loanmetrics.engine.whatif import by_metric
from loanmetrics.errors import ConflictError, unknown

ORIGINATION: Final = "origination"
FIRST_LATE: Final = "first_late"
RULES: Final = (ORIGINATION, FIRST_LATE)
COUNTS: Final = ("gained", "lost", "unrecorded")
SCHEMA: Final = pl.Schema(
    {
        **dict.fromkeys(("officer_id", "officer_name", "region", "branch", "metric"), pl.String()),
        "now": pl.Float64(),
        "band_now": pl.String(),
        "attributed": pl.Float64(),
        "band_attributed": pl.String(),
        **dict.fromkeys(COUNTS, pl.Int64()),
        "recorded_since": pl.Date(),
    }
)


@dataclass(frozen=True)
class Attributed:
    """A book in which every loan is with whom it was with on the day that a rule names.

    ``loans``: of each loan its ``cell`` now, the one it is given (``then``), and the ``day`` that decided; null where
    no day did, as of a loan that was never late. ``since``: the day from which on it is recorded whom loans are with.
    """

    book: Book
    loans: pl.DataFrame
    since: int


def attribution(
    book: Book, rule: str, metrics: Sequence[str] = (), executor: Executor | None = None
) -> pl.DataFrame:
    """A row per metric and officer, those who gain or lose most loans first: value and band now, and as attributed.

    ``metrics``: by default all that have bands. ``gained`` and ``lost`` are loans that an officer is given and that are
    taken from him; ``unrecorded`` those of his whose deciding day lies before ``recorded_since``: they are with the
    first officer known since. Officers who have loans on one side only are null on the other.
    """
    catalogue = load(book.policy, book.as_of)
    names = _known(catalogue, metrics)
    made = attributed(book, rule, executor)
    sides = [
        _side(book, "now", names, catalogue, executor),
        _side(made.book, "attributed", names, catalogue, executor),
    ]
    both = sides[0].join(sides[1], on=["officer_id", "metric"], how="full", coalesce=True, suffix="_then")
    named = [pl.coalesce(name, f"{name}_then").alias(name) for name in ("officer_name", "region", "branch")]
    counted = both.with_columns(named).join(_moves(book, made), on="officer_id", how="left")
    told = counted.with_columns(pl.col(COUNTS).fill_null(0), recorded_since=pl.lit(to_date(made.since)))
    order = pl.col("metric").cast(pl.Enum(names))
    return told.sort(
        order, pl.col("gained") + pl.col("lost"), "officer_id", descending=[False, True, False]
    ).select(*(pl.col(name).cast(kind) for name, kind in SCHEMA.items()))


def attributed(book: Book, rule: str, executor: Executor | None = None) -> Attributed:
    """The book by whom loans were with on the day that ``rule`` names: see ``RULES``."""
    if rule not in RULES:
        raise unknown("rule", rule, RULES, "rule")
    records = _records(book)
    since = _recorded_since(records)
    loans = _dated(book, rule, executor)
    cells, given = _given(book.facts.cells, loans, records)
    facts = _in_cells(book.facts, cells, given)
    return Attributed(Book(facts, book.as_of, book.policy), given, since)


def _recorded_since(records: pl.DataFrame) -> int:
    """The day from which on it is recorded whom loans are with: facts of a source that records nothing are refused."""
    begins = records.filter(pl.col("loan_id").is_null())["until"].max()
    if begins is None:
        raise ConflictError(
            "these facts do not tell whom loans were with before",
            "it is recorded by the database's triggers from `loanmetrics migrate` on, and known from the next run on",
        )
    return int(begins)  # type: ignore[arg-type]


def _records(book: Book) -> pl.DataFrame:
    """The records, dated by day in the lender's time zone."""
    local = pl.col("until").dt.convert_time_zone(book.policy.time_zone).dt.date()
    return book.facts.reassigned.with_columns(local.cast(pl.Int32).alias("until"))


def _known(catalogue: Catalogue, asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in catalogue.metrics:
            raise unknown("metric", name, catalogue.metrics, "metric")
    return list(dict.fromkeys(asked)) or [it.name for it in catalogue.metrics.values() if it.bands]


def _dated(book: Book, rule: str, executor: Executor | None) -> pl.DataFrame:
    """Every loan, its cell and the day that decides; null unless that day has come."""
    columns = [pl.col("loan"), pl.col("loan_id"), pl.col("cell"), pl.col("disbursed").alias("day")]
    shards = [shard.in_order().loans.select(columns) for shard in book.facts.shards]
    parts = pl.collect_all(shards)
    if rule == FIRST_LATE:
        late = each_shard(book, _first_late, executor, NO_CHANNELS)
        parts = [part.with_columns(day) for part, day in zip(parts, late, strict=True)]
    loans = pl.concat(parts)
    return loans.with_columns(day=pl.when(pl.col("day") <= book.day).then(pl.col("day")))


def _first_late(state: State) -> pl.Series:
    """The first day on which each loan was past due, as it stood then."""
    return pl.Series("day", state.timeline.first_later(0))


def _given(
    cells: pl.DataFrame, loans: pl.DataFrame, records: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cells that hold a loan by then, and all loans with the cell of then."""
    later = loans.join(records, on="loan_id").filter(pl.col("until") > pl.col("day"))
    holders = later.sort("record").unique("loan", keep="first", maintain_order=True).select("loan", *PLACE)
    new = holders.select(PLACE).unique().join(cells, on=PLACE, how="anti").sort(PLACE)
    first = 0 if cells.is_empty() else int(cells["cell"].max()) + 1  # type: ignore[arg-type]
    numbered = new.with_row_index("cell", first).cast({"cell": cells.schema["cell"]})
    every = pl.concat([cells, numbered.select(cells.columns)])
    found = holders.join(every, on=PLACE).select("loan", pl.col("cell").alias("then"))
    given = loans.join(found, on="loan", how="left").with_columns(pl.coalesce("then", "cell").alias("then"))
    held = pl.col("cell").is_in(given["then"].unique().implode())
    return every.filter(held), given.select("loan", "cell", "then", "day")


def _in_cells(facts: Facts, cells: pl.DataFrame, given: pl.DataFrame) -> Facts:
    """The facts with every loan in the cell that it is given."""
    moved = given.filter(pl.col("then") != pl.col("cell")).select("loan", "then").lazy()
    shards = tuple(_moved(shard, moved) for shard in facts.shards)
    at_work = pl.col("officer_id").is_in(cells["officer_id"].implode())
    officers = facts.officers.filter(pl.col("listed") | at_work)
    return replace(facts, shards=shards, cells=cells, officers=officers)


def _moved(shard: Shard, moved: pl.LazyFrame) -> Shard:
    loans = shard.loans.join(moved, on="loan", how="left", maintain_order="left")
    return replace(shard, loans=loans.with_columns(pl.coalesce("then", "cell").alias("cell")).drop("then"))


def _side(
    book: Book, name: str, metrics: list[str], catalogue: Catalogue, executor: Executor | None
) -> pl.DataFrame:
    """Officers' values and bands, named after the side they are of."""
    rows = results.officers(run.cells(book, catalogue, executor), book, catalogue)
    who = ["officer_id", "officer_name", "region", "branch"]
    return by_metric(rows, who, metrics, catalogue).rename({"value": name, "band": f"band_{name}"})


def _moves(book: Book, made: Attributed) -> pl.DataFrame:
    """Loans disbursed by the day that each officer gains, loses, and holds for want of a record."""
    now = book.facts.cells.select("cell", pl.col("officer_id").alias("was"))
    then = made.book.facts.cells.select(pl.col("cell").alias("then"), pl.col("officer_id").alias("is"))
    loans = made.loans.filter(pl.col("day").is_not_null()).join(now, on="cell").join(then, on="then")
    moved = loans.filter(pl.col("was") != pl.col("is"))
    old = loans.filter(pl.col("day") < made.since)
    parts = zip(COUNTS, ((moved, "is"), (moved, "was"), (old, "is")), strict=True)
    counts = [
        pl.DataFrame(schema={"officer_id": pl.String()}),
        *(
            rows.group_by(pl.col(whose).alias("officer_id")).agg(pl.len().cast(pl.Int64).alias(name))
            for name, (rows, whose) in parts
        ),
    ]
    return pl.concat(counts, how="diagonal").group_by("officer_id").agg(pl.col(COUNTS).sum())
