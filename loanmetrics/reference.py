"""docs/metrics.md, written from the catalogue: ``python -m loanmetrics.reference > docs/metrics.md``."""

from collections.abc import Iterator

from loanmetrics.engine.catalogue import RANK_ABOUT, Catalogue, everything
from loanmetrics.engine.measures import LOAN_COLUMNS
from loanmetrics.engine.metric import Example, Measure, Metric

INTRO = """# Measures and metrics

*Generated from the catalogue (`python -m loanmetrics.reference`); do not edit.*

A **measure** is a count or a sum over loans: it adds over any split of the book. A **metric** is a formula over
measures and metrics, evaluated after summing: a branch is a ratio of sums, never a mean of ratios. No data is null
with a reason, not zero.
Money is kept in integer minor units; a score is rounded to 9 decimals, then half away from zero to an integer.
What the definitions leave open is settled in [conventions.md](conventions.md).

A metric may have later **revisions**. Revision 1 counts, unless the lender's policy names the day from which another
one does: `[revisions.risk_score]` with `2 = 2026-10-01`. Days before it keep what they were."""
KINDS = {
    "sum": "summed over loans",
    "distinct": "officers counted once, where any loan qualifies",
    "distinct_cell": "officers counted once, where an (officer, region, branch) cell qualifies",
}


def markdown(catalogue: Catalogue) -> str:
    """The whole reference page."""
    blocks = [
        INTRO,
        "## Metrics",
        *(_metric(it) for name in sorted(catalogue.metrics) for it in catalogue.revisions[name]),
        f"### rank\n\n{RANK_ABOUT}",
        "## Measures",
        "\n".join(_measures(catalogue)),
        "## What a measure may read of a loan",
        "\n".join(["| column | meaning |\n|---|---|", *map(_column, LOAN_COLUMNS.items())]),
    ]
    return "\n\n".join(blocks) + "\n"


def _metric(metric: Metric) -> str:
    lines = [
        f"### {metric.name}{f', revision {metric.revision}' if metric.revision > 1 else ''}",
        "",
        f"**{metric.title}** ({metric.unit}, revision {metric.revision}). {metric.about}",
        "",
    ]
    lines += ["```sql", metric.formula, "```", "", f"Null: `{metric.reason}`."]
    if metric.bands:
        lines += ["", f"Bands (`{metric.band_column}`): {metric.bands}; `n/a` without evidence."]
    if metric.terms:
        lines += ["", "| term | points at most | share |", "|---|---|---|"]
        lines += [f"| {term.name} | {term.weight} | `{term.share}` |" for term in metric.terms]
    if metric.examples:
        lines += ["", *(f"- {_example(example)}" for example in metric.examples)]
    return "\n".join(lines)


def _example(example: Example) -> str:
    given = ", ".join(f"{name} = {_number(value)}" for name, value in example.given.items())
    return f"with {given}: **{_number(example.value)}**"


def _number(value: float | None) -> str:
    return "null" if value is None else f"{value:.6g}"


def _measures(catalogue: Catalogue) -> Iterator[str]:
    yield "| measure | title | unit | meaning | per loan | |\n|---|---|---|---|---|---|"
    later = {
        measure.name: f"; for revision {it.revision} of {name} only"
        for name, every in catalogue.revisions.items()
        for it in every[1:]
        for measure in it.measures
    }
    for measure in catalogue.measures.values():
        yield _row(measure, later.get(measure.name, ""))


def _row(measure: Measure, note: str) -> str:
    how = f"{KINDS[measure.kind]}{note}"
    return (
        f"| {measure.name} | {measure.title} | {measure.unit} | {measure.about} | `{measure.sql}` | {how} |"
    )


def _column(named: tuple[str, str]) -> str:
    name, about = named
    return f"| {name} | {about} |"


if __name__ == "__main__":
    print(markdown(everything()), end="")
