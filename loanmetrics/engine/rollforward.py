"""From the figures of one day to those of another: opening, what happened to each loan, closing, nothing left over.

What is known now of the first day may differ from what was known then: those differences come first, under the causes
of ``diff`` (late payments, reassigned loans, edits). From there on the facts are the same and only time passes; every
loan's effect on every measure stands under what became of the loan.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import polars as pl

from loanmetrics.engine import diff as side_by_side
from loanmetrics.engine import run
from loanmetrics.engine.book import Book, Facts, Shard, of_loans
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.diff import Diff, add_up, additive, causes, ground
from loanmetrics.engine.diff.ground import Ground
from loanmetrics.engine.metric import names_in
from loanmetrics.engine.run import PLACE
from loanmetrics.engine.state import State, open_shard, used_channels
from loanmetrics.errors import UsageError

DISBURSED: Final = "disbursed"
FELL_BEHIND: Final = "fell_behind"
ROLLED_WORSE: Final = "rolled_worse"
IMPROVED: Final = "improved"
CURED: Final = "cured"
PAID: Final = "paid"
GREW: Final = "grew"
PAID_OFF: Final = "paid_off"
WRITTEN_OFF: Final = "written_off"
REOPENED: Final = "reopened"
CAME_TO_COUNT: Final = "came_to_count"
CEASED_TO_COUNT: Final = "ceased_to_count"
AGED: Final = "aged"

MOVES: Final[dict[str, str]] = {
    DISBURSED: "The loan was disbursed in between.",
    FELL_BEHIND: "The loan was current and is late now.",
    ROLLED_WORSE: "The loan was late and is later now.",
    IMPROVED: "The loan is less late than it was, but late.",
    CURED: "The loan was late and is current now.",
    PAID: "The loan is where it was and owes less.",
    GREW: "The loan is where it was and owes more.",
    PAID_OFF: "The loan was paid off and left the book.",
    WRITTEN_OFF: "The loan was written off and left the book.",
    REOPENED: "The loan had left the book and is back: a payment was reversed.",
    CAME_TO_COUNT: "A payment, an installment or the loan came into the days that the measure looks at.",
    CEASED_TO_COUNT: "A payment, an installment or the loan left the days that the measure looks at: "
    "it grew old, which makes nothing better or worse.",
    AGED: "Days went by on the book, for a measure that counts them.",
}
# Causes that their names alone would not tell.
TITLES: Final = {CAME_TO_COUNT: "Came into the window", CEASED_TO_COUNT: "Left the window"}
# A measure over nothing but these is a stock: how the book stands at the end of the day.
STANDING: Final = frozenset(("on_book", "dpd", "outstanding", "principal_outstanding"))
# A measure over these counts days: time alone adds to it.
AGES: Final = frozenset(("loan_age", "days_unpaid"))
THEN, NOW = "_then", "_now"


def rollforward(
    before: Book, after: Book, officers: Collection[str] = (), among: pl.Series | None = None
) -> Diff:
    """How each figure came from one day to a later one; effects per loan and cause sum exactly to the change.

    With ``officers`` only loans that are or were theirs are looked at, and only their figures are whole. ``among``
    names the loans whose rows may differ between the two books' facts, if that is known.
    """
    if before.as_of >= after.as_of:
        raise UsageError(f"{before.as_of} is not before {after.as_of}", "the first day comes first")
    then, now = (load(book.policy, book.as_of) for book in (before, after))
    known = replace(before, facts=after.facts, policy=after.policy)
    books = (before, known, after)
    used = [used_channels(book) for book in books]
    some = _of_officers(books, officers) if officers else books
    first, middle, last = map(Ground, some, (then, now, now), used)
    names = additive(now)
    restated = [] if _same_knowledge(before, known) else [side_by_side.between(first, middle, among)]
    effects = pl.concat([*restated, *_moved(middle, last, names)])
    cells = _cells(first), _cells(last)
    made = Diff(first.book, last.book, then, now, cells, effects)
    add_up(made, names)
    return made


def _same_knowledge(before: Book, known: Book) -> bool:
    return before.facts is known.facts and before.policy == known.policy


def _of_officers(books: Sequence[Book], officers: Collection[str]) -> list[Book]:
    """The same books with only those loans that some officers have in any of them."""
    ids = pl.concat([_loan_ids(book.facts, officers) for book in books]).unique()
    facts = {id(book.facts): of_loans(book.facts, ids) for book in books}
    return [replace(book, facts=facts[id(book.facts)]) for book in books]


def _loan_ids(facts: Facts, officers: Collection[str]) -> pl.Series:
    cells = facts.cells.filter(pl.col("officer_id").is_in(list(officers)))["cell"]
    mine = pl.col("cell").is_in(cells.implode())
    none = pl.Series("loan_id", [], dtype=pl.String)
    return pl.concat(
        [none, *(shard.loans.filter(mine).select("loan_id").collect()["loan_id"] for shard in facts.shards)]
    )


def _cells(side: Ground) -> pl.DataFrame:
    sums = run.each_shard(side.book, partial(run.shard_cells, catalogue=side.catalogue), None, side.reference)
    return run.merge(side.book, side.catalogue, sums)


def _moved(before: Ground, after: Ground, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """What became of the loans, on the same facts."""
    sides, facts = (before, after), after.book.facts
    cells = facts.cells.cast({"cell": pl.Int64})
    schema = {
        **dict.fromkeys(side_by_side.EFFECT, pl.String()),
        **dict.fromkeys(names, pl.Int64()),
    }
    yield pl.DataFrame(schema=schema)
    for shard in facts.shards:
        for part in _of_shard(shard, sides, names):
            yield part.join(cells, on="cell", how="left").select(*schema)
    yield from (
        part.select(pl.col(name).cast(kind) for name, kind in schema.items())
        for part in _of_frozen(sides, names)
    )


def _of_shard(shard: Shard, sides: Sequence[Ground], names: Sequence[str]) -> Iterator[pl.DataFrame]:
    ordered = shard.in_order()
    states = [open_shard(ordered, side.book, side.reference) for side in sides]
    loans = pl.concat(
        [
            ordered.loans.select("loan_id").collect(),
            *(_stood(state, suffix) for state, suffix in zip(states, (THEN, NOW), strict=True)),
        ],
        how="horizontal",
    )
    then, now = (side.of(state, names) for side, state in zip(sides, states, strict=True))
    delta = now.select(names) - then.select(names)
    known = pl.concat(
        [loans, now.select("cell"), then.select(pl.col(names).name.suffix(THEN)), delta], how="horizontal"
    ).filter(pl.any_horizontal(pl.col(names) != 0))
    for name in names:
        moved = known.filter(pl.col(name) != 0)
        if len(moved):
            told = _told(sides[1].catalogue, name)
            others = [pl.col(other) if other == name else pl.lit(0, pl.Int64).alias(other) for other in names]
            yield moved.select("loan_id", "cell", told.alias("cause"), _dpd().alias("event"), *others)


def _told(catalogue: Catalogue, name: str) -> pl.Expr:
    """What became of a loan that adds otherwise to a measure than it did."""
    if AGES.intersection(names_in(catalogue.measures[name].sql)):
        return _aged(name)
    return _became(name) if is_stock(catalogue, name) else _came_or_went(name)


def is_stock(catalogue: Catalogue, measure: str) -> bool:
    """Whether a measure tells how loans stand at the end of the day, rather than what happened in some days."""
    return set(names_in(catalogue.measures[measure].sql)) <= STANDING


def _stood(state: State, suffix: str) -> pl.DataFrame:
    """How each loan stood at the end of a day."""
    ledger, day = state.ledger, state.book.day
    written_off = ledger.loans.written_off & (ledger.closing <= day)
    columns = {
        "disbursed": ledger.loans.disbursed <= day,
        "on_book": state.now.on_book,
        "dpd": state.now.dpd,
        "written_off": written_off,
    }
    return pl.DataFrame({f"{name}{suffix}": values for name, values in columns.items()})


def _became(name: str) -> pl.Expr:
    was, change = pl.col(f"{name}{THEN}"), pl.col(name)
    worse = pl.col(f"dpd{NOW}") > pl.col(f"dpd{THEN}")
    stays = (was != 0) & (was + change != 0) | (pl.col(f"dpd{NOW}") == pl.col(f"dpd{THEN}"))
    told: pl.Expr = (
        _came_or_left()
        .when(stays)
        .then(pl.when(change < 0).then(pl.lit(PAID)).otherwise(pl.lit(GREW)))
        .when(pl.col(f"dpd{THEN}") == 0)
        .then(pl.lit(FELL_BEHIND))
        .when(pl.col(f"dpd{NOW}") == 0)
        .then(pl.lit(CURED))
        .when(worse)
        .then(pl.lit(ROLLED_WORSE))
        .otherwise(pl.lit(IMPROVED))
    )
    return told


def _aged(name: str) -> pl.Expr:
    told: pl.Expr = _came_or_left().when(pl.col(name) < 0).then(pl.lit(PAID)).otherwise(pl.lit(AGED))
    return told


def _came_or_left() -> Any:
    """Of loans that were not on the book on either day; more is to be said of the others."""
    return (
        pl.when(~pl.col(f"disbursed{THEN}"))
        .then(pl.lit(DISBURSED))
        .when(~pl.col(f"on_book{THEN}"))
        .then(pl.lit(REOPENED))
        .when(~pl.col(f"on_book{NOW}"))
        .then(pl.when(f"written_off{NOW}").then(pl.lit(WRITTEN_OFF)).otherwise(pl.lit(PAID_OFF)))
    )


def _came_or_went(name: str) -> pl.Expr:
    return (
        pl.when(~pl.col(f"disbursed{THEN}"))
        .then(pl.lit(DISBURSED))
        .when(pl.col(name) > 0)
        .then(pl.lit(CAME_TO_COUNT))
        .otherwise(pl.lit(CEASED_TO_COUNT))
    )


def _dpd() -> pl.Expr:
    """``DPD 3 -> 10``; off the book there is none."""
    sides = [
        pl.when(f"on_book{side}").then(pl.col(f"dpd{side}").cast(pl.String)).otherwise(pl.lit("none"))
        for side in (THEN, NOW)
    ]
    return pl.concat_str(pl.lit("DPD "), sides[0], pl.lit(" -> "), sides[1])


def _of_frozen(sides: Sequence[Ground], names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """PAR15 of a 15th that was frozen stands for itself, without loans."""
    if ground.PAR15 not in names:
        return
    then, now = (side.frozen() for side in sides)
    moved = pl.concat([then.with_columns(-pl.col(ground.PAR15)), now])
    moved = moved.group_by(PLACE).agg(pl.col(ground.PAR15).sum()).filter(pl.col(ground.PAR15) != 0)
    yield moved.select(
        pl.lit(None, pl.String).alias("loan_id"),
        *PLACE,
        pl.lit(causes.FROZEN_PAR15).alias("cause"),
        pl.lit("").alias("event"),
        *(pl.col(name) if name == ground.PAR15 else pl.lit(0, pl.Int64).alias(name) for name in names),
    )
