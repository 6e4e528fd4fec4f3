"""What must hold before anything is published; a refused gate says which figure and by how much."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict

import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import GateError
from loanmetrics.facts.extract import Source
from loanmetrics.facts.prepare import Intake
from loanmetrics.policy import Policy
from loanmetrics.tables import MINOR_PER_UNIT

DAY = "calculation_date"
NAMED_BREAKS = 3
LEDGER_HINT = "Policy.gl_required = false publishes all the same, and logs every branch that differs"


class LedgerDay(TypedDict):
    """Principal of the whole book and the ledger's on one day, and the branches where they differ."""

    day: str
    ours: int
    theirs: int
    breaks: list[dict[str, Any]]


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


def ties_to_ledger(branches: pl.DataFrame, ledger: pl.DataFrame, policy: Policy) -> list[LedgerDay]:
    """Principal by branch against the general ledger, for the days of ``branches`` that the ledger tells of.

    Returns what the log says of each such day, the branches that differ by more than the policy's tolerance named.
    Refuses them where the policy requires that they agree.
    """
    days = branches[DAY].unique().to_list()
    told = ledger.with_columns(pl.col("day").cast(pl.Date).alias(DAY)).filter(pl.col(DAY).is_in(days))
    if told.is_empty():
        return []
    sides = _by_branch(branches, "principal_portfolio", "ours").join(
        _by_branch(told, "principal", "theirs"), on=[DAY, "branch"], how="full", coalesce=True
    )
    found = [_day_of_ledger(sides.filter(pl.col(DAY) == day), policy) for day in sorted(told[DAY].unique())]
    broken = [day for day in found if day["breaks"]]
    if broken and policy.gl_required:
        raise GateError(f"principal is not the ledger's on {_named(broken[0])}", LEDGER_HINT)
    return found


def _by_branch(rows: pl.DataFrame, principal: str, name: str) -> pl.DataFrame:
    return rows.group_by(DAY, "branch").agg(pl.col(principal).cast(pl.Int64).sum().alias(name))


def _day_of_ledger(sides: pl.DataFrame, policy: Policy) -> LedgerDay:
    """Money in minor units; a branch that one side does not name has null there, which breaks unless it is nothing."""
    difference = pl.col("ours").fill_null(0) - pl.col("theirs").fill_null(0)
    breaks = sides.with_columns(difference=difference).filter(
        pl.col("difference").abs() > policy.gl_tolerance_minor
    )
    return LedgerDay(
        day=str(sides[DAY][0]),
        ours=int(sides["ours"].sum()),
        theirs=int(sides["theirs"].sum()),
        breaks=breaks.drop(DAY).sort("branch").to_dicts(),
    )


def _named(day: LedgerDay) -> str:
    """The first breaks of a day, for people."""
    told = [
        f"{row['branch']} {_units(row['ours'])} against {_units(row['theirs'])}"
        for row in day["breaks"][:NAMED_BREAKS]
    ]
    more = len(day["breaks"]) - len(told)
    return f"{day['day']}: {', '.join(told)}{f' and {more:,} branches more' if more else ''}"


def _units(amount: int | None) -> str:
    return "none" if amount is None else f"{Decimal(amount) / MINOR_PER_UNIT:,.2f}"


def loans_match(cells: pl.DataFrame, loan_states: Sequence[pl.LazyFrame]) -> None:
    """The loan state that is published sums to the figures that are published."""
    sums = pl.concat(loan_states).select(
        total_portfolio=pl.col("total_outstanding").filter("on_book").sum(),
        active_loans=pl.col("on_book").sum(),
        total_disbursed_count=pl.len(),
    )
    for what, told in sums.collect().row(0, named=True).items():
        expected = int(cells[what].sum())
        if told != expected:
            raise GateError(f"{what}: loan state says {told:,}, cells {expected:,}")
