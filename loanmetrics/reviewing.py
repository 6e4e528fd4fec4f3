"""The notebook's review rules: whose payments ask for a closer look, and which payments they are."""

from typing import Literal

import polars as pl

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.engine.review import hits as found
from loanmetrics.engine.review import tally
from loanmetrics.engine.review.rule import chosen
from loanmetrics.errors import unknown

By = Literal["officer", "branch", "region", "book"]


def review(book: Book, rule: str | None = None, by: By = "officer") -> pl.LazyFrame:
    """How often payments meet a review rule, group by group, beside the book's rate; all rules unless one is named.

    Opportunities (what the rule looked at), hits, the rate and its 95 % interval, funnel limits, how likely so many
    hits would be by chance alone, and whether the group is high, low, inside or too few. A hit is a question.

    >>> from loanmetrics import Book, review
    >>> rates = review(Book.sample(), "backdated", by="book").collect()
    >>> rates["rate"].to_list() == rates["base_rate"].to_list()
    True
    """
    names = chosen(rule)
    if by not in run.GROUPS:
        raise unknown("grouping", by, run.GROUPS)
    keys = run.GROUPS[by]
    schema = pl.Schema({**dict.fromkeys(keys, pl.String()), **tally.SCHEMA})
    return pl.defer(lambda: tally.review(book, names, keys), schema=schema)


def review_hits(book: Book, rule: str | None = None) -> pl.LazyFrame:
    """Every payment that met a review rule, with evidence to check on paper; amounts are in minor units.

    >>> from loanmetrics import Book, review, review_hits
    >>> book = Book.sample()
    >>> hits = review_hits(book, "duplicate").collect()
    >>> len(hits) == review(book, "duplicate", by="book").collect()["hits"].sum()
    True
    """
    names = chosen(rule)
    return pl.defer(lambda: found.hits(book, names), schema=found.SCHEMA)
