"""One run of the log in full: what it held back and could not say, and where the general ledger differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.errors import NotFoundError
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.database import RUN_COLUMNS, opened
from loanmetrics.jobs.held_back import HeldBack, held_back
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import runs
from loanmetrics.store.session import connect

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class RunReport:
    """``run`` as the log's list shows it, why it failed if it did, and what is behind its figures.

    ``held`` is None where the facts of the run are no longer kept. ``figures`` are the measures of the book with what
    the rows held back could change them by; ``breaks`` the branches that differ from the general ledger.
    """

    run: dict[str, Any]
    reason: str
    computed_twice: int
    held: HeldBack | None
    figures: Rows
    breaks: Rows


def report(settings: Settings, run_id: str) -> RunReport:
    """Everything there is to say of one run."""
    with opened(settings) as url, connect(url, "loanmetrics runs") as connection:
        found = runs.find(connection, run_id)
        if found is None:
            raise NotFoundError(f"there is no run {run_id}", "loanmetrics runs")
        lake = lake_of(settings, connection)
    held = _held(lake, run_id)
    told = found["reconciliation"] or {}
    return RunReport(
        run={name: found[column] for name, column in RUN_COLUMNS.items()},
        reason=found["error_message"] or "",
        computed_twice=told.get("computed_twice", 0),
        held=held,
        figures=_figures(held, told.get("book", {}), _meant(found)) if held else [],
        breaks=breaks(told.get("gl_balances", [])),
    )


def _meant(run: Mapping[str, Any]) -> Catalogue:
    """What the run measured."""
    return load(Policy.from_dict(run["policy"] or {}), run["calculation_date"])


def breaks(ledger: Sequence[Mapping[str, Any]]) -> Rows:
    """Branches that differ from the general ledger, day by day, money in minor units."""
    names = ("branch", "ours", "theirs", "difference")
    return [
        {"day": day["day"], **{name: row[name] for name in names}} for day in ledger for row in day["breaks"]
    ]


def _held(lake: Lake, run_id: str) -> HeldBack | None:
    return held_back(lake, lake.version(run_id)) if lake.holds(run_id) else None


def _figures(held: HeldBack, book: Mapping[str, int], catalogue: Catalogue) -> Rows:
    """Measures that rows held back could change; a bound of None says that there is none."""
    bounds = {name: held.bound(catalogue, name) for name in catalogue.measures}
    return [
        {
            "measure": name,
            "published": book.get(name),
            "at_most": bound,
            "kind": catalogue.measures[name].unit,
        }
        for name, bound in bounds.items()
        if bound != 0
    ]
