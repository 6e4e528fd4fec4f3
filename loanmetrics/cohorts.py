"""The notebook's roll matrices, vintages, intervals, peers and attributions: what is told of many loans at once."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from loanmetrics.engine import attribution as others
from loanmetrics.engine import certainty as intervals
from loanmetrics.engine import peers as kinds
from loanmetrics.engine import roll, run
from loanmetrics.engine import vintage as ages
from loanmetrics.engine.book import Book
from loanmetrics.errors import unknown


def roll_matrix(book: Book, since: date, by: str = "book") -> pl.LazyFrame:
    """Of the loans that stood in each DPD bucket on ``since``: where each stands on the book's day.

    One row per group, bucket then and bucket now (or paid, written_off): loans, the balance they owed then in minor
    units, and the shares of both, which sum to 1 over each bucket's row. Null where no loan stood in the bucket.

    >>> from loanmetrics import Book, roll_matrix
    >>> matrix = roll_matrix(Book.sample(), date(2026, 5, 31)).collect()
    >>> round(matrix.filter(pl.col("from_dpd_bucket") == "1-6")["loans_share"].sum(), 9)
    1.0
    """
    keys = _keys(by)
    schema = pl.Schema({**dict.fromkeys(keys, pl.String()), **roll.SCHEMA})
    return pl.defer(lambda: roll.roll_matrix(book, since, keys), schema=schema)


def vintage(book: Book, dpd: int = 30, by: str = "book") -> pl.LazyFrame:
    """By month of disbursement and age: the share of loans that were ever more than ``dpd`` days past due.

    Null where some loan of the month is younger than that on the book's day. Amounts are in minor units.

    >>> from loanmetrics import Book, vintage
    >>> vintage(Book.sample(), dpd=30).collect().columns[:2]
    ['vintage', 'months_on_book']
    """
    keys = _keys(by)
    schema = pl.Schema({**dict.fromkeys(keys, pl.String()), **ages.SCHEMA})
    return pl.defer(lambda: ages.vintages(book, dpd, keys), schema=schema)


def certainty(book: Book, metric: str, by: str = "officer") -> pl.LazyFrame:
    """How much a ratio can be trusted, group by group, those that stand out most first.

    Intervals (95 %), funnel limits (99.8 %, if all were like the book), the value drawn towards the book's, and
    whether the group is high, low, inside or too few. Only of ratios of two sums over loans.

    >>> from loanmetrics import Book, certainty
    >>> certainty(Book.sample(), "fimr").collect().columns[-1]
    'stands'
    """
    keys = _keys(by)
    schema = pl.Schema({**dict.fromkeys(keys, pl.String()), **intervals.SCHEMA})
    return pl.defer(lambda: intervals.certainty(book, metric, keys), schema=schema)


def peers(book: Book, metric: str, by: str = "officer", traits: Sequence[str] | None = None) -> pl.LazyFrame:
    """How a ratio compares with what the whole book's loans of the same kinds do, those that stand out most first.

    ``traits`` tell kinds apart: region, channel, size, term, age; by default all but channel. ``expected`` is the ratio
    if each kind did as in the book, ``adjusted`` the book's ratio times observed by expected, with its interval, funnel
    and where it stands; ``alone`` the share of kinds of which the group holds more than half. As ``certainty``, only of
    ratios of two sums over loans.

    >>> from loanmetrics import Book, peers
    >>> whole = peers(Book.sample(), "fimr", by="book").collect()
    >>> round(whole["relative"][0], 9)
    1.0
    """
    keys = _keys(by)
    schema = pl.Schema({**dict.fromkeys(keys, pl.String()), **kinds.SCHEMA})
    return pl.defer(lambda: kinds.peers(book, metric, keys, traits), schema=schema)


def attribution(book: Book, rule: str, *metrics: str) -> pl.LazyFrame:
    """Officers' figures if every loan counted for whom it was with on another day, beside those of now.

    ``rule``: ``origination``, the day a loan was disbursed, or ``first_late``, the first on which it was past due
    (loans that never were stay). ``metrics``: by default all that have bands. Only of a book from a database that has
    recorded whom loans were with, or of facts made from one; ``unrecorded`` counts loans whose day lies before that.

    >>> from loanmetrics import Book, attribution
    >>> attribution(Book.sample(), "origination", "fimr").collect_schema().names()[5:9]
    ['now', 'band_now', 'attributed', 'band_attributed']
    """
    return pl.defer(lambda: others.attribution(book, rule, metrics), schema=others.SCHEMA)


def _keys(by: str) -> tuple[str, ...]:
    if by not in run.GROUPS:
        raise unknown("grouping", by, run.GROUPS)
    return run.GROUPS[by]
