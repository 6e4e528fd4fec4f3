"""The notebook API: a book, its figures, the loans behind them. LazyFrame in, LazyFrame out."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Literal

import polars as pl

from loanmetrics import sources
from loanmetrics.display.frames import plain
from loanmetrics.display.table import paragraph
from loanmetrics.engine import book as core
from loanmetrics.engine import diff as side_by_side
from loanmetrics.engine import formula, results, run
from loanmetrics.engine import loans as loan_level
from loanmetrics.engine.beside import beside
from loanmetrics.engine.beside import names as names_beside
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.diff import figures as changes
from loanmetrics.engine.history import by_day
from loanmetrics.engine.history.sums import sums
from loanmetrics.engine.metric import Metric
from loanmetrics.errors import UsageError, unknown
from loanmetrics.facts import raw
from loanmetrics.policy import Policy

By = Literal["officer", "branch", "region", "book"]
SAMPLE_DAY = date(2026, 6, 30)
PREVIEW = ("active_loans", "total_portfolio", "par15_ratio", "fimr", "risk_score")


class Book(core.Book):
    """A lender's book at the end of one day. Make one with ``Book.sample()`` or ``Book.scan(...)``.

    >>> Book.sample()
    Book(6,053 loans disbursed by 2026-06-30, 44 officers, policy dd7c7cb93bcf25cf)
    """

    @classmethod
    def sample(cls, as_of: date = SAMPLE_DAY, policy: Policy | None = None) -> "Book":
        """A small synthetic lender, with the mess of life in it."""
        return cls.scan(sources.sample_folder(), as_of=as_of, policy=policy)

    @classmethod
    def scan(
        cls,
        source: sources.Source,
        *,
        as_of: date,
        policy: Policy | None = None,
        known_at: str | None = None,
    ) -> "Book":
        """A book from a folder of Parquet or CSV, a facts folder, frames by table name, or a PostgreSQL URL.

        A facts folder may lie in an object store: ``s3://BUCKET/PREFIX/FOLDER``.
        ``known_at`` opens a facts folder as an earlier run knew it, under that run's policy if none is given.
        """
        if known_at is not None:
            return cls(*sources.known(source, known_at, as_of, policy))
        chosen = policy or Policy()
        return cls(sources.facts_of(source, chosen), as_of, chosen)

    def on(self, as_of: date) -> "Book":
        """The same facts and policy at another day."""
        return Book(self.facts, as_of, self.policy)

    def __repr__(self) -> str:
        return (
            f"Book({self._disbursed:,} loans disbursed by {self.as_of}, {len(self.facts.officers)} officers, "
            f"policy {self.policy.hash})"
        )

    def _repr_html_(self) -> str:
        figures = compute(self, *PREVIEW, by="book").collect()
        return f"{paragraph(repr(self))}{plain(figures, 1).html()}"

    @property
    def _disbursed(self) -> int:
        counts = [
            shard.loans.filter(pl.col("disbursed") <= self.day).select(pl.len())
            for shard in self.facts.shards
        ]
        return sum(frame.item() for frame in pl.collect_all(counts))


def compute(
    book: core.Book,
    *names: str | Metric,
    by: By = "officer",
    revision: int | Mapping[str, int] | None = None,
) -> pl.LazyFrame:
    """Metrics or measures by officer, branch, region or for the whole book; all of them if none is named.

    Measures are exact integers (money in minor units), ratios Float64, scores integers, null where there is no
    evidence. Definitions: docs/metrics.md. A ``Metric`` that is not in the catalogue yet is tried out as if it were.
    ``revision`` adds the figures that other revisions give, side by side: ``revision=2`` of every metric named,
    ``{"risk_score": 2}`` of that one.

    >>> compute(Book.sample(), "risk_score", by="book", revision=2).collect().columns
    ['risk_score', 'risk_band', 'risk_score_r2', 'risk_band_r2']
    """
    catalogue = load(book.policy, book.as_of, tried(names))
    keys = _keys(by)
    columns = [
        *keys,
        *(
            dict.fromkeys(column for name in names for column in _columns(called(name), by, catalogue))
            or _all(catalogue, by)
        ),
    ]
    schema = pl.Schema({name: _dtype(name, catalogue) for name in columns})
    if revision is None:
        return pl.defer(lambda: _table(book, by, catalogue).select(columns), schema=schema)
    asked = dict.fromkeys(map(called, names), revision) if isinstance(revision, int) else revision
    added = {new: _dtype(name, catalogue) for it in names_beside(asked).values() for name, new in it.items()}

    def both() -> pl.DataFrame:
        found = _table(book, by, catalogue).select(columns)
        for other in beside(book.policy, book.as_of, asked):
            then = core.Book(book.facts, book.as_of, other.policy)
            found = found.hstack(_table(then, by, other.catalogue).select(other.shown))
        return found.select(*columns, *added)

    return pl.defer(both, schema=pl.Schema({**schema, **added}))


def history(book: core.Book, *names: str | Metric, first: date, by: By = "officer") -> pl.LazyFrame:
    """Metrics or measures of every day from ``first`` to the book's as-of day, as ``compute`` gives them for one.

    One pass over the timeline: a year costs a few single days. As everything here, it is as known by the book's
    facts: a reversal counts from its day on, and on no day before.
    """
    catalogue = load(book.policy, book.as_of, tried(names))
    chosen = compute(book, *names, by=by).collect_schema()
    schema = pl.Schema({by_day.DAY: pl.Date(), **chosen})
    return pl.defer(lambda: _past(book, first, by, catalogue).select(schema.names()), schema=schema)


def diff(before: core.Book, after: core.Book, *names: str, by: By = "officer") -> pl.LazyFrame:
    """Every figure that differs between two books, and why: one row per figure, loan, cause and event.

    The effects of a figure sum exactly to its change. Causes: loanmetrics.engine.diff.causes.CAUSES.
    """
    changes.names_of(load(after.policy, after.as_of), by, names)
    _keys(by)
    return pl.defer(
        lambda: changes.figures(side_by_side.diff(before, after), by, names), schema=changes.SCHEMA
    )


def tried(names: Iterable[str | Metric]) -> list[Metric]:
    """Metrics that are given as such, to be looked at beside those of the catalogue."""
    return [it for it in names if isinstance(it, Metric)]


def called(metric: str | Metric) -> str:
    """A metric's name."""
    return metric.name if isinstance(metric, Metric) else metric


def _past(book: core.Book, first: date, by: By, catalogue: Catalogue) -> pl.DataFrame:
    totals = sums(book.facts, book.policy, first, book.as_of, catalogue)
    cells = by_day.cells(book.facts, totals, first, book.as_of, catalogue)
    days = by_day.calendar(first, book.as_of)
    if by == "officer":
        return results.officers(cells, book, catalogue, days)
    return results.branches(cells, book, catalogue, _keys(by), days)


def loans(book: core.Book, metric: str | Metric, **where: str) -> pl.LazyFrame:
    """The loans behind a figure: what each adds to every measure beneath ``metric``, summing exactly to it.

    ``where`` picks officer_id, region or branch.
    """
    catalogue = load(book.policy, book.as_of, tried([metric]))
    metric = called(metric)
    for name in where:
        if name not in run.PLACE:
            raise unknown("filter", name, run.PLACE)
    wanted = catalogue.measures_of(metric)
    schema = pl.Schema(
        {"loan_id": pl.String(), **dict.fromkeys(run.PLACE, pl.String()), **dict.fromkeys(wanted, pl.Int64())}
    )
    found = pl.defer(lambda: loan_level.contributions(book, metric, catalogue), schema=schema)
    return found.filter(**where) if where else found


def frame(book: core.Book) -> pl.LazyFrame:
    """One row per loan with what it adds to every measure: group it as you like, then ``agg`` and ``expr``."""
    catalogue = load(book.policy, book.as_of)
    schema = pl.Schema(
        {
            "loan_id": pl.String(),
            **dict.fromkeys(run.PLACE, pl.String()),
            **dict.fromkeys(catalogue.measures, pl.Int64()),
        }
    )
    return pl.defer(lambda: loan_level.frame(book, catalogue).select(schema.names()), schema=schema)


def agg(*names: str, policy: Policy | None = None) -> list[pl.Expr]:
    """Sums of every measure beneath the named metrics, for ``group_by(...).agg(*lm.agg("fimr"))``.

    Of each metric the latest revision that the policy names, as in ``expr``.
    """
    return formula.agg(names, load(policy or Policy()))


def expr(name: str, policy: Policy | None = None) -> pl.Expr:
    """A metric as an expression over measure columns."""
    given = policy or Policy()
    return formula.expr(name, load(given), given)


def band(name: str) -> pl.Expr:
    """The band of a metric's column."""
    metric = load().metric(name)
    if metric.bands is None:
        raise UsageError(
            f"{name} has no bands", f"banded: {', '.join(m.name for m in load().metrics.values() if m.bands)}"
        )
    return run.banded(metric)


def metrics() -> pl.DataFrame:
    """The catalogue: name, title, formula, bands, meaning."""
    return pl.DataFrame(load().rows())


def sql(book: core.Book, query: str) -> pl.DataFrame:
    """Ask the book in SQL (DuckDB): tables officers, branches, regions, book, cells, loans.

    Money is in minor units; ``loans`` holds every loan's state at the as-of day.
    """
    catalogue = load(book.policy, book.as_of)
    makers: dict[str, Callable[[], pl.DataFrame]] = {
        "officers": lambda: _table(book, "officer", catalogue),
        "branches": lambda: _table(book, "branch", catalogue),
        "regions": lambda: _table(book, "region", catalogue),
        "book": lambda: _table(book, "book", catalogue),
        "cells": lambda: run.cells(book, catalogue),
        "loans": lambda: loan_level.states(book),
    }
    connection = raw.connect()
    for name, make in makers.items():
        if re.search(rf"\b{name}\b", query, re.IGNORECASE):
            connection.register(name, make().to_arrow())
    try:
        relation: Any = connection.sql(query)
        found: pl.DataFrame | None = None if relation is None else relation.pl()
    except raw.connection_error() as error:
        raise UsageError(f"SQL: {error}") from None
    if found is None:
        raise UsageError("SQL: the query asks for nothing", "e.g. FROM officers")
    return found


def _table(book: core.Book, by: By, catalogue: Catalogue) -> pl.DataFrame:
    cells = run.cells(book, catalogue)
    if by == "officer":
        return results.officers(cells, book, catalogue)
    return results.branches(cells, book, catalogue, _keys(by))


def _keys(by: str) -> tuple[str, ...]:
    if by not in run.GROUPS:
        raise unknown("grouping", by, run.GROUPS)
    return run.GROUPS[by]


def _columns(name: str, by: By, catalogue: Catalogue) -> tuple[str, ...]:
    if name == "rank" and by != "officer":
        raise UsageError("rank is a place among officers", 'by="officer"')
    if name in catalogue.measures or name == "rank":
        return (name,)
    if name not in catalogue.metrics:
        raise unknown("metric", name, [*catalogue.metrics, *catalogue.measures])
    metric = catalogue.metrics[name]
    return (name, metric.band_column) if metric.bands else (name,)


def _all(catalogue: Catalogue, by: By) -> list[str]:
    named = ["officer_name", "region", "branch"] if by == "officer" else []
    return [*named, *(name for name, _ in catalogue.columns), *(["rank"] if by == "officer" else [])]


def _dtype(name: str, catalogue: Catalogue) -> pl.DataType:
    kind = {**dict(catalogue.columns), "rank": "int"}.get(name, "text")
    return {
        "money": pl.Int64(),
        "bigint": pl.Int64(),
        "ratio": pl.Float64(),
        "score": pl.Int32(),
        "int": pl.Int32(),
        "bool": pl.Boolean(),
    }.get(kind, pl.String())
