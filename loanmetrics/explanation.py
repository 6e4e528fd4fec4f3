"""The notebook's explanations: what a figure is made of, how it came there, and one loan's account."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from loanmetrics.display import cards
from loanmetrics.engine import loans as loan_level
from loanmetrics.engine import results, run
from loanmetrics.engine import statement as accounts
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.diff.figures import SCHEMA, figures, names_of
from loanmetrics.engine.explain import points
from loanmetrics.engine.metric import Metric
from loanmetrics.engine.rollforward import rollforward as roll
from loanmetrics.engine.statement import Statement
from loanmetrics.engine.whatif import SCHEMA as SCHEMA_OF_BANDS
from loanmetrics.engine.whatif import whatif as compare
from loanmetrics.errors import UsageError, unknown
from loanmetrics.notebook import called, tried
from loanmetrics.policy import Policy


@dataclass(frozen=True)
class Explanation:
    """One figure of the loans that ``where`` picked.

    ``made_of``: every metric and measure beneath it (name, value). ``terms``: for a score, the points that each term
    costs (term, weight, share, lost); 100 less their sum is the unrounded score. ``loans``: what each loan adds to
    each measure, summing exactly.
    """

    metric: Metric
    value: float | int | bool | None
    made_of: pl.DataFrame
    terms: pl.DataFrame
    loans: pl.DataFrame

    def __repr__(self) -> str:
        value = f"null ({self.metric.reason})" if self.value is None else self.value
        return f"{self.metric.name} = {value}: {self.metric.formula}"

    def _repr_html_(self) -> str:
        return cards.explained(self.metric, self.value, self.made_of, self.terms, self.loans)


class Account(Statement):
    """One loan as it stands, its installments by due date, and its payments up to the as-of day; minor units."""

    def _repr_html_(self) -> str:
        return cards.account(self)


def explain(book: Book, metric: str | Metric, **where: str) -> Explanation:
    """What a metric is made of, for those loans that ``where`` picks by officer_id, region or branch.

    >>> from loanmetrics import Book, explain
    >>> explain(Book.sample(), "fimr", officer_id="O1").made_of.columns
    ['name', 'value']
    """
    catalogue = load(book.policy, book.as_of, tried([metric]))
    metric = called(metric)
    declared = catalogue.metric(metric)
    for name in where:
        if name not in run.PLACE:
            raise unknown("filter", name, run.PLACE)
    cells = run.cells(book, catalogue)
    row = results.branches(cells.filter(**where) if where else cells, book, catalogue, ())
    loans = loan_level.contributions(book, metric, catalogue)
    return Explanation(
        declared,
        row[metric][0],
        _made_of(row, [*_metrics_of(declared, catalogue.metrics), *catalogue.measures_of(metric)]),
        _terms(row, declared, catalogue),
        loans.filter(**where) if where else loans,
    )


def rollforward(before: Book, after: Book, *names: str, by: str = "officer") -> pl.LazyFrame:
    """How every figure came from one book's day to a later one's: one row per figure, loan, cause and event.

    The effects of a figure sum exactly to its change: opening, loans disbursed, fallen behind, rolled worse, cured,
    paid, paid off, written off, and, first, what is known otherwise now of the first day. Causes:
    loanmetrics.engine.rollforward.MOVES and loanmetrics.engine.diff.causes.CAUSES. Money is in minor units.
    """
    catalogue = load(after.policy, after.as_of)
    if by not in run.GROUPS:
        raise unknown("grouping", by, run.GROUPS)
    if "rank" in names:
        raise UsageError("a rank depends on every officer", "diff tells which ranks changed")
    wanted = [name for name in names_of(catalogue, by, names) if name != "rank"]
    return pl.defer(lambda: figures(roll(before, after), by, wanted), schema=SCHEMA)


def whatif(book: Book, policy: Policy, *metrics: str, first: date | None = None) -> pl.LazyFrame:
    """Officers whose band would be another one under ``policy``, on the book's day or every day from ``first`` on.

    One row per day, officer and metric: value and band under the book's own policy, and under the other.

    >>> from loanmetrics import Book, Policy, whatif
    >>> whatif(Book.sample(), Policy(cohort_days=30), "fimr").collect().columns[-1]
    'band_after'
    """
    return pl.defer(lambda: compare(book, policy, metrics, first), schema=SCHEMA_OF_BANDS)


def statement(book: Book, loan_id: str) -> Account:
    """One loan's account at the end of the book's day: how it stands, its installments, its payments."""
    made = accounts.statement(book, loan_id)
    return Account(made.loan, made.installments, made.payments)


def _metrics_of(metric: Metric, known: dict[str, Metric]) -> list[str]:
    """Metrics beneath a metric, however deep, the nearest first."""
    found: dict[str, None] = {}
    for need in metric.needs:
        name = need.removesuffix("_raw")
        if name in known:
            found |= dict.fromkeys([name, *_metrics_of(known[name], known)])
    return list(found)


def _made_of(row: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    values = [row[name][0] for name in names]
    floats = [None if value is None else float(value) for value in values]
    return pl.DataFrame({"name": names, "value": floats}, schema={"name": pl.String(), "value": pl.Float64()})


def _terms(row: pl.DataFrame, metric: Metric, catalogue: Catalogue) -> pl.DataFrame:
    schema = {"term": pl.String(), "weight": pl.Int64(), "share": pl.String(), "lost": pl.Float64()}
    if not metric.terms or row[metric.name][0] is None:
        return pl.DataFrame(schema=schema)
    lost = points(row, metric.name, catalogue).row(0, named=True)
    rows = [(term.name, term.weight, term.share, lost[term.name]) for term in metric.terms]
    return pl.DataFrame(rows, schema=schema, orient="row")
