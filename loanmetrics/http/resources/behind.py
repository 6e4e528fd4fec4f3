"""The lists behind an explanation: loan by loan what moved a figure and what it is made of, and a loan's account."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from loanmetrics.engine.catalogue import derived_columns, everything
from loanmetrics.errors import suggest
from loanmetrics.http.fields import Field, Fields
from loanmetrics.http.parameters import DatedPaging, Text, Texts
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.resources.explain import stated, whose
from loanmetrics.http.resources.metrics import meta
from loanmetrics.http.routes import Asked
from loanmetrics.jobs import explain as job
from loanmetrics.jobs.drilldown import knowledge
from loanmetrics.jobs.explain import Since
from loanmetrics.jobs.listing import Listing
from loanmetrics.jobs.loans import with_customers

if TYPE_CHECKING:
    import polars as pl

MONTH = timedelta(days=30)
_KINDS = dict(derived_columns())
_NAME = Field("customer_name", "text", sortable=False)
MOVEMENTS: Fields = (
    Field("loan_id", "text", "Null where it was no single loan"),
    _NAME,
    Field("cause", "text", "One of those that /filters/options tells", null=False),
    Field("event", "text", "What happened", null=False),
    Field(
        "effect", "exact", "What it did to the figure, in units; null where there was nothing to divide by"
    ),
    Field("size", "exact", "The effect without its sign", shown=False),
)
CAUSES: Fields = (
    Field("figure", "text", "The metric, or a measure beneath it", null=False),
    Field("before", "exact", "What it was, in units"),
    Field("cause", "text", "One of those that /filters/options tells", null=False),
    Field("effect", "exact", "All that the cause did to it; null where there was nothing to divide by"),
    Field("times", "bigint", "How often", null=False),
    Field("after", "exact", "What it is: before and all effects"),
    Field("loan_id", "text", "The loan with the largest effect; null where it was no single loan"),
    Field("event", "text", "What happened to it", null=False),
    Field("largest", "exact", "Its effect"),
    Field("size", "exact", "The effect without its sign", shown=False),
)
MIX: Fields = (
    Field("part", "text", "Region and branch", null=False),
    Field("before", "ratio", "Its own ratio then"),
    Field("after", "ratio", "And now"),
    Field("rate", "ratio", "What the change of its own ratio did to the officer's", null=False),
    Field(
        "mix", "ratio", "What the change of its weight did; all rates and mixes sum to the change", null=False
    ),
)
LOANS: Fields = (
    Field("loan_id", "text", "Null for PAR15 of a 15th that was frozen"),
    _NAME,
    Field("region", "text"),
    Field("branch", "text"),
    Field("disbursement_date", "date"),
    *(
        Field(it.name, _KINDS[it.name], it.about, shown=False)  # type: ignore[arg-type]
        for it in everything().measures.values()
    ),
)
INSTALLMENTS: Fields = (
    Field("number", "int", "Which installment, the first being 1", null=False),
    Field("due_date", "date", null=False),
    Field("principal", "money", null=False),
    Field("interest", "money", null=False),
    Field("fee", "money", null=False),
    Field("amount", "money", "All that falls due", null=False),
    Field("cumulative", "money", "All that falls due up to this installment", null=False),
    Field("settled", "bool", "The loan's credits cover everything due up to it", null=False),
    Field("settled_on", "date", "Since when they have"),
    Field("days_late", "int", "From the due date to that day, or to the day asked for", null=False),
)
PAYMENTS: Fields = (
    Field("repayment_id", "text", null=False),
    Field("payment_date", "date", null=False),
    Field("amount", "money", null=False),
    Field("principal", "money", null=False),
    Field("interest", "money", null=False),
    Field("fees", "money", null=False),
    Field("penalty", "money", null=False),
    Field("waiver", "money", null=False),
    Field("waiver_type", "text"),
    Field("method", "text"),
    Field("counts", "bool", "It is not reversed on the day asked for", null=False),
    Field("credited", "money", "What it takes off the debt", null=False),
    Field("reversal_date", "date"),
    Field("recorded_at", "timestamp"),
)


class SinceQuery(DatedPaging, frozen=True, kw_only=True):
    """Of which metric, since when (by default 30 days earlier)."""

    metric: Text = "risk_score"
    start_date: date | None = None


class CausesQuery(SinceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``figure``: of the metric or of measures beneath it only."""

    figure: Texts = ()


class MixQuery(SinceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which ratio."""


class MovementsQuery(SinceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``figure``: of a measure beneath the metric instead."""

    figure: Text | None = None
    cause: Texts = ()


class LoansQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which metric; ``fields`` picks the measures beneath it, those of other metrics are null."""

    metric: Text = "risk_score"


class AccountQuery(DatedPaging, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which day."""


def movements(asked: Asked) -> Listing:
    """What moved a figure of an officer between two days, loan by loan: the effects sum exactly to the change."""
    query: MovementsQuery = asked.query
    figure = query.figure or query.metric
    made, about, unasked = _moved(asked, [figure])
    rows = job.movements(made, figure)
    key, unasked = ("cause", "event", "loan_id"), {**unasked, "figure": figure}
    listing = Listing(rows.lazy(), key, "-size", about, _named(asked), unasked)
    return listing.narrowed([("cause", query.cause)])


def causes(asked: Asked) -> Listing:
    """The roll-forward of an officer's figure: before, what each cause did, after; likewise all that is beneath it."""
    query: CausesQuery = asked.query
    made, about, unasked = _moved(asked, query.figure)
    listing = Listing(job.causes(made).lazy(), ("figure", "cause"), "figure,-size", about, unasked=unasked)
    return listing.narrowed([("figure", query.figure)])


def mix(asked: Asked) -> Listing:
    """Whether an officer's ratio moved by its branches' own ratios or by their weights."""
    made, about, unasked = _moved(asked)
    return Listing(job.mix(made).lazy(), ("part",), "part", about, unasked=unasked)


def _moved(asked: Asked, figures: Sequence[str] = ()) -> tuple[Since, dict[str, Any], dict[str, Any]]:
    """How a metric came from an earlier day, where that comes from, and what was left open."""
    query: SinceQuery = asked.query
    reading, officer_id = whose(asked, query.metric)
    first = query.start_date or reading.day - MONTH
    if first >= reading.day:
        raise ProblemError.bad("start_date", f"must be before {reading.day}")
    known = (query.metric, *reading.catalogue.measures_of(query.metric))
    for figure in figures:
        if figure not in known:
            raise ProblemError.bad("figure", suggest(figure, known))
    with asked.desk.reader() as reader:
        made = job.moved(reader, asked.desk.lake, officer_id, query.metric, reading.day, first)
    return made, meta(reading), {"start_date": first, "officer_id": officer_id}


def loans(asked: Asked) -> Listing:
    """The loans that a figure of an officer is made of, and what each adds to the measures beneath it."""
    query: LoansQuery = asked.query
    reading, officer_id = whose(asked, query.metric)
    desk = asked.desk
    with desk.reader() as reader:
        version = knowledge(reader, desk.lake, reading.day)
    rows, measures = job.adding(desk.settings, desk.lake, version, reading.day, officer_id, query.metric)
    sort = ",".join(f"-{name}" for name in measures) or "loan_id"
    about = {**meta(reading), "known_at": version.run_id}
    key = ("region", "branch", "loan_id")
    return Listing(rows.lazy(), key, sort, about, _named(asked), {"officer_id": officer_id})


def installments(asked: Asked) -> Listing:
    """A loan's installments, and since when each is settled."""
    made, about = stated(asked)
    rows = made.installments.with_row_index("number", 1).lazy()
    return Listing(rows, ("number",), "number", about, unasked={"loan_id": made.loan["loan_id"]})


def payments(asked: Asked) -> Listing:
    """A loan's payments up to the day, and which of them count."""
    made, about = stated(asked)
    loan = {"loan_id": made.loan["loan_id"]}
    return Listing(made.payments.lazy(), ("repayment_id",), "payment_date", about, unasked=loan)


def _named(asked: Asked) -> "Callable[[pl.DataFrame], pl.DataFrame]":
    """Customers' names for the rows shown."""

    def complete(frame: "pl.DataFrame") -> "pl.DataFrame":
        with asked.desk.reader() as connection:
            return with_customers(connection, frame)

    return complete
