"""Review rules over the loans of a day, as the run that published it knew them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import polars as pl
import psycopg

from loanmetrics.engine.review.hits import hits
from loanmetrics.engine.review.rule import chosen
from loanmetrics.engine.review.rules.duplicate import RULE as ENTERED_TWICE
from loanmetrics.engine.review.tally import review
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.cohorts import Cohorts, insist, keys_of, known_book
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.days import ALL, Where
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store.receipts import references
from loanmetrics.store.session import connect


def rates(
    settings: Settings, rule: str | None, as_of: date | None, by: str = "officer", where: Where = ALL
) -> Cohorts:
    """How often each officer's payments meet a rule, or all of them, on a day, the newest published by default.

    Of those asked for, each held against the whole book.
    """
    with opened(settings) as url, connect(url, "loanmetrics review") as connection:
        return rates_of(settings, connection, lake_of(settings, connection), rule, as_of, by, where)


def rates_of(
    settings: Settings,
    connection: psycopg.Connection,
    lake: Lake,
    rule: str | None,
    as_of: date | None,
    by: str = "officer",
    where: Where = ALL,
) -> Cohorts:
    """The same over a session that is open."""
    names, keys = chosen(rule), keys_of(by)
    run_id, book = known_book(connection, lake, as_of, ALL)
    insist(book, where)
    with ThreadPoolExecutor(settings.readers) as pool:
        rows = review(book, names, keys, pool)
    return Cohorts(book.as_of, run_id, rows.filter(where.chosen), book.policy.hash)


def found(settings: Settings, rule: str | None, as_of: date | None, where: Where = ALL) -> Cohorts:
    """The payments that met a rule, or any of them, with ``same_reference``; only of the loans asked for."""
    with opened(settings) as url, connect(url, "loanmetrics review") as connection:
        made = found_of(settings, connection, lake_of(settings, connection), rule, as_of, where)
        return replace(made, rows=with_references(connection, made.rows))


def found_of(
    settings: Settings,
    connection: psycopg.Connection,
    lake: Lake,
    rule: str | None,
    as_of: date | None,
    where: Where = ALL,
) -> Cohorts:
    """The same over a session that is open."""
    names = chosen(rule)
    run_id, book = known_book(connection, lake, as_of, where)
    with ThreadPoolExecutor(settings.readers) as pool:
        return Cohorts(book.as_of, run_id, hits(book, names, pool), book.policy.hash)


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
