"""The catalogue as plain rows: what each metric is, and how each column is to be shown."""

from loanmetrics.engine.catalogue import RANK_ABOUT, Catalogue, load
from loanmetrics.engine.metric import Measure, Metric
from loanmetrics.errors import unknown
from loanmetrics.reference import KINDS


def metrics() -> list[dict[str, str]]:
    """One row per metric, the rank among them."""
    found = [(metric.name, metric.unit, metric.title) for metric in load().metrics.values()]
    ordered = sorted([*found, ("rank", "rank", "Rank")])
    return [{"metric": name, "unit": unit, "title": title} for name, unit, title in ordered]


def measures() -> list[dict[str, str]]:
    """One row per measure, in the order of declaration: some say "of those"."""
    return [{"measure": it.name, "unit": it.unit, "about": it.about} for it in load().measures.values()]


def describe(name: str) -> str:
    """One metric or measure in full; an unknown name is answered with the nearest known one."""
    catalogue = load()
    if name in catalogue.metrics:
        return _metric(catalogue.metrics[name])
    if name in catalogue.measures:
        return _measure(catalogue.measures[name], catalogue)
    if name == "rank":
        return f"rank: Rank (rank, of officers only)\n{RANK_ABOUT}\n\nneeds    risk_score, ayr"
    raise unknown("metric or measure", name, [*catalogue.metrics, *catalogue.measures, "rank"])


def _metric(metric: Metric) -> str:
    lines = [f"{metric.name}: {metric.title} ({metric.unit}, revision {metric.revision})", metric.about, ""]
    lines += [f"formula  {metric.formula}", f"null     {metric.reason}"]
    if metric.bands:
        lines.append(f"bands    {metric.bands} ({metric.band_column})")
    lines += [f"penalty  {term.name}: {term.weight} x {term.share}" for term in metric.terms]
    lines += [f"needs    {', '.join(metric.needs)}"]
    return "\n".join(lines)


def _measure(measure: Measure, catalogue: Catalogue) -> str:
    users = [metric.name for metric in catalogue.metrics.values() if measure.name in metric.needs]
    lines = [f"{measure.name}: a measure ({measure.unit})", measure.about, ""]
    lines += [f"per loan {measure.sql}", f"how      {KINDS[measure.kind]}"]
    lines += [f"used by  {', '.join(sorted(users))}"] if users else []
    return "\n".join(lines)


def kinds() -> dict[str, str]:
    """Kind of every derived column: money, bigint, ratio, score, bool, int or text."""
    return {**dict(load().columns), "rank": "int"}


def band_columns() -> dict[str, str]:
    """Which column holds a metric's band."""
    return {metric.name: metric.band_column for metric in load().metrics.values() if metric.bands}
