"""What a metric or a measure is, on a card."""

from collections.abc import Iterator

from loanmetrics.display.table import Column, Table
from loanmetrics.engine.catalogue import everything
from loanmetrics.engine.metric import Bands, Measure, Metric
from loanmetrics.errors import unknown
from loanmetrics.reference import KINDS


def define(name: str) -> Metric | Measure:
    """The metric or measure called ``name``, or an error with a hint."""
    catalogue = everything()
    found = catalogue.metrics.get(name) or catalogue.measures.get(name)
    if found is None:
        raise unknown("metric or measure", name, [*catalogue.metrics, *catalogue.measures])
    return found


def facts(defined: Metric | Measure) -> Table:
    """Its unit, formula and so on, a line for each."""
    rows = dict(_metric(defined) if isinstance(defined, Metric) else _measure(defined))
    return Table([Column("", list(rows)), Column(defined.name, list(rows.values()))])


def bands(defined: Metric | Measure) -> Iterator[Table]:
    """Where each band lies, if it has any."""
    if isinstance(defined, Metric) and defined.bands:
        names, limits = zip(*_limits(defined.bands), strict=True)
        yield Table([Column("band", names, band=True), Column("where", limits)])


def terms(defined: Metric | Measure) -> Iterator[Table]:
    """What a score is lowered by, if it is one."""
    if isinstance(defined, Metric) and defined.terms:
        yield Table(
            [
                Column("term", [term.name for term in defined.terms]),
                Column("at most", [str(term.weight) for term in defined.terms], right=True, unit="points"),
                Column("share of it", [term.share for term in defined.terms]),
            ]
        )


def _metric(metric: Metric) -> Iterator[tuple[str, str]]:
    yield "title", metric.title
    yield "means", metric.about
    yield "unit", metric.unit
    if not metric.terms:
        yield "formula", metric.formula
    yield "null", f"{metric.reason}: no data is not zero"
    yield "revision", str(metric.revision)


def _measure(measure: Measure) -> Iterator[tuple[str, str]]:
    yield "title", measure.title
    yield "means", measure.about
    yield "unit", measure.unit
    yield "per loan", measure.sql
    yield "how", KINDS[measure.kind]


def _limits(known: Bands) -> Iterator[tuple[str, str]]:
    for name, limit in known.limits:
        yield name, f"{known.comparison} {limit:g}"
    yield known.otherwise, "else"
