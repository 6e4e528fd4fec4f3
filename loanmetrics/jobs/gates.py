"""What must hold before anything is published; a refused gate says which figure and by how much."""

from collections.abc import Mapping

import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import GateError
from loanmetrics.facts.extract import Source
from loanmetrics.facts.prepare import Intake
from loanmetrics.policy import Policy


def facts_are_whole(source: Source, intake: Intake, kept: Mapping[str, int], policy: Policy) -> None:
    """All that must hold of a version of the facts before any figure is made of it."""
    source_equals_intake(source, intake)
    nothing_disappears(intake, kept)
    few_held_back(intake, policy)


def source_equals_intake(source: Source, intake: Intake) -> None:
    """Rows and sums that were read are those of the source, in the same snapshot."""
    for what, told, read in (("rows", source.rows, intake.rows), ("sum", source.sums, intake.sums)):
        for table, expected in told.items():
            if read[table] != expected:
                raise GateError(
                    f"{table}: {what} read {read[table]:,}, the source says {expected:,}", "run again"
                )


def nothing_disappears(intake: Intake, kept: Mapping[str, int]) -> None:
    """Every row read is either in the facts or held back under a rule."""
    for table, rows in kept.items():
        held = sum(count for (name, _), count in intake.quarantine.items() if name == table)
        if rows + held != intake.rows[table]:
            raise GateError(
                f"{table}: {intake.rows[table]:,} rows read, {rows:,} kept and {held:,} held back"
            )


def few_held_back(intake: Intake, policy: Policy) -> None:
    """Rows held back stay within the policy's share of their table."""
    for table, rows in intake.rows.items():
        rules = {rule: count for (name, rule), count in intake.quarantine.items() if name == table}
        if sum(rules.values()) > policy.max_quarantine_share * rows:
            named = ", ".join(f"{rule} {count:,}" for rule, count in rules.items())
            raise GateError(
                f"{table}: {sum(rules.values()):,} of {rows:,} rows held back ({named})",
                f"Policy.max_quarantine_share is {policy.max_quarantine_share}",
            )


def ties_out(cells: pl.DataFrame, tables: Mapping[str, pl.DataFrame], catalogue: Catalogue) -> dict[str, int]:
    """Officers, branches and the book hold the same sums, for every measure; returns the book's.

    Distinct counts are checked by counting cells instead.
    """
    book = {name: int(cells[name].sum()) for name in catalogue.measures}
    for measure in catalogue.measures.values():
        for grouping, table in tables.items():
            told = int(table[measure.name].sum())
            expected = (
                book[measure.name] if measure.kind == "sum" else _distinct(cells, measure.name, grouping)
            )
            if told != expected:
                raise GateError(f"{measure.name}: {grouping} sum to {told:,}, cells to {expected:,}")
    return book


def _distinct(cells: pl.DataFrame, name: str, grouping: str) -> int:
    """Officers with a flagged cell, counted in each group by walking the cells."""
    keys = {"officers": ("officer_id",), "branches": ("region", "branch")}[grouping]
    flagged = cells.filter(pl.col(name) > 0).select(PLACE).iter_rows(named=True)
    return len({(*(row[key] for key in keys), row["officer_id"]) for row in flagged})


def loans_match(cells: pl.DataFrame, loan_states: pl.DataFrame) -> None:
    """The loan state that is published sums to the figures that are published."""
    on_book = loan_states.filter("on_book")
    for told, expected, what in (
        (int(on_book["total_outstanding"].sum()), int(cells["total_portfolio"].sum()), "total_portfolio"),
        (len(on_book), int(cells["active_loans"].sum()), "active_loans"),
        (len(loan_states), int(cells["total_disbursed_count"].sum()), "total_disbursed_count"),
    ):
        if told != expected:
            raise GateError(f"{what}: loan state says {told:,}, cells {expected:,}")
