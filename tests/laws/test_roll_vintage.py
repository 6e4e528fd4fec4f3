"""Roll matrices and vintages of any lender equal the loop over every loan and day."""

from calendar import monthrange
from collections import Counter
from datetime import date, timedelta

import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.roll import ENDS, roll_matrix
from loanmetrics.engine.run import GROUPS
from loanmetrics.engine.vintage import vintages
from loanmetrics.errors import UsageError
from loanmetrics.tables import DPD_BUCKETS
from tests import oracle, support
from tests.strategies import Case, fixed

CASES = fixed(12)
BACK = (1, 7, 30, 92)
PLACE = ("officer_id", "region", "branch")
Key = tuple[str, ...]


def made(case: Case) -> tuple[Book, oracle.Facts, oracle.Days]:
    book, _ = support.book_of(case.rows, case.as_of, case.policy, case.frozen)
    facts = oracle.read(case.rows, case.policy)
    return book, facts, oracle.Days(case.policy, facts.holidays)


def place_of(loan: oracle.Loan, by: str) -> Key:
    return tuple(dict(zip(PLACE, loan.cell, strict=True))[name] for name in GROUPS[by])


def ways(
    facts: oracle.Facts, days: oracle.Days, first: date, last: date, by: str
) -> dict[Key, tuple[int, int]]:
    """Loans and their balance on the first day, by group, bucket and where they stand on the last one."""
    counts: Counter[Key] = Counter()
    owed: Counter[Key] = Counter()
    for loan in facts.loans.values():
        then, now = (oracle.stand(loan, day, days) for day in (first, last))
        if then.on_book:
            end = oracle.bucket(now.dpd) if now.on_book else oracle.closed_as(loan, False, last, days.policy)
            way = (*place_of(loan, by), oracle.bucket(then.dpd), str(end))
            counts[way] += 1
            owed[way] += then.total
    return {way: (counts[way], owed[way]) for way in counts}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_roll_matrix_is_the_loop_over_loans(number: int) -> None:
    book, facts, days = made(CASES[number])
    first, by = book.as_of - timedelta(BACK[number % len(BACK)]), ("book", "officer", "branch")[number % 3]
    shuffled = Book(support.shuffled(book.facts, number), book.as_of, book.policy)
    matrix = roll_matrix(book, first, GROUPS[by])
    assert roll_matrix(shuffled, first, GROUPS[by]).equals(matrix)
    keys = [*GROUPS[by], "from_dpd_bucket", "to_dpd_bucket"]
    rows = matrix.with_columns(pl.col(keys).cast(pl.String)).select(*keys, "loans", "balance").rows()
    assert {row[:-2]: row[-2:] for row in rows if row[-2]} == ways(facts, days, first, book.as_of, by)
    for _, row in matrix.group_by(keys[:-1]):
        assert row["to_dpd_bucket"].to_list() == list(ENDS)
        for what in ("loans", "balance"):
            shares = row[f"{what}_share"]
            assert shares.sum() == pytest.approx(1) if row[what].sum() else shares.null_count() == len(ENDS)


def aged(start: date, months: int) -> date:
    """The day on which a loan is so many months old."""
    year, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def ever(loan: oracle.Loan, days: oracle.Days, dpd: int, until: date) -> bool:
    day = loan.disbursed
    while day <= until:
        now = oracle.stand(loan, day, days)
        if now.on_book and now.dpd > dpd:
            return True
        day += timedelta(1)
    return False


@pytest.mark.parametrize("number", range(0, len(CASES), 2))
def test_a_vintage_is_the_loop_over_loans_and_days(number: int) -> None:
    book, facts, days = made(CASES[number])
    dpd = (0, 6, 30)[number % 3]
    table = vintages(book, dpd)
    lent = [loan for loan in facts.loans.values() if loan.disbursed <= book.as_of]
    recent = max((loan.disbursed.replace(day=1) for loan in lent), default=book.as_of)
    months = sorted({loan.disbursed.replace(day=1) for loan in lent})[-3:]
    assert table.is_empty() == (not lent)
    for row in table.filter(pl.col("vintage").is_in(months), pl.col("months_on_book") < 4).iter_rows(
        named=True
    ):
        mine = [loan for loan in lent if loan.disbursed.replace(day=1) == row["vintage"]]
        assert (row["loans"], row["amount"]) == (len(mine), sum(loan.amount for loan in mine))
        last = row["vintage"].replace(day=monthrange(row["vintage"].year, row["vintage"].month)[1])
        if aged(last, row["months_on_book"]) > book.as_of:
            assert row["ever_loans"] is row["ever_amount"] is row["ever_loans_share"] is None
            continue
        late = [loan for loan in mine if ever(loan, days, dpd, aged(loan.disbursed, row["months_on_book"]))]
        assert (row["ever_loans"], row["ever_amount"]) == (len(late), sum(loan.amount for loan in late))
    assert recent in table["vintage"] or not lent


def test_vintages_of_the_sample_only_grow_and_are_blank_where_they_may_still() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    for dpd in (0, 30):
        table = vintages(book, dpd, GROUPS["branch"])
        key = [*GROUPS["branch"], "vintage"]
        steps = table.drop_nulls("ever_loans").with_columns(
            pl.col("ever_loans").diff().over(key).alias("step"), pl.col("ever_amount").diff().over(key)
        )
        assert (steps["step"].drop_nulls() >= 0).all()
        assert (steps["ever_amount"].drop_nulls() >= 0).all()
        assert table["ever_loans"].null_count() > 0
        assert (steps["ever_loans_share"] <= 1).all()
        assert steps["ever_loans"].max() > 0  # type: ignore[operator]
    parts = (
        vintages(book, 30, GROUPS["officer"])
        .group_by("vintage", "months_on_book")
        .agg(pl.col("ever_loans").sum())
    )
    whole = vintages(book, 30).drop_nulls("ever_loans").select("vintage", "months_on_book", "ever_loans")
    assert (
        whole.join(parts, on=["vintage", "months_on_book"], how="inner", suffix="_of_officers")
        .filter(pl.col("ever_loans") != pl.col("ever_loans_of_officers"))
        .is_empty()
    )


def test_the_matrix_of_the_sample_has_every_end() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    matrix = roll_matrix(book, support.SAMPLE_DAY - timedelta(90))
    ends = matrix.group_by("to_dpd_bucket").agg(pl.col("loans").sum())
    assert (ends["loans"] > 0).all()
    assert len(matrix) == len(DPD_BUCKETS) * len(ENDS)


def test_what_cannot_be_asked() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    with pytest.raises(UsageError, match="is not before"):
        roll_matrix(book, support.SAMPLE_DAY)
    with pytest.raises(UsageError, match="cannot be exceeded"):
        vintages(book, -1)
