"""The loans behind the figures: first-payment misses and early indicators, on any day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from loanmetrics.errors import suggest
from loanmetrics.http.fields import Field, Fields
from loanmetrics.http.parameters import DatedCursor, Days, Texts, Units
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.routes import Asked
from loanmetrics.jobs import loans
from loanmetrics.jobs.drilldown import Where
from loanmetrics.jobs.listing import Listing
from loanmetrics.tables import LOAN_STATUSES, MINOR_PER_UNIT

if TYPE_CHECKING:
    import polars as pl

_IDENTITY: Fields = (
    Field("loan_id", "text", null=False),
    Field("customer_name", "text", sortable=False),
    Field("customer_phone", "text", "The last four digits only, for viewers", sortable=False),
    Field("officer_id", "text"),
    Field("officer_name", "text", sortable=False),
    Field("region", "text"),
    Field("branch", "text"),
    Field("disbursement_date", "date", null=False),
    Field("loan_amount", "money", null=False),
)
_FIMR_TAGGED = Field("fimr_tagged", "bool", "The first payment was missed", null=False)
_BALANCE = Field("outstanding_balance", "money", null=False)
_DPD = Field("current_dpd", "int", "Days past due of the oldest unsettled installment", null=False)
FIMR: Fields = (
    *_IDENTITY,
    Field("first_payment_due_date", "date"),
    Field("first_payment_received_date", "date"),
    Field("days_late", "int", "Days from the first due date to the first payment, or to the day asked for"),
    _FIMR_TAGGED,
    _DPD,
    Field("status", "text"),
    _BALANCE,
)
EARLY: Fields = (
    *_IDENTITY,
    _DPD,
    Field("dpd_bucket", "text", null=False),
    Field("previous_dpd_bucket", "text", "roll_days earlier, as it stood"),
    Field("roll_direction", "text", "worsening, stable or improving"),
    _BALANCE,
    Field("arrears_amount", "money", null=False),
    Field("last_payment_date", "date"),
    Field("next_payment_due", "date"),
    Field("early_indicator_tagged", "bool", "1 to 6 days past due", null=False),
    _FIMR_TAGGED,
    Field("status", "text"),
)


class LoansQuery(DatedCursor, frozen=True, kw_only=True):
    """Which loans."""

    region: Texts = ()
    branch: Texts = ()
    officer_id: Texts = ()
    start_date: date | None = None
    end_date: date | None = None
    status: Texts = ()
    min_amount: Units | None = None
    max_amount: Units | None = None


class FimrQuery(LoansQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loans by their first payment; disbursed from ``start_date`` to ``end_date``."""

    fimr_tagged: bool = True


class EarlyQuery(LoansQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loans by how late they are."""

    early_indicator_tagged: bool | None = None
    dpd_min: Days | None = None
    dpd_max: Days | None = None


def fimr(asked: Asked) -> Listing:
    """Loans whose first payment was missed, or was not."""
    return _listing(asked).narrowed([("fimr_tagged", [asked.query.fimr_tagged])])


def early(asked: Asked) -> Listing:
    """Loans one to six days late; with bounds on DPD and no tag asked for, whatever lies within them."""
    query: EarlyQuery = asked.query
    tagged, low, high = query.early_indicator_tagged, query.dpd_min, query.dpd_max
    if tagged is None and low is None and high is None:
        tagged = True
    _ordered("dpd_min", low, "dpd_max", high)
    found = _listing(asked).within([("current_dpd", low, high)])
    narrowed = found.narrowed([("early_indicator_tagged", [] if tagged is None else [tagged])])
    return replace(narrowed, unasked={} if tagged is None else {"early_indicator_tagged": tagged})


def _listing(asked: Asked) -> Listing:
    query: LoansQuery = asked.query
    first, last, least, most = query.start_date, query.end_date, query.min_amount, query.max_amount
    _ordered("start_date", first, "end_date", last)
    _ordered("min_amount", least, "max_amount", most)
    for status in query.status:
        if status not in LOAN_STATUSES:
            raise ProblemError.bad("status", suggest(status, LOAN_STATUSES))
    where = Where(query.officer_id, query.region, query.branch)
    with asked.desk.reader() as connection:
        found = loans.listing(asked.desk.settings, connection, asked.desk.lake, query.date, where)
    bounds = [("disbursement_date", first, last), ("loan_amount", _minor(least), _minor(most))]
    narrowed = found.narrowed([("status", query.status)]).within(bounds)
    return replace(narrowed, complete=_completing(asked))


def _ordered(low_name: str, low: Any, high_name: str, high: Any) -> None:
    if low is not None and high is not None and low > high:
        raise ProblemError.bad(low_name, f"is above {high_name}")


def _minor(units: int | None) -> int | None:
    return None if units is None else units * MINOR_PER_UNIT


def _completing(asked: Asked) -> "Callable[[pl.DataFrame], pl.DataFrame]":
    """Names and telephone numbers for the rows shown, the numbers masked for those who need no more."""

    def complete(frame: "pl.DataFrame") -> "pl.DataFrame":
        with asked.desk.reader() as connection:
            return loans.with_people(connection, frame, whole=asked.member.may("auditor"))

    return complete
