"""Why an officer's figure is what it is, and how it came there from an earlier day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl
import psycopg

from loanmetrics.engine import statement as accounts
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, everything, load
from loanmetrics.engine.diff import Diff
from loanmetrics.engine.diff.figures import figures
from loanmetrics.engine.diff.shares import EXACT
from loanmetrics.engine.diff.told import changed
from loanmetrics.engine.explain import points
from loanmetrics.engine.metric import Metric
from loanmetrics.engine.mix import Part, mix_and_rate, ratio_of
from loanmetrics.engine.rollforward import rollforward
from loanmetrics.engine.statement import Statement
from loanmetrics.errors import UsageError, unknown
from loanmetrics.facts.between import touched
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs import reading
from loanmetrics.jobs.catalogue import kinds
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.diff import in_units
from loanmetrics.jobs.drilldown import Where, explains, knowledge, masked, with_names
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.session import connect

PARTS: Final = ("region", "branch")


@dataclass(frozen=True)
class Term:
    """What one term of a score costs: ``weight`` times ``share``, clamped to 0..1."""

    name: str
    weight: int
    share: str
    lost: float
    title: str
    in_words: str | None


@dataclass(frozen=True)
class Figure:
    """A measure or metric beneath the one that is explained."""

    name: str
    value: float | int | bool | None


@dataclass(frozen=True)
class Since:
    """How the figure came from what it was on an earlier day.

    ``causes``: one row per loan, cause and event (of, figure, before, after, change, loan_id, cause, event, effect) of
    the figure and of every measure beneath it; effects sum exactly to the change, money in minor units. ``parts``: for
    a ratio, what its branches' own ratios and their weights did.
    """

    day: date
    run_id: str
    causes: pl.DataFrame
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Explained:
    """One figure of one officer: its value and band, what it is made of, its loans. ``in_words``: the formula."""

    officer_id: str
    metric: Metric
    in_words: str | None
    day: date
    run_id: str
    value: float | int | bool | None
    band: str | None
    inputs: tuple[Figure, ...]
    terms: tuple[Term, ...]
    loans: pl.DataFrame
    measures: tuple[str, ...]
    since: Since | None


def explain(
    settings: Settings, officer_id: str, metric: str, as_of: date | None = None, since: date | None = None
) -> Explained:
    """A figure as of a day, the newest published by default, and with ``since`` how it came there."""
    with opened(settings) as url, connect(url, "loanmetrics explain") as connection:
        return explained(
            settings, connection, lake_of(settings, connection), officer_id, metric, as_of, since
        )


def explained(
    settings: Settings,
    connection: psycopg.Connection,
    lake: Lake,
    officer_id: str,
    name: str,
    as_of: date | None,
    since: date | None,
) -> Explained:
    """The same over a session that is open."""
    day, stamp = reading.dated(connection, as_of)
    catalogue = load(stamp.policy(), day)
    metric = catalogue.metric(name)
    row = _row(reading.figures(connection, lake, day).officers, officer_id)
    version = knowledge(connection, lake, day)
    loans, measures = behind(settings, lake, version, day, officer_id, name)
    return Explained(
        officer_id,
        metric,
        catalogue.in_words(metric.formula),
        day,
        stamp.run_id,
        row[name][0],
        row[metric.band_column][0] if metric.bands else None,
        tuple(Figure(need, row[need][0]) for need in _needs(metric, row, catalogue)),
        _terms(metric, row, catalogue),
        loans.sort(*(-pl.col(each).abs() for each in measures), "loan_id"),
        measures,
        _since(connection, lake, officer_id, metric, since, (day, version)) if since else None,
    )


def behind(
    settings: Settings, lake: Lake, version: Version, day: date, officer_id: str, name: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The loans behind a metric of an officer with what each adds to the measures beneath it, and these measures."""
    catalogue = _meant(version, day)
    # Officers are counted, not summed: what a loan adds to that tells nothing.
    measures = tuple(it for it in catalogue.measures_of(name) if catalogue.measures[it].kind == "sum")
    return explains(settings, lake, version, day, name, Where(officer_id=[officer_id])), measures


def adding(
    settings: Settings, lake: Lake, version: Version, day: date, officer_id: str, name: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The same with a column for every measure there is; those that are not beneath the metric are null."""
    rows, measures = behind(settings, lake, version, day, officer_id, name)
    others = [other for other in everything().measures if other not in rows.columns]
    return rows.with_columns(pl.lit(None, pl.Int64).alias(other) for other in others), measures


def moved(
    connection: psycopg.Connection, lake: Lake, officer_id: str, name: str, day: date, since: date
) -> Since:
    """How a metric of an officer came from what it was on an earlier day."""
    version = knowledge(connection, lake, day)
    metric = _meant(version, day).metric(name)
    return _since(connection, lake, officer_id, metric, since, (day, version))


def movements(made: Since, figure: str) -> pl.DataFrame:
    """What moved a figure, loan by loan: loan_id, cause, event, effect; the effects sum exactly to the change.

    In units; ``size`` is the effect without its sign.
    """
    causes = in_units(made.causes.filter(pl.col("figure") == figure), kinds())
    return causes.select("loan_id", "cause", "event", "effect", size=_size())


def causes(made: Since) -> pl.DataFrame:
    """Every figure that moved, before and after, and what each kind of cause did to it, in units.

    ``largest`` is the most that one loan and event did of a cause, ``loan_id`` and ``event`` tell which.
    """
    schema = {
        **dict.fromkeys(("figure", "cause", "loan_id", "event"), pl.String()),
        **dict.fromkeys(("before", "after", "effect", "largest"), EXACT),
        "times": pl.Int64(),
    }
    rows = [
        (
            *(it.name, cause.name, cause.loan_id, cause.event),
            *(it.before, it.after, cause.effect, cause.largest, cause.times),
        )
        for it in changed(in_units(made.causes, kinds()))
        for cause in it.causes
    ]
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(size=_size())


def mix(made: Since) -> pl.DataFrame:
    """What the ratios of an officer's branches did to the officer's, and what their weights did."""
    schema = {"part": pl.String(), **dict.fromkeys(("before", "after", "rate", "mix"), pl.Float64())}
    rows = [
        (
            part.name,
            *(None if it is None else float(it) for it in (part.before, part.after, part.rate, part.mix)),
        )
        for part in made.parts
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _size() -> pl.Expr:
    return pl.col("effect").abs().cast(EXACT)


def loan(settings: Settings, loan_id: str, as_of: date | None = None) -> tuple[date, Statement]:
    """One loan's account on a day, the newest published by default, as the run that published the day knew it."""
    with opened(settings) as url, connect(url, "loanmetrics explain") as connection:
        lake = lake_of(settings, connection)
        day, _ = reading.dated(connection, as_of)
        return day, account(lake, knowledge(connection, lake, day), day, loan_id)


def account(lake: Lake, version: Version, day: date, loan_id: str) -> Statement:
    """One loan's account on a day as a version of the facts knew it."""
    return accounts.statement(_book(lake, version, day), loan_id)


def named(settings: Settings, loans: pl.DataFrame) -> pl.DataFrame:
    """The loans with their customers; telephone numbers show their last digits only."""
    known = loans.filter(pl.col("loan_id").is_not_null())
    with opened(settings) as url, connect(url, "loanmetrics explain") as connection:
        return with_names(connection, known).with_columns(
            masked(pl.col("customer_phone")).alias("customer_phone")
        )


def _meant(version: Version, day: date) -> Catalogue:
    """What figures mean on a day under the policy of a version."""
    return load(Policy.from_dict(version.policy), day)


def _row(officers: pl.DataFrame, officer_id: str) -> pl.DataFrame:
    mine = officers.filter(pl.col("officer_id") == officer_id)
    if mine.is_empty():
        raise unknown("officer", officer_id, officers["officer_id"].to_list())
    return mine


def _needs(metric: Metric, row: pl.DataFrame, catalogue: Catalogue) -> Sequence[str]:
    """Numerator and denominator of a ratio; of another formula what it reads, policy aside."""
    needs = (need.removesuffix("_raw") for need in metric.needs)
    return ratio_of(metric, catalogue) or [need for need in dict.fromkeys(needs) if need in row.columns]


def _terms(metric: Metric, row: pl.DataFrame, catalogue: Catalogue) -> tuple[Term, ...]:
    if not metric.terms or row[metric.name][0] is None:
        return ()
    lost: Mapping[str, Any] = points(row, metric.name, catalogue).row(0, named=True)
    return tuple(
        Term(term.name, term.weight, term.share, lost[term.name], term.title, catalogue.in_words(term.share))
        for term in metric.terms
    )


def _since(
    connection: psycopg.Connection,
    lake: Lake,
    officer_id: str,
    metric: Metric,
    since: date,
    now: tuple[date, Version],
) -> Since:
    day, version = now
    if since >= day:
        raise UsageError(f"{since} is not before {day}", "--from takes the earlier day")
    first, _ = reading.dated(connection, since)
    earlier = knowledge(connection, lake, first)
    books = _books(lake, (first, earlier), now)
    made = rollforward(*books, officers=[officer_id], among=touched(lake, earlier, version))
    wanted = [metric.name, *made.now.measures_of(metric.name)]
    causes = figures(made, "officer", wanted, {"officer_id": officer_id})
    return Since(first, earlier.run_id, causes, _parts(made, metric, officer_id))


def _parts(made: Diff, metric: Metric, officer_id: str) -> tuple[Part, ...]:
    measures = ratio_of(metric, made.now)
    if measures is None:
        return ()
    mine = [cells.filter(pl.col("officer_id") == officer_id) for cells in made.cells]
    return tuple(mix_and_rate(mine[0], mine[1], measures, PARTS))


def _books(lake: Lake, first: tuple[date, Version], last: tuple[date, Version]) -> tuple[Book, Book]:
    """Both days' books; where one run knew both, on the same facts."""
    after = _book(lake, last[1], last[0])
    if first[1].run_id == last[1].run_id:
        return Book(after.facts, first[0], after.policy), after
    return _book(lake, first[1], first[0]), after


def _book(lake: Lake, version: Version, day: date) -> Book:
    return Book(lake.facts(version), day, Policy.from_dict(version.policy))
