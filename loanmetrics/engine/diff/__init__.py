"""What changed between two runs, and why: effects per loan and event that add up exactly.

A run is facts, a day and a policy. The way from one run to another is taken in fixed steps: definitions, policy, day,
holidays, officers' channels, channels in use, frozen PAR15, each on the rows as they were; then, loan by loan, what
happened to its rows. Whatever a step changes is its effect, so that the effects of all steps sum to the change.
"""

from dataclasses import dataclass, replace

import polars as pl

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.diff import ground, hybrids
from loanmetrics.engine.diff.ground import STEP, Ground
from loanmetrics.engine.diff.rows import touched
from loanmetrics.engine.run import PLACE
from loanmetrics.engine.state import used_channels
from loanmetrics.errors import GateError

EFFECT = ("loan_id", *PLACE, "cause", "event")


@dataclass(frozen=True)
class Diff:
    """Two runs, their cells, and every effect: one row per loan, place and event with what it does to each measure.

    Effects stand in the order of the steps. ``loan_id`` is null where no loan is meant.
    """

    before: Book
    after: Book
    then: Catalogue
    now: Catalogue
    cells: tuple[pl.DataFrame, pl.DataFrame]
    effects: pl.DataFrame


def diff(
    before: Book,
    after: Book,
    then: Catalogue | None = None,
    now: Catalogue | None = None,
    among: pl.Series | None = None,
) -> Diff:
    """Lay two books side by side; ``among`` names the loans whose rows may differ, if that is known."""
    was, is_ = then or load(before.policy, before.as_of), now or load(after.policy, after.as_of)
    cells = run.cells(before, was), run.cells(after, is_)
    made = Diff(before, after, was, is_, cells, effects(before, after, was, is_, among))
    add_up(made, additive(is_))
    return made


def effects(
    before: Book, after: Book, then: Catalogue, now: Catalogue, among: pl.Series | None = None
) -> pl.DataFrame:
    """Every effect alone, without a look at the loans that did not change: not checked to add up."""
    first, last = (Ground(book, means, used_channels(book)) for book, means in ((before, then), (after, now)))
    return between(first, last, among)


def additive(catalogue: Catalogue) -> list[str]:
    """Measures that are sums over loans; officers are counted, not summed."""
    return [measure.name for measure in catalogue.measures.values() if measure.kind == "sum"]


def between(first: Ground, last: Ground, among: pl.Series | None = None) -> pl.DataFrame:
    """Every effect: the steps of the ground first, then loan by loan its events, each in their order."""
    names = additive(last.catalogue)
    steps = ground.path(first, last)
    said = pl.DataFrame(
        {STEP: range(len(steps)), "cause": [s.cause for s in steps], "event": [s.event for s in steps]},
        schema={STEP: pl.Int64, "cause": pl.String, "event": pl.String},
    )
    grounds = [part.join(said, on=STEP) for part in ground.effects(first, steps, names)]
    changed = touched(first.book.facts, last.book.facts, among)
    earlier = replace(last, book=replace(last.book, facts=first.book.facts))
    events = hybrids.effects(earlier, last, first.book.day, changed, names)
    schema = {**dict.fromkeys(EFFECT, pl.String()), STEP: pl.Int64(), **dict.fromkeys(names, pl.Int64())}
    return pl.concat(
        [
            pl.concat([pl.DataFrame(schema=schema), *(part.select(*schema) for part in parts)]).sort(order)
            for parts, order in (
                (grounds, (STEP, "loan_id", *PLACE)),
                (events, ("loan_id", STEP, *PLACE)),
            )
        ]
    ).drop(STEP)


def add_up(made: Diff, names: list[str]) -> None:
    """Refuse causes that do not add up to the change, in any place, for any measure."""
    was, is_ = (cells.select(*PLACE, *set(names).intersection(cells.columns)) for cells in made.cells)
    parts = [was, made.effects.select(*PLACE, *names), is_.with_columns(-pl.exclude(PLACE))]
    left = pl.concat(parts, how="diagonal").group_by(PLACE).agg(pl.col(names).sum())
    for row in left.filter(pl.any_horizontal(pl.col(names) != 0)).sort(PLACE).iter_rows(named=True):
        place, wrong = " / ".join(row[name] for name in PLACE), [name for name in names if row[name]]
        raise GateError(f"the causes of a change do not add up: {', '.join(wrong)} of {place}")
