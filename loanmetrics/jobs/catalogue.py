"""The catalogue as plain rows: what each metric is, and how each column is to be shown."""

from loanmetrics.engine.catalogue import RANK_ABOUT, Catalogue, derived_columns, everything, load
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
    return [{"measure": it.name, "unit": it.unit, "about": it.about} for it in everything().measures.values()]


def describe(name: str) -> str:
    """One metric in all its revisions, or one measure; an unknown name is answered with the nearest known one."""
    catalogue = everything()
    if name in catalogue.metrics:
        return "\n\n".join(map(_metric, catalogue.revisions[name]))
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
    users = {
        metric.name
        for every in catalogue.revisions.values()
        for metric in every
        if measure.name in metric.needs
    }
    lines = [f"{measure.name}: a measure ({measure.unit})", measure.about, ""]
    lines += [f"per loan {measure.sql}", f"how      {KINDS[measure.kind]}"]
    lines += [f"used by  {', '.join(sorted(users))}"] if users else []
    return "\n".join(lines)


def kinds() -> dict[str, str]:
    """Kind of every derived column, those beside them included: money, bigint, ratio, score, bool, int or text."""
    known = dict(derived_columns())
    beside = {called: known[name] for it in _with_revisions() for name, called in it.beside.items()}
    return {**known, **beside}


def definitions() -> dict[str, str]:
    """What every derived column means."""
    known = everything()
    found = {it.name: it.about for it in known.measures.values()}
    found |= {it.name: it.about for it in known.metrics.values()}
    found |= {it.band_column: f"Band of {it.name}: {it.bands}" for it in known.metrics.values() if it.bands}
    for it in _with_revisions():
        found[it.beside[it.name]] = f"Revision {it.revision}. {it.about}"
        if it.bands:
            found[it.beside[it.band_column]] = f"Band of {it.beside[it.name]}: {it.bands}"
    return found | {"rank": RANK_ABOUT}


def band_columns() -> dict[str, str]:
    """Which column holds a metric's band."""
    found = {metric.name: metric.band_column for metric in load().metrics.values() if metric.bands}
    beside = [(it, it.beside) for it in _with_revisions() if it.bands]
    return found | {called[it.name]: called[it.band_column] for it, called in beside}


def _with_revisions() -> list[Metric]:
    """Every revision of metrics that have several."""
    return [metric for every in load().revisions.values() if len(every) > 1 for metric in every]
