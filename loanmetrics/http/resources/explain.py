"""Why a figure is what it is: what it is made of, how it came there, and a loan's account."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from loanmetrics.engine.catalogue import load
from loanmetrics.engine.diff.told import Cause, Changed, changed
from loanmetrics.engine.statement import Statement
from loanmetrics.errors import NotFoundError, suggest
from loanmetrics.http.fields import money
from loanmetrics.http.parameters import Dated, Text
from loanmetrics.http.problems import ProblemError
from loanmetrics.http.resources.metrics import meta
from loanmetrics.http.routes import Answer, Asked
from loanmetrics.jobs import catalogue
from loanmetrics.jobs import explain as job
from loanmetrics.jobs.drilldown import knowledge
from loanmetrics.jobs.loans import people_of
from loanmetrics.jobs.reading import Reading
from loanmetrics.jobs.window import window

Number = Decimal | float | int | bool | None
LOAN_MONEY = frozenset(
    (
        *("total_outstanding", "arrears_amount", "overpaid", "principal_outstanding", "interest_outstanding"),
        *("fees_outstanding", "total_principal_paid", "total_interest_paid", "total_fees_paid"),
    )
)
ROW_MONEY = frozenset(
    ("principal", "interest", "fee", "fees", "penalty", "waiver", "amount", "cumulative", "credited")
)


class ExplainQuery(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which figure, of which day, and since when; how many of its loans to show."""

    metric: Text = "risk_score"
    start_date: date | None = None
    loans: Annotated[int, msgspec.Meta(ge=0, le=500)] = 20


class AccountQuery(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which day."""


class Made(msgspec.Struct, frozen=True):
    """A measure or metric that the formula reads."""

    name: str
    value: Number


class Term(msgspec.Struct, frozen=True):
    """What one term of a score costs."""

    term: str
    title: str
    weight: int
    share: str
    in_words: str | None
    lost: float


class Why(msgspec.Struct, frozen=True):
    """One kind of cause: all it did, how often, and the ``largest`` of it: by which loan and event.

    Null effect: no evidence.
    """

    cause: str
    effect: Decimal | None
    times: int
    loan_id: str | None
    event: str
    largest: Decimal | None


class Moved(msgspec.Struct, frozen=True):
    """A figure on both days; the effects of its causes sum exactly to the change.

    ``window`` says so where it moved mostly because old evidence left the days it looks at.
    """

    figure: str
    before: Decimal | None
    after: Decimal | None
    change: Decimal | None
    window: str | None
    causes: list[Why]


class Share(msgspec.Struct, frozen=True):
    """A branch's part in a ratio's change: by its own ratio's change (``rate``), by its weight's (``mix``)."""

    part: str
    before: float | None
    after: float | None
    rate: float
    mix: float


class Since(msgspec.Struct, frozen=True):
    """How the figure, and every measure beneath it that moved, came from an earlier day."""

    date: date
    run_id: str
    figures: list[Moved]
    mix: list[Share]


class Explained(msgspec.Struct, frozen=True):
    """A figure of an officer: what it is made of and the loans that add most to it, measure by measure.

    ``measures``: all that it rests on, however deep. ``in_words``: a formula by titles, where it is plain arithmetic.
    """

    officer_id: str
    metric: str
    title: str
    formula: str
    in_words: str | None
    about: str
    value: Number
    band: str | None
    reason: str | None
    made_of: list[Made]
    terms: list[Term]
    measures: list[str]
    loans: list[dict[str, Any]]
    total_loans: int
    since: Since | None


class Account(msgspec.Struct, frozen=True):
    """A loan as it stood on a day, whose it is, its installments, its payments."""

    loan: dict[str, Any]
    installments: list[dict[str, Any]]
    payments: list[dict[str, Any]]


def figure(asked: Asked) -> Answer:
    """One officer's figure explained."""
    query: ExplainQuery = asked.query
    reading, officer_id = whose(asked, query.metric)
    if query.start_date and query.start_date >= reading.day:
        raise ProblemError.bad("start_date", f"must be before {reading.day}")
    desk = asked.desk
    with desk.reader() as reader:
        made = job.explained(
            desk.settings, reader, desk.lake, officer_id, query.metric, reading.day, query.start_date
        )
    return Answer(_explained(made, query.loans), meta(reading))


def whose(asked: Asked, metric: str) -> tuple[Reading, str]:
    """The figures of the day and the officer that are asked for; refused if there is no such metric or officer."""
    if metric not in (known := load().metrics):
        raise ProblemError.bad("metric", suggest(metric, known))
    reading, officer_id = asked.desk.reading(asked.query.date), asked.path["officer_id"]
    if officer_id not in reading.officers["officer_id"]:
        raise NotFoundError(f"there is no officer {officer_id}")
    return reading, officer_id


def account(asked: Asked) -> Answer:
    """One loan's installments and payments."""
    made, about = stated(asked)
    with asked.desk.reader() as reader:
        names = people_of(reader, made.loan, whole=asked.member.may("auditor"))
    return Answer(_account(made, names), about)


def stated(asked: Asked) -> tuple[Statement, dict[str, Any]]:
    """A loan's account on a day, and where it comes from."""
    reading = asked.desk.reading(asked.query.date)
    with asked.desk.reader() as reader:
        version = knowledge(reader, asked.desk.lake, reading.day)
        made = job.account(asked.desk.lake, version, reading.day, asked.path["loan_id"])
    return made, {**meta(reading), "known_at": version.run_id}


def _explained(made: job.Explained, loans: int) -> Explained:
    metric, kinds = made.metric, catalogue.kinds()
    shown = made.loans.head(loans).to_dicts()
    return Explained(
        officer_id=made.officer_id,
        metric=metric.name,
        title=metric.title,
        formula=metric.formula,
        in_words=made.in_words,
        about=metric.about,
        value=_number(made.value, kinds[metric.name]),
        band=made.band,
        reason=metric.reason if made.value is None else None,
        made_of=[Made(it.name, _number(it.value, kinds[it.name])) for it in made.inputs],
        terms=[Term(it.name, it.title, it.weight, it.share, it.in_words, it.lost) for it in made.terms],
        measures=list(made.measures),
        loans=[
            {name: _number(value, kinds.get(name, "text")) for name, value in row.items()} for row in shown
        ],
        total_loans=len(made.loans),
        since=_since(made.since, kinds) if made.since else None,
    )


def _since(since: job.Since, kinds: dict[str, str]) -> Since:
    return Since(
        since.day,
        since.run_id,
        [_moved(figure, kinds[figure.name]) for figure in changed(since.causes)],
        [
            Share(part.name, _float(part.before), _float(part.after), float(part.rate), float(part.mix))
            for part in since.parts
        ],
    )


def _moved(figure: Changed, kind: str) -> Moved:
    before, after, change = (_exact(value, kind) for value in (figure.before, figure.after, figure.change))
    causes = [_why(cause, kind) for cause in figure.causes]
    return Moved(figure.name, before, after, change, window(figure), causes)


def _why(cause: Cause, kind: str) -> Why:
    effect, largest = (_exact(value, kind) for value in (cause.effect, cause.largest))
    return Why(cause.name, effect, cause.times, cause.loan_id, cause.event, largest)


def _exact(value: Decimal | None, kind: str) -> Decimal | None:
    return value.scaleb(-2) if value is not None and kind == "money" else value


def _number(value: Any, kind: str) -> Any:
    return money(value) if kind == "money" else value


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _account(made: Statement, names: dict[str, Any]) -> Account:
    return Account(
        {**_paid(made.loan, LOAN_MONEY), **names},
        *(
            [_paid(row, ROW_MONEY) for row in frame.to_dicts()]
            for frame in (made.installments, made.payments)
        ),
    )


def _paid(row: dict[str, Any], amounts: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    return {name: money(value) if name in amounts else value for name, value in row.items()}
