"""Review rules: how often each officer's payments meet them, and which payments do."""

from typing import Literal

from loanmetrics.engine.review.rule import chosen
from loanmetrics.engine.review.tally import RULE
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import UsageError
from loanmetrics.http.fields import Field, Fields
from loanmetrics.http.parameters import DatedPaging, Text, Texts
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.resources.cohorts import GROUP, kept, made, named
from loanmetrics.http.resources.metrics import meta
from loanmetrics.http.routes import Asked
from loanmetrics.jobs import review
from loanmetrics.jobs.days import Where
from loanmetrics.jobs.listing import Listing

RATES: Fields = (
    *GROUP,
    Field(RULE, "text", "The review rule", null=False),
    Field("loans", "bigint", "Loans that the rule had anything to look at of", null=False),
    Field("opportunities", "bigint", "What the rule looked at", null=False),
    Field("hits", "bigint", "What met the rule: questions, no verdicts", null=False),
    Field("rate", "ratio", "Hits among opportunities", null=False),
    Field("base_rate", "ratio", "The same of the whole book", null=False),
    Field("low", "ratio", "95 % interval of the rate, lower end"),
    Field("high", "ratio", "95 % interval of the rate, upper end"),
    Field(
        "funnel_low",
        "ratio",
        "Where 99.8 % of groups of this size would begin, if all were like the book",
        null=False,
    ),
    Field("funnel_high", "ratio", "And where they would end", null=False),
    Field(
        "chance",
        "ratio",
        "How likely so many hits or more are if the group is like the book; null: too few loans",
    ),
    Field("stands", "text", "high, low or inside of the funnel; too few loans to say", null=False),
)
HITS: Fields = (
    Field(RULE, "text", "The review rule", null=False),
    Field("loan_id", "text", null=False),
    Field("officer_id", "text", "Whose loan it is", null=False),
    Field("officer_name", "text", "Null where the lender has none", sortable=False),
    Field("region", "text", null=False),
    Field("branch", "text", null=False),
    Field("repayment_id", "text", "The payment in question", null=False),
    Field("other_repayment_ids", "text", "The earlier payment of the same amount, or others of the day"),
    Field("payment_date", "date", null=False),
    Field("amount", "money", "Of the payment; for tokens, what was credited that day", null=False),
    Field("seen_on", "date", "When it was recorded or reversed, or the other payment's day"),
    Field(
        "days", "int", "The lag, days after the month's end, by how much days past due fell, or days apart"
    ),
    Field("dpd_before", "int", "Days past due the day before"),
    Field("dpd_after", "int", "Days past due at the end of the day"),
    Field("arrears", "money", "In arrears the day before"),
    Field("seen", "text", "What was seen, in a sentence", sortable=False, null=False),
)


class RatesQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which rule, of whom; ``officer_id`` shows some of the officers, each still held against the whole book."""

    rule: Text | None = None
    by: Literal["book", "region", "branch", "officer"] = "officer"
    officer_id: Texts = ()


class HitsQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which rule, on whose loans."""

    rule: Text | None = None
    region: Texts = ()
    branch: Texts = ()
    officer_id: Texts = ()


def rates(asked: Asked) -> Listing:
    """How often payments meet a rule, beside the book's rate."""
    query: RatesQuery = asked.query
    if query.officer_id and query.by != "officer":
        raise ProblemError.bad("officer_id", "goes with by=officer")
    _insist(query.rule)
    reading, question = asked.desk.reading(query.date), review.rates(query.rule, query.by)
    rows, run_id = kept(asked, (reading.day, query.rule, query.by), made(asked, question, reading.day))
    about = {**meta(reading), "known_at": run_id}
    listing = Listing(rows, (RULE, *PLACE), "chance,-hits", about, named(asked))
    return listing.narrowed([("officer_id", query.officer_id)])


def hits(asked: Asked) -> Listing:
    """The payments that met a rule, with evidence."""
    query: HitsQuery = asked.query
    _insist(query.rule)
    reading, where = asked.desk.reading(query.date), Where(query.officer_id, query.region, query.branch)
    answer = made(asked, review.found(query.rule), reading.day, where)
    rows, run_id = kept(asked, (reading.day, query.rule, where), answer)
    about = {**meta(reading), "known_at": run_id}
    return Listing(rows, (RULE, "loan_id", "repayment_id"), f"{RULE},-payment_date", about, named(asked))


def _insist(rule: str | None) -> None:
    try:
        chosen(rule)
    except UsageError as error:
        raise ProblemError.bad("rule", str(error)) from None
