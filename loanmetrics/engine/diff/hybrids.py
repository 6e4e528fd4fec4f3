"""What each event does to a loan: the loan as it stands after every step, and how it differs from the step before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from loanmetrics.engine.diff.events import Held, Pair, events
from loanmetrics.engine.diff.ground import STEP, Ground
from loanmetrics.engine.diff.rows import Rows, coded, rows_of
from loanmetrics.engine.diff.versions import versions
from loanmetrics.engine.run import PLACE

# Loans looked at together: as many as keep the rows of all their steps small.
TOGETHER = 20_000


def effects(
    earlier: Ground, later: Ground, first_day: int, loan_ids: pl.Series, names: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Per loan and event what the loan adds after it less what it added before.

    ``earlier`` holds the rows as they were, ``later`` as they are, both on the later ground.
    """
    held = Held(earlier.book.facts.held, later.book.facts.held)
    for start in range(0, len(loan_ids), TOGETHER):
        some = loan_ids.slice(start, TOGETHER)
        then, now = (rows_of(side.book.facts, some) for side in (earlier, later))
        moved = _moved(then, now, later, names)
        if len(moved):
            yield _of_pair(Pair(then, now, held, first_day, later.book.day, moved), later, names)


def _of_pair(pair: Pair, ground: Ground, names: Sequence[str]) -> pl.DataFrame:
    happened = events(pair)
    values = _values(_steps(versions(pair, happened)), ground, names)
    last = happened.group_by("loan_id").agg(last=pl.col("step").max())
    values = values.join(last, on="loan_id")
    left = values.filter(pl.col(STEP) < pl.col("last")).with_columns(pl.col(STEP) + 1, -pl.col(names))
    reached = values.filter(pl.col(STEP) > 0)
    delta = pl.concat([left, reached]).group_by("loan_id", *PLACE, STEP).agg(pl.col(names).sum())
    changed = delta.filter(pl.any_horizontal(pl.col(names) != 0))
    said = happened.select("loan_id", STEP, "cause", "event")
    return changed.join(said, on=["loan_id", STEP]).select("loan_id", *PLACE, STEP, "cause", "event", *names)


def _moved(then: Rows, now: Rows, ground: Ground, names: Sequence[str]) -> pl.Series:
    """Loans that add something else now, or elsewhere: no others matter to any figure."""
    sides = [_values(_keyed(rows), ground, names) for rows in (then, now)]
    adding = [side.filter(pl.any_horizontal(pl.col(names) != 0)) for side in sides]
    key = ["loan_id", *PLACE, *names]
    ids = [one.join(other, on=key, how="anti")["loan_id"] for one, other in (adding, adding[::-1])]
    return pl.concat(ids).unique().sort()


def _keyed(rows: Rows) -> Rows:
    """One version as the only step there is."""
    whole = (frame.with_columns(pl.lit(0, pl.Int64).alias(STEP)) for frame in _frames(rows))
    return _numbered(*whole)


def _steps(standing: Rows) -> Rows:
    """A loan for every step of every loan, with the rows that stand then."""
    return _numbered(*(_at_each_step(frame) for frame in _frames(standing)))


def _at_each_step(rows: pl.DataFrame) -> pl.DataFrame:
    steps = rows.with_columns(pl.int_ranges("start", "stop").alias(STEP)).filter(
        pl.col("start") < pl.col("stop")
    )
    return steps.drop("start", "stop").explode(STEP)


def _frames(rows: Rows) -> tuple[pl.DataFrame, ...]:
    return rows.loans, rows.schedule, rows.repayments


def _numbered(loans: pl.DataFrame, schedule: pl.DataFrame, repayments: pl.DataFrame) -> Rows:
    keyed = loans.sort("loan_id", STEP).with_row_index("loan").cast({"loan": pl.Int32()})
    keys = keyed.select("loan_id", STEP, "loan")
    return Rows(keyed, *(rows.join(keys, on=["loan_id", STEP]) for rows in (schedule, repayments)))


def _values(rows: Rows, ground: Ground, names: Sequence[str]) -> pl.DataFrame:
    """What each loan adds at each step, and where."""
    facts = coded(rows, ground.book.facts)
    here = replace(ground, book=replace(ground.book, facts=facts))
    shard = facts.shards[0].in_order()
    added = here.added(shard, names)
    order = shard.loans.select("loan_id", STEP).collect()
    placed = pl.concat([order, added], how="horizontal")
    cells = facts.cells.cast({"cell": pl.Int64})
    return placed.join(cells, on="cell", how="left").select("loan_id", STEP, *PLACE, *names)
