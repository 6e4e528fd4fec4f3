"""The catalogue as plain rows: what each metric is, and how each column is to be shown."""

from loanmetrics.engine.catalogue import load


def metrics() -> list[dict[str, str]]:
    """One row per metric."""
    return [
        {
            "metric": metric.name,
            "title": metric.title,
            "unit": metric.unit,
            "formula": metric.formula,
            "bands": str(metric.bands or ""),
        }
        for metric in sorted(load().metrics.values(), key=lambda metric: metric.name)
    ]


def describe(name: str) -> str:
    """One metric in full; an unknown name is answered with the nearest known one."""
    metric = load().metric(name)
    lines = [f"{metric.name}: {metric.title} ({metric.unit}, revision {metric.revision})", metric.about, ""]
    lines += [f"formula  {metric.formula}", f"null     {metric.reason}"]
    if metric.bands:
        lines.append(f"bands    {metric.bands} ({metric.band_column})")
    lines += [f"penalty  {term.name}: {term.weight} x {term.share}" for term in metric.terms]
    lines += [f"needs    {', '.join(metric.needs)}"]
    return "\n".join(lines)


def kinds() -> dict[str, str]:
    """Kind of every derived column: money, bigint, ratio, score, bool, int or text."""
    return {**dict(load().columns), "rank": "int"}


def band_columns() -> dict[str, str]:
    """Which column holds a metric's band."""
    return {metric.name: metric.band_column for metric in load().metrics.values() if metric.bands}
