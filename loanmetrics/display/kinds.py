"""How each column that a reader may meet is to be shown, and what it means."""

from collections.abc import Collection
from functools import cache
from typing import Final

from loanmetrics.engine.catalogue import RANK_ABOUT, derived_columns, everything
from loanmetrics.engine.metric import Metric
from loanmetrics.tables import LOAN_STATE, LOANS

COHORTS: Final = {
    "loans": "bigint",
    "balance": "money",
    "loans_share": "ratio",
    "balance_share": "ratio",
    "vintage": "date",
    "months_on_book": "int",
    "amount": "money",
    "ever_loans": "bigint",
    "ever_amount": "money",
    "ever_loans_share": "ratio",
    "ever_amount_share": "ratio",
    **dict.fromkeys(("value", "low", "high", "shrunk", "funnel_low", "funnel_high"), "ratio"),
    **dict.fromkeys(("expected", "relative", "adjusted", "alone"), "ratio"),
}
REVIEW: Final = {
    **dict.fromkeys(("loans", "opportunities", "hits"), "bigint"),
    **dict.fromkeys(("rate", "base_rate", "low", "high", "funnel_low", "funnel_high", "chance"), "ratio"),
    **dict.fromkeys(("payment_date", "seen_on"), "date"),
    "same_reference": "bool",
    **dict.fromkeys(("amount", "arrears"), "money"),
    **dict.fromkeys(("days", "dpd_before", "dpd_after"), "int"),
}
ACCOUNT: Final = {
    **dict.fromkeys(
        ("principal", "interest", "fee", "fees", "penalty", "waiver", "amount", "cumulative", "credited"),
        "money",
    ),
    **dict.fromkeys(("due_date", "settled_on", "payment_date", "reversal_date"), "date"),
    **dict.fromkeys(("settled", "counts"), "bool"),
    "days_late": "int",
}
UNITS: Final = {"money": "units", "score": "points", "points": "points"}
LEFT: Final = frozenset(("text", "date", "bool", "json", "timestamp"))
BANDS_BESIDE: Final = frozenset(("band", "band_before", "band_after", "band_now", "band_attributed"))


def kinds_in(columns: Collection[str]) -> dict[str, str]:
    """Kind of each of a frame's columns, money, ratio or date, say; those that nobody knows are left out."""
    named = set(columns)
    known = {
        **_known(),
        **(COHORTS if {"funnel_low", "loans_share", "ever_loans"} & named else {}),
        **(REVIEW if {"opportunities", "other_repayment_ids"} & named else {}),
    }
    return {name: known[name] for name in columns if name in known}


@cache
def _known() -> dict[str, str]:
    states = {column.name: str(column.kind) for table in (LOANS, LOAN_STATE) for column in table.columns}
    figures = dict(derived_columns())
    beside = {called: figures[name] for it in _revised() for name, called in it.beside.items()}
    return {**states, **ACCOUNT, **figures, **beside, "loan_risk_score": "points"}


def _revised() -> list[Metric]:
    """Every revision of metrics that have several."""
    return [metric for every in everything().revisions.values() if len(every) > 1 for metric in every]


@cache
def band_columns() -> frozenset[str]:
    """Columns that hold bands."""
    beside = {it.beside[it.band_column] for it in _revised() if it.bands}
    return BANDS_BESIDE | beside | {it.band_column for it in everything().metrics.values() if it.bands}


@cache
def abouts() -> dict[str, str]:
    """What each figure of the catalogue means, in a sentence."""
    catalogue = everything()
    metrics = {metric.name: f"{metric.title}. {metric.about}" for metric in catalogue.metrics.values()}
    metrics |= {it.beside[it.name]: f"{it.title}, revision {it.revision}. {it.about}" for it in _revised()}
    measures = {measure.name: measure.about for measure in catalogue.measures.values()}
    return {**measures, **metrics, "rank": RANK_ABOUT}


def unit(name: str, kind: str) -> str:
    """What a column's numbers are counted in, where the numbers do not say it themselves."""
    if kind == "int" and ("dpd" in name or "days" in name):
        return "days"
    return UNITS.get(kind, "")
