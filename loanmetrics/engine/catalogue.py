"""All measures and metrics, found by looking; plain rows for docs, DDL, CLI, API."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from loanmetrics.engine import metrics as folder
from loanmetrics.engine.measures import LOAN_COLUMNS, MEASURES
from loanmetrics.engine.metric import Measure, Metric, Unit, in_words, names_in
from loanmetrics.errors import UsageError, suggest, unknown
from loanmetrics.policy import Policy

RANK_ABOUT = (
    "Place among all officers of the day: 0.6 of the risk score's rank and 0.4 of the arrears yield ratio's, "
    "best first."
)
SQL_KINDS: dict[Unit, str] = {
    "money": "money",
    "count": "bigint",
    "ratio": "ratio",
    "score": "score",
    "flag": "bool",
    "rank": "int",
}


@dataclass(frozen=True)
class Catalogue:
    """Measures and metrics by name, the metrics in order of evaluation, each in the revision in force.

    ``revisions`` holds all revisions of each metric, the first one first.
    """

    measures: dict[str, Measure]
    metrics: dict[str, Metric]
    revisions: Mapping[str, tuple[Metric, ...]] = field(default_factory=dict)

    def on(self, policy: Policy, day: date) -> "Catalogue":
        """The same measures, and of each metric the revision in force on another day."""
        chosen = {name: self._in_force(metric, policy, day) for name, metric in self.metrics.items()}
        return self if chosen == self.metrics else replace(self, metrics=_in_order(chosen, self.measures))

    def _in_force(self, metric: Metric, policy: Policy, day: date) -> Metric:
        wanted = policy.revision(metric.name, day)
        return next((it for it in self.revisions.get(metric.name, ()) if it.revision == wanted), metric)

    @cached_property
    def titles(self) -> dict[str, str]:
        """What every measure and metric is called."""
        measures = {measure.name: measure.title for measure in self.measures.values()}
        return measures | {metric.name: metric.title for metric in self.metrics.values()}

    def in_words(self, formula: str) -> str | None:
        """A formula by titles, where it is plain arithmetic."""
        return in_words(formula, self.titles)

    @cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(name, kind) of every derived column that officers and branches share."""
        measures = [(measure.name, SQL_KINDS[measure.unit]) for measure in self.measures.values()]
        metrics = [(metric.name, SQL_KINDS[metric.unit]) for metric in self.metrics.values()]
        bands = [(metric.band_column, "text") for metric in self.metrics.values() if metric.bands]
        return (*measures, *metrics, *bands)

    def rows(self) -> list[dict[str, str]]:
        """Every metric as plain text, for docs, CLI and notebooks."""
        return [
            {
                "name": metric.name,
                "title": metric.title,
                "unit": metric.unit,
                "formula": metric.formula,
                "bands": str(metric.bands or ""),
                "when_null": metric.reason,
                "about": metric.about,
                "revision": str(metric.revision),
            }
            for metric in self.metrics.values()
        ]

    def metric(self, name: str) -> Metric:
        """The metric called ``name``, or an error with a hint."""
        if name not in self.metrics:
            raise unknown("metric", name, self.metrics)
        return self.metrics[name]

    def revision(self, name: str, wanted: int) -> Metric:
        """One revision of a metric, in force or not."""
        return _at(self.revisions.get(name, (self.metric(name),)), wanted)

    def measures_of(self, name: str) -> tuple[str, ...]:
        """Names of all measures that a metric or measure rests on, however deep."""
        if name in self.measures:
            return (name,)
        found: dict[str, None] = {}
        for need in self.metric(name).needs:
            base = need.removesuffix("_raw")
            if base in self.measures or base in self.metrics:
                found |= dict.fromkeys(self.measures_of(base))
        return tuple(found)


def load(policy: Policy = Policy(), day: date = date.max, also: Iterable[Metric] = ()) -> Catalogue:
    """Look through the metrics folder: of each metric the revision in force under a policy on a day, or ever.

    ``also`` adds some that are not there.

    What a later revision rests on is measured on every day, once the policy names it: so a day's sums are those of the
    day before with other events, and both revisions can be told of the days around its beginning.
    """
    revisions = _revisions(also)
    _check_named(policy, revisions)
    chosen = {name: _at(every, policy.revision(name, day)) for name, every in revisions.items()}
    counted = [metric for name, every in revisions.items() for metric in every if _counts(metric, policy)]
    measures = {measure.name: measure for measure in MEASURES}
    measures |= {measure.name: measure for metric in counted for measure in metric.measures}
    declared = len(MEASURES) + sum(len(metric.measures) for metric in counted)
    if len(measures) < declared or chosen.keys() & measures.keys():
        raise UsageError("two metrics or measures share a name", "every name is declared once")
    _insist_on_columns(measures)
    return Catalogue(measures, _in_order(chosen, measures), revisions)


def derived_columns() -> tuple[tuple[str, str], ...]:
    """(name, kind) of every column that the catalogue adds to officer_metrics_daily; branches lack ``rank``.

    Those that only later revisions rest on stand there too, empty until a policy names one.
    """
    return (*load().columns, ("rank", "int"), *later_columns())


def later_columns() -> tuple[tuple[str, str], ...]:
    """(name, kind) of the measures that only later revisions rest on."""
    later = [metric for every in _revisions().values() for metric in every[1:]]
    return tuple((measure.name, SQL_KINDS[measure.unit]) for metric in later for measure in metric.measures)


def everything() -> Catalogue:
    """The catalogue with every measure that some revision rests on, for pages that tell of them all."""
    later = {
        measure.name: measure
        for every in _revisions().values()
        for it in every[1:]
        for measure in it.measures
    }
    known = load()
    return replace(known, measures=known.measures | later)


def check_revisions(policy: Policy) -> None:
    """UsageError if the policy names a metric or a revision that there is not."""
    if policy.revisions:
        _check_named(policy, _revisions())


def _check_named(policy: Policy, revisions: Mapping[str, tuple[Metric, ...]]) -> None:
    several = {name: every for name, every in revisions.items() if len(every) > 1}
    for name, begins in policy.revisions.items():
        if name not in several:
            raise unknown("metric with revisions", name, several)
        for nth in begins:
            _at(revisions[name], nth)


def _at(every: tuple[Metric, ...], wanted: int) -> Metric:
    for metric in every:
        if metric.revision == wanted:
            return metric
    known = ", ".join(str(metric.revision) for metric in every)
    raise UsageError(f"{every[0].name} has no revision {wanted}", f"its revisions: {known}")


def _counts(metric: Metric, policy: Policy) -> bool:
    return metric.revision == 1 or metric.revision in policy.revisions.get(metric.name, {})


def _revisions(also: Iterable[Metric] = ()) -> dict[str, tuple[Metric, ...]]:
    """Every metric that is declared, and ``also`` some others, with its revisions in order."""
    found: dict[str, list[Metric]] = {}
    for metric in (*(it for module in _modules() for it in _declared(module)), *also):
        found.setdefault(metric.name, []).append(metric)
    for name, every in found.items():
        every.sort(key=lambda metric: metric.revision)
        if [metric.revision for metric in every] != list(range(1, len(every) + 1)):
            raise UsageError(
                f"two metrics or revisions share a name: {name}", "revisions are numbered from 1 on"
            )
    return {name: tuple(every) for name, every in found.items()}


def _modules() -> list[str]:
    return sorted(f"{folder.__name__}.{module.name}" for module in pkgutil.iter_modules(folder.__path__))


def _declared(module: str) -> tuple[Metric, ...]:
    loaded = importlib.import_module(module)
    many: tuple[Metric, ...] | None = getattr(loaded, "METRICS", None)
    return many if many is not None else (loaded.METRIC,)


def _in_order(metrics: dict[str, Metric], measures: dict[str, Measure]) -> dict[str, Metric]:
    return {name: metrics[name] for name in _ordered(metrics, measures)}


def _insist_on_columns(measures: dict[str, Measure]) -> None:
    for measure in measures.values():
        known = measures if measure.kind == "distinct_cell" else LOAN_COLUMNS
        for need in names_in(measure.sql):
            if need not in known:
                raise UsageError(
                    f"measure {measure.name} reads {need}, which no loan has", suggest(need, known)
                )


def _ordered(metrics: dict[str, Metric], measures: dict[str, Measure]) -> list[str]:
    policy = {f"policy_{name}" for name in Policy.__struct_fields__}
    raw = {f"{name}_raw" for name, metric in metrics.items() if metric.rounded}
    known = {*metrics, *measures, *policy, *raw}
    for metric in metrics.values():
        for need in metric.needs:
            if need not in known:
                raise UsageError(
                    f"metric {metric.name} needs {need}, which nobody declares", suggest(need, known)
                )
    graph = {
        name: {need.removesuffix("_raw") for need in metric.needs} & metrics.keys()
        for name, metric in metrics.items()
    }
    try:
        return list(TopologicalSorter({name: sorted(graph[name]) for name in sorted(graph)}).static_order())
    except CycleError as error:
        raise UsageError(f"metrics need each other in a circle: {' -> '.join(error.args[1])}") from None
