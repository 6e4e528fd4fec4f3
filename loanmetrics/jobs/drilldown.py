"""The loans behind the figures of a day: which facts explain them, a row per loan, what each adds, and whose it is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import polars as pl
import psycopg

from loanmetrics.engine import drilldown
from loanmetrics.engine.book import Facts
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import contributions
from loanmetrics.engine.run import PLACE
from loanmetrics.engine.state import channels
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs.days import ALL, Kept, Where, book_of, of_cells, whole
from loanmetrics.settings import Settings
from loanmetrics.store import people, runs

__all__ = ("ALL", "Where", "explains", "knowledge", "loan_rows", "masked", "stored_by", "with_names")

# Digits of a phone number that everybody may see.
SHOWN = 4
STORED_BY = """
    SELECT max(run_id COLLATE "C") FROM (
        SELECT run_id FROM officer_metrics_daily WHERE calculation_date = %(day)s
        UNION ALL SELECT run_id FROM branch_metrics_daily WHERE calculation_date = %(day)s
        UNION ALL SELECT run_id FROM metric_calculation_log
            WHERE calculation_date = %(day)s AND status = 'Completed'
                AND calculation_type IN ('day', 'event', 'backfill')
    ) stored
"""


def stored_by(connection: psycopg.Connection, day: date) -> str | None:
    """The run whose facts gave the figures stored for ``day``; None where nothing is stored.

    A row that a later run found unchanged keeps its run, so the newest of all that had a say is the one.
    """
    row = connection.execute(STORED_BY, {"day": day}).fetchone()
    found: str | None = row[0] if row else None
    return found


def knowledge(connection: psycopg.Connection, lake: Lake, day: date) -> Version:
    """The facts that explain the figures stored for ``day``.

    The newest facts, where nothing is stored or its facts are no longer kept: compare ``run_id`` with ``stored_by``.
    """
    stored = stored_by(connection, day)
    if stored is not None and lake.holds(stored):
        return lake.version(stored)
    newest = runs.last_completed(connection)
    return lake.current if newest is None else lake.version(newest)


def loan_rows(
    settings: Settings, lake: Lake, version: Version, day: date, where: Where = ALL
) -> pl.LazyFrame:
    """Every loan disbursed by ``day``, as ``drilldown.SCHEMA`` has it and with its risk score.

    Made once per shard of the facts, in parallel, kept beside them and then only looked at. With ``where`` only these
    loans, and if the day is not kept yet, only these officers' loans are made.
    """
    kept = Kept(lake, version, day, where)
    made = (
        kept.few(settings.readers) if kept.few_will_do else whole(lake, version.run_id, day, settings.readers)
    )
    lake.days.used(made.paths)
    standing = pl.concat([part.lazy().filter(drilldown.STANDS) for part in made.parts])
    return standing.filter(where.chosen).drop(*drilldown.KEYS, drilldown.STANDS)


def explains(
    settings: Settings, lake: Lake, version: Version, day: date, metric: str, where: Where = ALL
) -> pl.DataFrame:
    """The loans behind a metric or measure, and what each adds to every measure beneath it: they sum exactly to it.

    Frozen PAR15 stands on rows without a loan. Distinct counts are flags: officers with a row of 1 are counted once.
    """
    book = book_of(lake, version, day)
    some = book.facts
    if where:
        cells = some.cells.filter(where.chosen)["cell"]
        some = replace(some, shards=tuple(of_cells(shard, cells) for shard in some.shards))
    with ThreadPoolExecutor(settings.readers) as pool:
        means = load(book.policy, day)
        rows = contributions(replace(book, facts=some), metric, means, pool, channels(book))
    return _dated(rows.filter(where.chosen), some)


def _dated(rows: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """With each loan's disbursement date, by which its names are found."""
    mine = pl.col("loan_id").is_in(rows["loan_id"].implode())
    dates = pl.col("disbursed").cast(pl.Date).alias("disbursement_date")
    found = pl.concat([shard.loans.filter(mine).select("loan_id", dates) for shard in facts.shards]).collect()
    front = ("loan_id", *PLACE, "disbursement_date")
    dated = rows.join(found, on="loan_id", how="left", maintain_order="left")
    return dated.select(*front, pl.exclude(front))


def with_names(connection: psycopg.Connection, loans: pl.DataFrame) -> pl.DataFrame:
    """Add ``customer_name``, ``customer_phone`` and ``officer_name`` to loans, as the lender has them now.

    Loans are known by ``loan_id``, ``disbursement_date`` and ``officer_id``; those that the lender no longer has stay,
    without names. Give a page or an export's chunk at a time.
    """
    return pl.concat([loans, people.names(connection, loans)], how="horizontal")


def masked(phone: pl.Expr) -> pl.Expr:
    """A phone number's last four digits."""
    shown = pl.when(phone.str.len_chars() > SHOWN).then(phone.str.tail(SHOWN)).otherwise(pl.lit(""))
    return pl.when(phone.is_not_null()).then(pl.lit("****") + shown)
