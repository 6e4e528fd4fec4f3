"""Loan officer metrics, exact to the cent: the notebook API.

>>> import loanmetrics as lm
>>> book = lm.Book.sample()
>>> lm.compute(book, "fimr", "risk_score", by="region").collect().columns
['region', 'fimr', 'fimr_band', 'risk_score', 'risk_band']
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loanmetrics.cohorts import attribution, certainty, peers, roll_matrix, vintage
    from loanmetrics.display.show import show
    from loanmetrics.explanation import explain, rollforward, statement, whatif
    from loanmetrics.notebook import Book, agg, band, compute, diff, expr, frame, history, loans, metrics, sql
    from loanmetrics.policy import Policy
    from loanmetrics.reviewing import review, review_hits

__version__ = "0.1.0"
__all__ = [
    "Book",
    "Policy",
    "agg",
    "attribution",
    "band",
    "certainty",
    "compute",
    "diff",
    "explain",
    "expr",
    "frame",
    "history",
    "loans",
    "metrics",
    "peers",
    "review",
    "review_hits",
    "roll_matrix",
    "rollforward",
    "show",
    "sql",
    "statement",
    "vintage",
    "whatif",
]
HOMES = {
    "show": "loanmetrics.display.show",
    "Policy": "loanmetrics.policy",
    **dict.fromkeys(("attribution", "certainty", "peers", "roll_matrix", "vintage"), "loanmetrics.cohorts"),
    **dict.fromkeys(("review", "review_hits"), "loanmetrics.reviewing"),
    **dict.fromkeys(("explain", "rollforward", "statement", "whatif"), "loanmetrics.explanation"),
}


def __getattr__(name: str) -> Any:
    """Load the engine on first use: importing this package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'loanmetrics' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES.get(name, "loanmetrics.notebook")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
