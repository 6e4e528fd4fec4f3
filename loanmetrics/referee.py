"""The whole book once more, in plain SQL on DuckDB: a second opinion that shares no code with the engine.

``referee.sql`` is one chain of steps over the prepared facts; this module only opens the files and fills in
the policy. Used by the tests, by ``loanmetrics verify`` and as the DuckDB peer of the benchmarks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from loanmetrics.facts import lake
from loanmetrics.policy import Policy
from loanmetrics.tables import LOAN_STATUSES, WRITTEN_OFF

if TYPE_CHECKING:
    import duckdb
    import polars as pl

SHARDED = ("loans", "schedule", "repayments")
SINGLE = ("cells", "officers", "channels", "methods", "holidays", "par15")
LATER = {("risk_score", 2): ("loan_age_days", "days_since_repayment")}
EPOCH = date(1970, 1, 1)

Facts: TypeAlias = "duckdb.DuckDBPyConnection | Path | str"


def cells(facts: Facts, as_of: date, policy: Policy) -> "pl.DataFrame":
    """Every measure per (officer_id, region, branch), sorted by them; money in minor units."""
    query = f"SELECT * {_without_later(policy)} FROM cell_measures ORDER BY officer_id, region, branch"
    return _ask(facts, query, parameters(as_of, policy) | {"ever": False})


def _without_later(policy: Policy) -> str:
    """Measures that only a later revision of a metric rests on are left out where the policy names none."""
    later = [names for (metric, nth), names in LATER.items() if nth not in policy.revisions.get(metric, {})]
    left_out = ", ".join(name for names in later for name in names)
    return f"EXCLUDE ({left_out})" if left_out else ""


def loans(facts: Facts, as_of: date, policy: Policy) -> "pl.DataFrame":
    """Every loan's state on that day, sorted by loan_id; money in minor units."""
    return _ask(facts, "SELECT * FROM loan_rows ORDER BY loan_id", parameters(as_of, policy) | {"ever": True})


def sql() -> str:
    """The chain of steps; append a SELECT from ``cell_measures`` or ``loan_rows``."""
    return files("loanmetrics").joinpath("referee.sql").read_text(encoding="utf-8")


def parameters(as_of: date, policy: Policy) -> dict[str, Any]:
    """Named parameters of the chain of steps."""
    windows = ("cohort_days", "frr_days", "flow_days", "roll_days", "due_days", "waiver_days")
    return {
        "as_of": (as_of - EPOCH).days,
        "tolerance": policy.tolerance_minor,
        "share": policy.share_scaled,
        "grace": policy.first_payment_grace_days,
        "inclusive": policy.inclusive,
        "business": policy.calendar == "business",
        "weekend": list(policy.weekend),
        "written_off": LOAN_STATUSES.index(WRITTEN_OFF),
        "final_statuses": [
            LOAN_STATUSES.index(name) for name in policy.final_statuses if name in LOAN_STATUSES
        ],
        "cash_methods": list(policy.cash_methods),
        "pure_channels": list(policy.pure_channels),
        "time_zone": policy.time_zone,
        "float_gap_window_days": policy.float_gap_window_days,
        "float_gap_days": policy.float_gap_days,
        **{name: getattr(policy, name) for name in windows},
    }


def _ask(facts: Facts, query: str, given: dict[str, Any]) -> "pl.DataFrame":
    with _connected(facts) as connection:
        answer: pl.DataFrame = connection.sql(f"{sql()}\n{query}", params=given).pl()
        return answer


@contextmanager
def _connected(facts: Facts) -> "Iterator[duckdb.DuckDBPyConnection]":
    import duckdb

    if not isinstance(facts, Path | str):
        yield facts
        return
    with duckdb.connect() as connection:
        lake.relate(connection, Path(facts))
        yield connection
