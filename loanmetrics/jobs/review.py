"""Review rules over the loans of a day, as the run that published it knew them."""

from concurrent.futures import Executor
from dataclasses import replace
from datetime import date

import polars as pl
import psycopg

from loanmetrics.engine.book import Book
from loanmetrics.engine.review.hits import hits
from loanmetrics.engine.review.rule import chosen
from loanmetrics.engine.review.rules.duplicate import RULE as ENTERED_TWICE
from loanmetrics.engine.review.tally import review
from loanmetrics.jobs.cohorts import Cohorts, Question, answered, insist, keys_of, with_officers
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.days import ALL, Where
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store.receipts import references
from loanmetrics.store.session import connect


def rates(rule: str | None, by: str = "officer", where: Where = ALL) -> Question:
    """How often payments meet a rule, or all of them; of those asked for, each held against the whole book."""
    names, keys = chosen(rule), keys_of(by)

    def ask(book: Book, pool: Executor) -> pl.DataFrame:
        insist(book, where)
        return review(book, names, keys, pool).filter(where.chosen)

    return ask


def found(rule: str | None) -> Question:
    """The payments that met a rule, or any of them."""
    names = chosen(rule)
    return lambda book, pool: hits(book, names, pool)


def told(settings: Settings, rule: str | None, as_of: date | None, where: Where = ALL) -> Cohorts:
    """The payments that met a rule on a day, the newest published by default, with ``same_reference``."""
    question = found(rule)
    with opened(settings) as url, connect(url, "loanmetrics review") as connection:
        made = answered(settings, connection, lake_of(settings, connection), question, as_of, where)
        return replace(made, rows=with_officers(connection, with_references(connection, made.rows)))


def with_references(connection: psycopg.Connection, found: pl.DataFrame) -> pl.DataFrame:
    """Add ``same_reference``: of payments entered twice, whether both carry the same reference.

    Null for other rules, and where either has none in the lender's table.
    """
    pairs = found.with_row_index("place").filter(pl.col("rule") == ENTERED_TWICE.name)
    mine, other = (
        pl.Series(references(connection, pairs[name].to_list(), pairs[day].to_list()), dtype=pl.String)
        for name, day in (("repayment_id", "payment_date"), ("other_repayment_ids", "seen_on"))
    )
    same = pairs.select("place").with_columns(same_reference=mine == other)
    whole = found.with_row_index("place").join(same, on="place", how="left", maintain_order="left")
    return whole.drop("place")
