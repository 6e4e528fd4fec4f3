"""All measures and metrics, found by looking; plain rows for docs, DDL, CLI, API."""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from loanmetrics.engine import metrics as folder
from loanmetrics.engine.measures import LOAN_COLUMNS, MEASURES
from loanmetrics.engine.metric import Measure, Metric, Unit, names_in
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
    """Measures and metrics by name, the metrics in order of evaluation."""

    measures: dict[str, Measure]
    metrics: dict[str, Metric]

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
            }
            for metric in self.metrics.values()
        ]

    def metric(self, name: str) -> Metric:
        """The metric called ``name``, or an error with a hint."""
        if name not in self.metrics:
            raise unknown("metric", name, self.metrics)
        return self.metrics[name]

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


def load(also: Iterable[Metric] = ()) -> Catalogue:
    """Look through the metrics folder and put the metrics in order of evaluation, ``also`` some that are not there."""
    found = [*(metric for module in _modules() for metric in _declared(module)), *also]
    metrics = {metric.name: metric for metric in found}
    measures = {measure.name: measure for measure in MEASURES}
    measures |= {measure.name: measure for metric in found for measure in metric.measures}
    if len(metrics) < len(found) or metrics.keys() & measures.keys():
        raise UsageError("two metrics or measures share a name", "every name is declared once")
    _insist_on_columns(measures)
    return Catalogue(measures, {name: metrics[name] for name in _ordered(metrics, measures)})


def derived_columns() -> tuple[tuple[str, str], ...]:
    """(name, kind) of every column that the catalogue adds to officer_metrics_daily; branches lack ``rank``."""
    return (*load().columns, ("rank", "int"))


def _modules() -> list[str]:
    return sorted(f"{folder.__name__}.{module.name}" for module in pkgutil.iter_modules(folder.__path__))


def _declared(module: str) -> tuple[Metric, ...]:
    loaded = importlib.import_module(module)
    many: tuple[Metric, ...] | None = getattr(loaded, "METRICS", None)
    return many if many is not None else (loaded.METRIC,)


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
