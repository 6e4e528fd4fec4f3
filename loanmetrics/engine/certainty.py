"""How much a ratio of few loans can be trusted: intervals, funnel limits, and a value shrunk towards the book's.

Nothing here enters a figure, a band or a rank.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

import polars as pl

from loanmetrics.engine import evidence
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.evidence import SUMS, TOLD
from loanmetrics.engine.run import GROUPS

SCHEMA: Final = pl.Schema({"value": pl.Float64(), **TOLD})


def certainty(
    book: Book, metric: str, by: Sequence[str] = GROUPS["officer"], executor: Executor | None = None
) -> pl.DataFrame:
    """One row per group that has the ratio, by how far it stands out; only ratios of two sums over loans have this.

    ``loans``: loans that say anything about it. ``low``, ``high``: where the ratio of such loans lies with 95 %
    confidence; Wilson's interval where each loan is a yes or a no, else by linearisation over loans. ``funnel_low``,
    ``funnel_high``: between them 99.8 % of groups of this size would lie if all were like the book. ``stands``:
    high, low or inside of these; too few under ``Policy.min_rank_loans``. ``shrunk``: the value drawn towards the
    book's, the more the fewer its loans (empirical Bayes).
    """
    both = evidence.measures(load(book.policy, book.as_of), metric)
    every = evidence.gathered(book, both, by, executor)
    groups = every.filter(pl.col("below") > 0)
    if groups.is_empty():
        return pl.DataFrame(schema={**dict.fromkeys(by, pl.String()), **SCHEMA})
    whole = evidence.floats(every.select(pl.col(SUMS).sum()))
    sums, centre = evidence.floats(groups), whole["above"] / whole["below"]
    # What a loan adds to the whole book's uncertainty, for as many loans as the group has.
    variance = evidence.residuals(centre, whole) / whole["loans"] * sums["loans"]
    flags = evidence.yes_or_no(both)
    found = groups.with_columns(
        **evidence.told(sums, float(centre[0]), variance, book.policy.min_rank_loans, yes_or_no=flags)
    )
    if flags:
        found = found.with_columns(pl.col("funnel_high").clip(upper_bound=1))
    out = (pl.col("value") - float(centre[0])).abs()
    return found.sort(out, *by, descending=[True, *[False] * len(by)]).select(*by, *SCHEMA)
