"""Published rows with figures by other revisions of their formulas beside them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Literal

import polars as pl
import psycopg

from loanmetrics.engine import results, run
from loanmetrics.engine.beside import Beside, beside, names
from loanmetrics.engine.catalogue import load
from loanmetrics.errors import NotFoundError
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.days import book_of
from loanmetrics.jobs.drilldown import knowledge, stored_by
from loanmetrics.jobs.reading import Told
from loanmetrics.policy import Policy

By = Literal["officer", "branch"]


def with_revisions(
    connection: psycopg.Connection,
    lake: Lake,
    rows: pl.DataFrame,
    by: By,
    policy: Policy,
    asked: Mapping[str, int],
) -> pl.DataFrame:
    """Rows of one day, published under ``policy``, with a column more for each figure and band that is asked for.

    From the measures beside the published figures, where the policy names the revisions; else from the facts of the
    run that published the day.
    """
    day = rows["calculation_date"][0]
    for other in beside(policy, day, asked):
        if set(other.catalogue.measures) <= set(rows.columns):
            sums = rows.select(*other.catalogue.measures)
            told = run.evaluated(sums, other.policy, other.catalogue)
            rows = rows.hstack(told.select(other.shown))
        else:
            key = list(run.GROUPS[by])
            told = _from_facts(connection, lake, day, by, other).select(*key, *other.shown)
            rows = rows.join(told, on=key, how="left", maintain_order="left")
    return rows


def revised(
    connection: psycopg.Connection, lake: Lake, told: Told, rows: pl.DataFrame, by: By, nth: int
) -> pl.DataFrame:
    """Every figure that has several revisions, by the ``nth`` of them: for ``rows`` of a day, these columns alone."""
    asked = {name: nth for name, every in load().revisions.items() if len(every) >= max(nth, 2)}
    if rows.is_empty():
        called = [pair for columns in names(asked).values() for pair in columns.items()]
        return pl.DataFrame(schema={column: rows.schema[name] for name, column in called})
    whole = with_revisions(connection, lake, rows, by, told.stamp.policy(), asked)
    return whole.select(whole.columns[len(rows.columns) :])


def _from_facts(connection: psycopg.Connection, lake: Lake, day: date, by: By, other: Beside) -> pl.DataFrame:
    version = knowledge(connection, lake, day)
    if version.run_id != (stored_by(connection, day) or version.run_id):
        raise NotFoundError(
            f"the facts of {day} are no longer kept, and its figures do not hold what the revision rests on",
            "a policy that names the revision keeps that with the figures",
        )
    book = replace(book_of(lake, version, day), policy=other.policy)
    cells = run.cells(book, other.catalogue)
    make = results.officers if by == "officer" else results.branches
    return make(cells, book, other.catalogue)
