"""Rows that a run held back: by rule, and what they could change at most, in the book and for each officer.

A loan that such a row belongs to is *touched*. Whatever the row says, the loan owes no less than nothing and no more
than falls due on it in all, and receives no more than was paid on it in all, rows held back included: so much, and no
more, can each sum over loans change by. Rows are taken at the amounts they state, but for those held back because of
their amount: nobody knows what it should be, so they are told apart.
"""

from dataclasses import dataclass

import duckdb
import polars as pl

from loanmetrics.engine.catalogue import Catalogue
from loanmetrics.engine.stake import BOOKWIDE, LOANS, OFFICERS, bounded_by
from loanmetrics.facts.advance import rows_of
from loanmetrics.facts.held import MONEY_SUMS, completed
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.tables import RATE_SCALE, UNKNOWN

TOTALS = (LOANS, "installments", "entries", "owed", "paid")
# Rules that tell that a row's amount is not its amount.
UNSOUND = ("bad_money", "missing_value", "negative_amount", "amount_too_large", "bad_line")
YEAR = 365 * RATE_SCALE
STAKES = f"""
    WITH loan_rows AS (FROM held WHERE table_name IN {tuple(MONEY_SUMS)} AND loan_id IS NOT NULL),
    contract AS (
        SELECT loan, count(*) AS installments, sum(principal + interest + fee) AS due FROM schedule GROUP BY loan
    ),
    receipts AS (
        SELECT loan, sum(greatest(amount, principal + interest + fees + penalty) + waiver) AS paid
        FROM repayments GROUP BY loan
    ),
    known AS (
        SELECT loan_id, officer_id, coalesce(installments, 0) AS installments, coalesce(paid, 0) AS paid,
            greatest(
                coalesce(due, 0),
                amount + fee
                    + (amount::HUGEINT * coalesce(rate, 0) * coalesce(term, 0) + {YEAR} - 1) // {YEAR}
            ) AS owed
        FROM loans JOIN cells USING (cell) LEFT JOIN contract USING (loan) LEFT JOIN receipts USING (loan)
    ),
    back AS (
        SELECT loan_id, coalesce(sum(stake) FILTER (table_name = 'repayments'), 0) AS paid,
            coalesce(sum(stake) FILTER (table_name <> 'repayments'), 0) AS owed,
            count(*) FILTER (table_name = 'repayments') AS entries,
            count(*) FILTER (table_name = 'loan_schedule') + 1 AS installments
        FROM loan_rows GROUP BY loan_id
    ),
    whose AS (
        SELECT loan_id, officer_id FROM known
        UNION SELECT loan_id, officer_id FROM loan_rows WHERE officer_id IS NOT NULL
    )
    SELECT loan_id, coalesce(whose.officer_id, '{UNKNOWN}') AS officer_id, 1 AS loans, back.entries,
        (coalesce(known.installments, 0) + back.installments)::BIGINT AS installments,
        (coalesce(known.owed, 0) + back.owed)::BIGINT AS owed, (coalesce(known.paid, 0) + back.paid)::BIGINT AS paid
    FROM back LEFT JOIN known USING (loan_id) LEFT JOIN whose USING (loan_id)
"""


@dataclass(frozen=True)
class HeldBack:
    """Rows held back: by ``rules`` (table, rule, rows, money), and by officer what they could change at most.

    ``book`` says the same of all loans together; ``unbounded`` names what no bound can be given for, with its rows.
    """

    rules: pl.DataFrame
    officers: pl.DataFrame
    book: dict[str, int]
    unbounded: dict[str, int]

    def bound(self, catalogue: Catalogue, name: str) -> int | None:
        """What a measure of the book could change by at most, money in minor units; None where it cannot be told."""
        by = bounded_by(catalogue.measures[name])
        return self.book[by] if by else None if self.book[LOANS] or self.unbounded else 0


def held_back(lake: Lake, version: Version) -> HeldBack:
    """The rows that a version of the facts holds back."""
    held = completed(lake.small(version, "held")).with_columns(pl.col("stake").fill_null(pl.col("amount")))
    rules = held.group_by("table_name", "rule").agg(rows=pl.len(), money=pl.col("stake").sum())
    sound = pl.when(pl.col("rule").is_in(UNSOUND)).then(0).otherwise("stake")
    stakes = _stakes(lake, version, held.with_columns(stake=sound))
    loans = stakes.unique("loan_id")
    officers = (
        stakes.group_by("officer_id")
        .agg(pl.col(TOTALS).sum())
        .sort(["owed", "officer_id"], descending=[True, False])
    )
    book = {name: int(loans[name].sum()) for name in TOTALS}
    known = officers.filter(pl.col("officer_id") != UNKNOWN)
    nobodys = stakes.filter(pl.col("officer_id") == UNKNOWN)["loan_id"].n_unique()
    return HeldBack(
        rules.sort("table_name", "rule"), officers, {**book, OFFICERS: len(known) + nobodys}, _unbounded(held)
    )


def _stakes(lake: Lake, version: Version, held: pl.DataFrame) -> pl.DataFrame:
    """One row per touched loan and officer it may belong to."""
    rows = rows_of(lake, version, held["loan_id"].drop_nulls().unique())
    with duckdb.connect() as connection:
        frames = {"held": held, "cells": lake.small(version, "cells").drop("loans")}
        frames |= {"loans": rows.loans, "schedule": rows.schedule, "repayments": rows.repayments}
        for name, frame in frames.items():
            connection.register(name, frame.to_arrow())
        found: pl.DataFrame = connection.sql(STAKES).pl()
        return found


def _unbounded(held: pl.DataFrame) -> dict[str, int]:
    of_loans = pl.col("table_name").is_in(list(MONEY_SUMS))
    counted = {
        "rows that name no loan: any loan's figures": of_loans & pl.col("loan_id").is_null(),
        "rows without a sound amount: figures of their loans": of_loans & pl.col("rule").is_in(UNSOUND),
        "holidays: days past due, where business days count": pl.col("table_name") == "holidays",
        f"officers: their {' and '.join(BOOKWIDE)} loans": pl.col("table_name") == "officers",
    }
    found = {what: len(held.filter(condition)) for what, condition in counted.items()}
    return {what: rows for what, rows in found.items() if rows}
