"""Why figures of past days were restated: by cause how often it struck, which loans, and what it did, exactly.

To know it, what the run that had published them knew is laid beside what is known now. That costs time in proportion
to the loans that may have changed, so a run has its limits: beyond them, a row says that its causes are unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, Final

import polars as pl

from loanmetrics.engine.book import Book, Facts
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.diff import additive, effects
from loanmetrics.engine.diff.causes import PUBLISHED_OTHERWISE
from loanmetrics.engine.diff.figures import explained, names_of, of
from loanmetrics.engine.diff.shares import OF, Side
from loanmetrics.engine.run import PLACE
from loanmetrics.facts.between import touched
from loanmetrics.facts.version import Version
from loanmetrics.jobs.restated_rows import Told, measures_before, told_of
from loanmetrics.jobs.running import Workplace
from loanmetrics.policy import Policy
from loanmetrics.steps import step
from loanmetrics.store.restated import Restated, explain, read
from loanmetrics.tables import BRANCH_METRICS, OFFICER_METRICS

GROUPED: Final = {OFFICER_METRICS.name: "officer", BRANCH_METRICS.name: "branch"}
DAY: Final = "calculation_date"
# What every loan's figures rest on beside its own rows.
GROUND: Final = ("officers", "holidays", "par15")
# What one run may spend: rows told of; loans looked at, counted again on each day.
MOST_ROWS, MOST_LOANS = 20_000, 20_000_000


@dataclass
class Account:
    """A run's account of what it restated: what it knew, and what it published of each table."""

    place: Workplace
    version: Version
    policy: Policy
    made: Mapping[str, pl.DataFrame]
    rows: int = 0
    loans: int = 0
    among: dict[str, pl.Series] = field(default_factory=dict)

    @cached_property
    def facts(self) -> Facts:
        """The facts as they are now."""
        return self.place.lake.facts(self.version)

    def refused(self, run_id: str, rows: int) -> str | None:
        """Why the causes of some rows of one day stay unknown, if they do; what is not refused is spent."""
        if not self.place.lake.holds(run_id):
            return "facts pruned"
        self.rows += rows
        if self.rows > MOST_ROWS:
            return f"more than {MOST_ROWS:,} rows were restated"
        self.loans += self._looks_at(run_id)
        return f"more than {MOST_LOANS:,} loans to look at" if self.loans > MOST_LOANS else None

    def _looks_at(self, run_id: str) -> int:
        lake, then = self.place.lake, self.place.lake.version(run_id)
        if run_id not in self.among:
            self.among[run_id] = touched(lake, then, self.version)
        same = then.policy == self.version.policy and all(
            lake.small(then, name).equals(lake.small(self.version, name)) for name in GROUND
        )
        return len(self.among[run_id]) if same else self.version.rows["loans"]


def tell(
    place: Workplace, run_id: str, version: Version, policy: Policy, made: Mapping[str, pl.DataFrame]
) -> None:
    """Write the causes of all that a run restated; to be called inside the transaction that publishes it.

    ``made`` holds by table what the run published: of one day, or of days that ``calculation_date`` names.
    """
    rows = read(place.connection, run_id)
    if rows:
        step("causes of restatements")
        explain(place.connection, _all(Account(place, version, policy, made), rows))


def _all(account: Account, rows: Sequence[Restated]) -> Iterator[tuple[int, Told]]:
    for (_, run_id), some in groupby(rows, lambda row: (row.day, row.run_id)):
        group = list(some)
        unknown = account.refused(run_id, len(group))
        if unknown:
            yield from ((row.number, {"unknown": unknown}) for row in group)
        else:
            yield from _of_day(account, group)


def _of_day(account: Account, rows: Sequence[Restated]) -> Iterator[tuple[int, Told]]:
    """Rows of one day that one run had published."""
    day, run_id = rows[0].day, rows[0].run_id
    then = account.place.lake.version(run_id)
    before = Book(account.place.lake.facts(then), day, Policy.from_dict(then.policy))
    after = Book(account.facts, day, account.policy)
    means = load(before.policy, day), load(after.policy, day)
    found = effects(before, after, *means, account.among[run_id])
    for table, by in GROUPED.items():
        mine = [row for row in rows if row.table == table]
        if mine:
            made = account.made[table]
            today = made.filter(pl.col(DAY) == day) if DAY in made.columns else made
            yield from _of_table(mine, by, (before, after), means, today, found)


def _of_table(
    rows: Sequence[Restated],
    by: str,
    books: tuple[Book, Book],
    means: tuple[Catalogue, Catalogue],
    made: pl.DataFrame,
    found: pl.DataFrame,
) -> Iterator[tuple[int, Told]]:
    catalogue = means[1]
    keys = pl.DataFrame({OF: sorted(row.key for row in rows)})
    now = keys.join(made.select(of(by), *catalogue.measures), on=OF, how="left").fill_null(0).sort(OF)
    then = measures_before(rows, now, catalogue)
    mine = found.filter(of(by).is_in(keys[OF].implode()))
    told = explained(
        (Side(then, books[0], means[0]), Side(now, books[1], means[1])),
        pl.concat([_unexplained(then, now, mine, by, additive(catalogue)), mine]),
        by,
        names_of(catalogue, "branch"),
        lambda _, groups: [""] * len(groups),
    )
    yield from told_of(rows, told, catalogue)


def _unexplained(
    then: pl.DataFrame, now: pl.DataFrame, found: pl.DataFrame, by: str, names: list[str]
) -> pl.DataFrame:
    """What was published is not always what its facts give today: the difference is a cause of its own."""
    change = pl.concat([now.select(OF, *names), then.select(OF, -pl.col(names))])
    rest = pl.concat([change, found.select(of(by), -pl.col(names))]).group_by(OF).agg(pl.col(names).sum())
    left = rest.filter(pl.any_horizontal(pl.col(names) != 0)).sort(OF)
    region, branch = (pl.col(OF).str.splitn(" / ", 2).struct.field(f"field_{place}") for place in (0, 1))
    place: dict[str, Any] = (
        {"officer_id": pl.col(OF), "region": pl.lit(""), "branch": pl.lit("")}
        if by == "officer"
        else {"officer_id": pl.lit(""), "region": region, "branch": branch}
    )
    return left.select(
        pl.lit(None, pl.String).alias("loan_id"),
        *(place[name].alias(name) for name in PLACE),
        pl.lit(PUBLISHED_OTHERWISE).alias("cause"),
        pl.lit("").alias("event"),
        *names,
    )
