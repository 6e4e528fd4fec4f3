"""Two runs laid side by side: every changed figure, with its causes per loan and event."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import psycopg

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import everything, load
from loanmetrics.engine.diff import Diff
from loanmetrics.engine.diff import diff as lay
from loanmetrics.engine.diff.figures import figures, names_of
from loanmetrics.engine.diff.shares import EXACT
from loanmetrics.errors import DataError, UsageError, unknown
from loanmetrics.facts.between import touched
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import runs
from loanmetrics.store.session import connect


@dataclass(frozen=True)
class DiffReport:
    """Changed figures with their causes, those to be shown and all that were asked for; ``notes`` for the reader."""

    days: tuple[date, date]
    shown: pl.DataFrame
    causes: pl.DataFrame
    notes: tuple[str, ...]


def diff(
    settings: Settings,
    earlier: str,
    later: str,
    officer: str | None = None,
    branch: str | None = None,
    names: Sequence[str] = (),
    *,
    everyone: bool = False,
) -> DiffReport:
    """What changed from one run to another, and why: of an officer, of a branch, or of the whole book.

    Without an officer or a branch, ``everyone`` adds the causes of every officer and branch to those of the book.
    """
    names_of(everything(), "officer", names)
    with opened(settings) as url, connect(url, "loanmetrics diff") as connection:
        lake = lake_of(settings, connection)
        logged = [_logged(connection, run_id) for run_id in (earlier, later)]
        made = _laid(lake, logged)
    shown = pl.concat([figures(made, by, names, where) for by, where in _scopes(made, officer, branch)])
    more = (
        [figures(made, by, names) for by in ("officer", "branch")]
        if everyone and officer is branch is None
        else []
    )
    days = (made.before.as_of, made.after.as_of)
    return DiffReport(
        days, shown, pl.concat([shown, *more]), tuple(_notes(logged, (made.before, made.after)))
    )


def in_units(causes: pl.DataFrame, kinds: Mapping[str, str]) -> pl.DataFrame:
    """For machines: money in units."""
    money = pl.col("figure").is_in([name for name, kind in kinds.items() if kind == "money"])
    numbers = pl.col("before", "after", "change", "effect")
    return causes.with_columns(
        pl.when(money).then((numbers / 100).cast(EXACT)).otherwise(numbers).name.keep()
    )


def _laid(lake: Lake, logged: Sequence[Mapping[str, Any]]) -> Diff:
    versions = [_kept(lake, run["run_id"]) for run in logged]
    books = [
        Book(lake.facts(version), run["calculation_date"], Policy.from_dict(version.policy))
        for version, run in zip(versions, logged, strict=True)
    ]
    return lay(books[0], books[1], among=touched(lake, *versions))


def _logged(connection: psycopg.Connection, run_id: str) -> Mapping[str, Any]:
    """A run's row in the log, if it published something."""
    found = runs.find(connection, run_id)
    if found is None:
        raise unknown("run", run_id, [run["run_id"] for run in runs.recent(connection)])
    if found["status"] != "Completed":
        raise UsageError(f"run {run_id} is {found['status']}: it published nothing", "loanmetrics runs")
    return found


def _kept(lake: Lake, run_id: str) -> Version:
    if not lake.holds(run_id):
        raise DataError(
            f"the facts of run {run_id} are no longer kept",
            f"they are kept for {runs.KEEP_DAYS} days, those of month ends for good",
        )
    return lake.version(run_id)


def _scopes(made: Diff, officer: str | None, branch: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    """Whose figures to tell: the grouping, and who of it."""
    if officer is None and branch is None:
        yield "book", {}
    for by, column, name in (("officer", "officer_id", officer), ("branch", "branch", branch)):
        if name is not None:
            known = {value for cells in made.cells for value in cells[column]}
            if name not in known:
                raise unknown(by, name, known)
            yield by, {column: name}


def _notes(logged: Sequence[Mapping[str, Any]], books: Sequence[Book]) -> Iterator[str]:
    """Formulas that meant something else when a run was published: it is told by those its policy means today."""
    for run, book in zip(logged, books, strict=True):
        then, now = run["metric_revisions"] or {}, load(book.policy, book.as_of).metrics
        changed = [name for name, metric in now.items() if then.get(name, metric.revision) != metric.revision]
        if changed:
            yield f"run {run['run_id']} was published by other formulas of {', '.join(changed)}"
