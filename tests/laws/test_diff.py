"""What changed, and why: causes sum exactly to the change, whatever happened between two states of a lender.

LOANMETRICS_STATES=200 pytest tests/laws/test_diff.py looks at that many runs of states, other ones each time.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, later_columns, load
from loanmetrics.engine.diff import causes, diff
from loanmetrics.engine.diff.figures import figures, of
from loanmetrics.engine.diff.shares import EXACT
from tests import support
from tests.laws.changes import Two, fixed
from tests.strategies import Case

MORE = int(os.environ.get("LOANMETRICS_STATES", "0"))
# As few seeds as meet every kind of cause, and one more: to be chosen anew when the strategies change.
FEW = (0, 1, 4, 6)
CATALOGUE = load()
LATER = [name for name, _ in later_columns()]


def book_of(case: Case) -> Book:
    book, _ = support.book_of(case.rows, case.as_of, case.policy, case.frozen)
    return replace(book, facts=support.resharded(book.facts, 2))


def redefined(catalogue: Catalogue) -> Catalogue:
    """Entries counted twice; a score without its first term."""
    entries = replace(catalogue.measures["total_entries"], sql="2 * entries")
    fimr = replace(catalogue.metrics["fimr"], formula="(first_miss_count + 1) / NULLIF(disbursed_count, 0)")
    return Catalogue({**catalogue.measures, "total_entries": entries}, {**catalogue.metrics, "fimr": fimr})


def of_day(book: Book) -> Catalogue:
    return load(book.policy, book.as_of)


def numbers(catalogue: Catalogue) -> list[str]:
    return [*catalogue.measures, *catalogue.metrics]


@dataclass(frozen=True)
class Afresh:
    """A run of a book, computed without the code under test."""

    book: Book
    catalogue: Catalogue

    @cached_property
    def cells(self) -> pl.DataFrame:
        return run.cells(self.book, self.catalogue)

    def figures(self, by: str, names: Sequence[str]) -> pl.DataFrame:
        """These figures of every group, exact, long."""
        table = results.branches(self.cells, self.book, self.catalogue, run.GROUPS[by])
        if by == "officer":
            ranked = results.officers(self.cells, self.book, self.catalogue)
            table = table.join(ranked.select("officer_id", "rank"), on="officer_id")
        names = [
            *(name for name in names if name in table.columns),
            *(["rank"] if by == "officer" else []),
        ]
        exact = [
            pl.col(name).cast(pl.Int64 if table[name].dtype == pl.Boolean else table[name].dtype).cast(EXACT)
            for name in names
        ]
        return table.select(of(by), *exact).unpivot(index="of", variable_name="figure", value_name="value")


def assert_explained(two: Two, groupings: Sequence[str], *, redefine: bool = False) -> set[str]:
    """The causes that were told."""
    before, after = book_of(two.before), book_of(two.after)
    then, now = redefined(of_day(before)) if redefine else of_day(before), of_day(after)
    made = diff(before, after, then, now)
    seen = set(made.effects["cause"])
    runs = Afresh(before, then), Afresh(after, now)
    for by in groupings:
        told = figures(made, by)
        seen.update(told["cause"])
        assert_sums_to_changes(told, *(side.figures(by, numbers(now)) for side in runs))
    return seen


def assert_sums_to_changes(told: pl.DataFrame, then: pl.DataFrame, now: pl.DataFrame) -> None:
    zero = pl.lit(0, EXACT)
    counts = pl.col("figure").is_in([*CATALOGUE.measures, *LATER, "total_yield", "had_float_gap"])
    both = then.rename({"value": "before"}).join(
        now.rename({"value": "after"}), on=["of", "figure"], how="full", coalesce=True
    )
    sides = pl.col("before", "after")
    both = both.with_columns(pl.when(counts).then(sides.fill_null(zero)).otherwise(sides).name.keep())
    changed = both.filter(pl.col("before").ne_missing(pl.col("after")))
    summed = told.group_by("of", "figure").agg(
        pl.col("before").first(),
        pl.col("after").first(),
        pl.col("change").n_unique().alias("changes"),
        pl.col("change").first(),
        effect=pl.when(pl.col("effect").null_count() == 0).then(pl.col("effect").sum()),
    )
    assert set(changed.select("of", "figure").rows()) == set(summed.select("of", "figure").rows())
    for row in summed.join(changed, on=["of", "figure"], suffix="_wanted").iter_rows(named=True):
        assert (row["before"], row["after"]) == (row["before_wanted"], row["after_wanted"]), row
        known = row["before"] is not None and row["after"] is not None
        assert row["change"] == row["effect"] == (row["after"] - row["before"] if known else None), row
        assert row["changes"] == 1


def test_causes_sum_exactly_to_every_change_and_every_kind_of_cause_is_met() -> None:
    seeds = range(secrets.randbelow(2**30), 2**31)[:MORE] if MORE else FEW
    seen: set[str] = set()
    for place, two in enumerate(fixed(seeds)):
        others = ("branch", "region", "book")[place % 3]
        seen |= assert_explained(two, ("officer", others), redefine=place % 10 == 0)
    assert causes.CAUSES.keys() - seen == {causes.PUBLISHED_OTHERWISE}
