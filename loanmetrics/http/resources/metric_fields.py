"""Fields of the lists of officers and branches: every measure and metric, in force and by other revisions."""

from loanmetrics.engine.catalogue import load
from loanmetrics.engine.metric import Metric
from loanmetrics.http.fields import Field, Fields

OTHER_NAMES = {
    "portfolio_total": "total_portfolio",
    "overdue_15d": "overdue_15d_amount",
    "yield": "total_yield",
}
OFFICER_METRICS = (
    "risk_score risk_band ayr dqi fimr all_time_fimr d06_slippage roll frr porr channel_purity on_time_rate "
    "portfolio_total overdue_15d active_loans yield rank"
).split()
BRANCH_METRICS = "portfolio_total overdue_15d par15_ratio ayr dqi fimr active_loans total_officers".split()
TRACKED = [metric.name for metric in load().metrics.values() if metric.unit != "flag"]
BANDS = {metric.name: metric.band_column for metric in load().metrics.values() if metric.bands}
_SCORED = load().metric("risk_score").bands
# Of officers without a score too.
RISK_BANDS = (*(name for name, _ in _SCORED.limits), _SCORED.otherwise, _SCORED.of(None)) if _SCORED else ()


def declared(shown: list[str], rank: bool) -> dict[str, Field]:
    """Every measure and metric: the shown ones under their names of the list, the others on request."""
    catalogue = load()
    about = {it.name: it.about for it in catalogue.measures.values()}
    about |= {it.name: it.about for it in catalogue.metrics.values()}
    kinds = {**dict(catalogue.columns), **({"rank": "int"} if rank else {})}
    named = {column: name for name, column in OTHER_NAMES.items()}
    fields = [
        Field(named.get(name, name), kind, about.get(name, ""), name)  # type: ignore[arg-type]
        for name, kind in kinds.items()
    ]
    by_name = {field.name: field for field in fields}
    ordered = [*shown, *(name for name in by_name if name not in shown)]
    return {name: _shown(by_name[name], name in shown) for name in ordered}


def _shown(field: Field, shown: bool) -> Field:
    return Field(field.name, field.kind, field.about, field.column, shown)


def _revised(metric: Metric, column: str, called: str) -> Field:
    about = f"Revision {metric.revision}, in force or not. {metric.about}"
    if column == metric.name:
        return Field(called, "score" if metric.unit == "score" else "ratio", about, shown=False)
    return Field(called, "text", f"Band of {metric.beside[metric.name]}", shown=False, null=False)


SEVERAL = [metric for every in load().revisions.values() if len(every) > 1 for metric in every]
# Which revision of which metric a field is of; shown when asked for.
REVISIONS = {
    called: (metric.name, metric.revision) for metric in SEVERAL for called in metric.beside.values()
}
REVISED: Fields = tuple(
    _revised(metric, name, called) for metric in SEVERAL for name, called in metric.beside.items()
)
BAND_FIELD = Field(
    "bands",
    "bands",
    "Band of every metric that has bands",
    shown=True,
    sortable=False,
    null=False,
    parts=BANDS,
)
AUDIT_FIELDS: Fields = (
    Field("assignee", "text", "Who audits the officer", audit=True),
    Field("audit_status", "text", "Unassigned, Assigned, In Progress or Resolved", null=False, audit=True),
    Field("last_audit_date", "date", "Day of the last audit action or change of status", audit=True),
)
OFFICERS: Fields = (
    Field("officer_id", "text", null=False),
    Field("officer_name", "text"),
    Field("region", "text"),
    Field("branch", "text", "The officer's home branch"),
    Field("channel", "text", "The officer's primary channel"),
    *declared(OFFICER_METRICS, rank=True).values(),
    *REVISED,
    *AUDIT_FIELDS,
    BAND_FIELD,
    Field("date", "date", "The day the figures are of", "calculation_date", shown=False, null=False),
)
BRANCHES: Fields = (
    Field("branch", "text", null=False),
    Field("region", "text", null=False),
    *declared(BRANCH_METRICS, rank=False).values(),
    *REVISED,
    BAND_FIELD,
    Field("date", "date", "The day the figures are of", "calculation_date", shown=False, null=False),
)
