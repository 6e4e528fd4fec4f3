"""Loans that started together, and where they went; what ratios of loans can be trusted for, and held to."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from loanmetrics.engine.kinds import usual
from loanmetrics.engine.roll import FROM, TO
from loanmetrics.engine.run import GROUPS, PLACE
from loanmetrics.engine.vintage import AGE, VINTAGE
from loanmetrics.errors import UsageError
from loanmetrics.http.cache import Entry
from loanmetrics.http.fields import Field, Fields
from loanmetrics.http.parameters import DatedPaging, Days, Text, Texts
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.resources.metrics import meta
from loanmetrics.http.routes import Asked
from loanmetrics.jobs import cohorts
from loanmetrics.jobs.cohorts import Cohorts, Question
from loanmetrics.jobs.days import ALL, Where
from loanmetrics.jobs.listing import Listing

if TYPE_CHECKING:
    import polars as pl
    from psycopg import Connection

MONTH = timedelta(days=30)
ARROW = "application/vnd.apache.arrow.file"
GROUP: Fields = (
    Field("officer_id", "text", "With by=officer"),
    Field("officer_name", "text", "Likewise; null where the lender has none", sortable=False),
    Field("region", "text", "With by=region or by=branch"),
    Field("branch", "text", "With by=branch"),
)
MATRIX: Fields = (
    *GROUP,
    Field(FROM, "text", "DPD bucket on start_date", sortable=False, null=False),
    Field(TO, "text", "DPD bucket on the day, paid or written_off", sortable=False, null=False),
    Field("loans", "bigint", "Loans that went this way", null=False),
    Field("balance", "money", "What they owed on start_date", null=False),
    Field("loans_share", "ratio", "Of all loans in the same bucket on start_date; they sum to 1"),
    Field("balance_share", "ratio", "Of what all of these owed"),
    Field("from_order", "int", "The place of the first bucket, 0 being current", shown=False, null=False),
    Field(
        "to_order",
        "int",
        "The place of the second one; paid and written off are the last",
        shown=False,
        null=False,
    ),
)
VINTAGES: Fields = (
    *GROUP,
    Field(VINTAGE, "date", "First day of the month of disbursement", null=False),
    Field(AGE, "int", "Months since disbursement", null=False),
    Field("loans", "bigint", "Loans disbursed", null=False),
    Field("amount", "money", "Amount disbursed", null=False),
    Field(
        "ever_loans",
        "bigint",
        "Of those, ever more than dpd days past due by that age; null while any is younger",
    ),
    Field("ever_amount", "money", "Amount disbursed of those"),
    Field("ever_loans_share", "ratio"),
    Field("ever_amount_share", "ratio"),
)


_TOLD: Fields = (
    Field("loans", "bigint", "Loans that say anything about it", null=False),
    Field("low", "ratio", "95 % interval, lower end"),
    Field("high", "ratio", "95 % interval, upper end"),
    Field("shrunk", "ratio", "Drawn towards the book's, the more the fewer its loans"),
    Field(
        "funnel_low", "ratio", "Where 99.8 % of groups of this size would begin, if all were like the book"
    ),
    Field("funnel_high", "ratio", "And where they would end"),
    Field("stands", "text", "high, low or inside of the funnel; too few loans to say", null=False),
)
CERTAINTY: Fields = (*GROUP, Field("value", "ratio", "The ratio, unrounded"), *_TOLD)
PEERS: Fields = (
    *GROUP,
    Field("value", "ratio", "The ratio as it is, unrounded"),
    Field("expected", "ratio", "What it would be if each kind of loan did as in the whole book"),
    Field("relative", "ratio", "Observed by expected; null where nothing is expected"),
    Field(
        "adjusted", "ratio", "The book's ratio times relative; interval, shrunk value and funnel are of this"
    ),
    *_TOLD,
    Field("alone", "ratio", "Share of its denominator in kinds of which it holds more than half"),
)


class CohortsQuery(DatedPaging, frozen=True, kw_only=True):
    """Which loans, kept apart by whom."""

    region: Texts = ()
    branch: Texts = ()
    officer_id: Texts = ()
    by: Literal["book", "region", "branch", "officer"] = "book"


class MatrixQuery(CohortsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From ``start_date``, by default 30 days earlier, to ``date``."""

    start_date: date | None = None


class VintagesQuery(CohortsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ever more than ``dpd`` days past due."""

    dpd: Days = 30


class RatioQuery(DatedPaging, frozen=True, kw_only=True):
    """Of which ratio, of whom; ``officer_id`` shows some of the officers, each still held against the whole book."""

    metric: Text = "fimr"
    by: Literal["book", "region", "branch", "officer"] = "officer"
    officer_id: Texts = ()


class CertaintyQuery(RatioQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every ratio as it is."""


class PeersQuery(RatioQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Kinds of loans told apart by each ``trait``; by default by all but channel."""

    trait: tuple[Literal["region", "channel", "size", "term", "age"], ...] = ()


def certainty(asked: Asked) -> Listing:
    """How much each ratio can be trusted."""
    query: CertaintyQuery = asked.query
    return _ratios(asked, query, cohorts.trust(query.metric, query.by), "-value")


def peers(asked: Asked) -> Listing:
    """How each ratio compares with the book's loans of the same kinds."""
    query: PeersQuery = asked.query
    traits = query.trait or usual(GROUPS[query.by])
    question = cohorts.adjusted(query.metric, query.by, traits)
    return replace(_ratios(asked, query, question, "-adjusted", traits), unasked={"trait": traits})


def _ratios(
    asked: Asked, query: RatioQuery, question: Question, sort: str, traits: tuple[str, ...] = ()
) -> Listing:
    if query.officer_id and query.by != "officer":
        raise ProblemError.bad("officer_id", "goes with by=officer")
    reading = asked.desk.reading(query.date)
    try:
        rows, run_id = kept(
            asked, (reading.day, query.metric, query.by, *traits), made(asked, question, reading.day)
        )
    except UsageError as error:
        raise ProblemError.bad(error.field or "metric", str(error)) from None
    listing = Listing(rows, PLACE, sort, {**meta(reading), "known_at": run_id}, named(asked))
    return listing.narrowed([("officer_id", query.officer_id)])


def matrix(asked: Asked) -> Listing:
    """Where the loans of one day stand on a later one."""
    query: MatrixQuery = asked.query
    reading, where = asked.desk.reading(query.date), _where(query)
    first = query.start_date or reading.day - MONTH
    if first >= reading.day:
        raise ProblemError.bad("start_date", f"must be before {reading.day}")
    question = cohorts.matrix(first, query.by)
    rows, run_id = kept(
        asked, (first, reading.day, where, query.by), made(asked, question, reading.day, where)
    )
    about = {**meta(reading), "known_at": run_id}
    key = (*PLACE, "from_order", "to_order")
    return Listing(rows, key, "from_order,to_order", about, named(asked), {"start_date": first})


def vintages(asked: Asked) -> Listing:
    """How late the loans of each month ever were, by age."""
    query: VintagesQuery = asked.query
    reading, where = asked.desk.reading(query.date), _where(query)
    question = cohorts.ever(query.dpd, query.by)
    rows, run_id = kept(
        asked, (reading.day, query.dpd, where, query.by), made(asked, question, reading.day, where)
    )
    about = {**meta(reading), "known_at": run_id}
    return Listing(rows, (*PLACE, VINTAGE, AGE), f"{VINTAGE},{AGE}", about, named(asked))


def named(asked: Asked) -> "Callable[[pl.DataFrame], pl.DataFrame]":
    """Officers' names for the rows shown: they are looked up, never kept with the table."""

    def complete(frame: "pl.DataFrame") -> "pl.DataFrame":
        with asked.desk.reader() as reader:
            return cohorts.with_officers(reader, frame)

    return complete


def kept(
    asked: Asked, told: tuple[object, ...], make: "Callable[[Connection], Cohorts]"
) -> tuple["pl.LazyFrame", str]:
    """The table and the run that knew it, made once for all its pages, orders and forms; ``told`` names it."""
    desk = asked.desk

    def packed() -> Entry:
        with desk.reader() as reader:
            made = make(reader)
        return Entry(HTTPStatus.OK, ARROW, cohorts.packed(made), (("known_at", made.run_id),))

    name = repr((desk.run(), asked.route.name, *told))
    key = f"loanmetrics:cohorts:{hashlib.sha256(name.encode()).hexdigest()}"
    entry, _ = desk.shown.get_or_make(key, packed)
    return cohorts.unpacked(entry.body), dict(entry.headers)["known_at"]


def made(
    asked: Asked, question: Question, day: date, where: Where = ALL
) -> "Callable[[Connection], Cohorts]":
    """How the answer to a question is made."""
    desk = asked.desk
    return lambda reader: cohorts.answered(desk.settings, reader, desk.lake, question, day, where)


def _where(query: CohortsQuery) -> Where:
    return Where(query.officer_id, query.region, query.branch)
