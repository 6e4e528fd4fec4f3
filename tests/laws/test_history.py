"""History in one pass gives what looking at every day by itself gives, bit for bit."""

from calendar import monthrange
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import loanmetrics as lm
from loanmetrics.engine import loans, results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.history import by_day
from loanmetrics.engine.history.levels import levels
from loanmetrics.engine.history.sums import KNOWN, sums
from loanmetrics.engine.history.transitions import transitions
from loanmetrics.engine.metric import Measure
from loanmetrics.engine.state import State
from loanmetrics.policy import Policy
from tests import support
from tests.strategies import Case, Row, cases

REVISED = Policy(revisions={"risk_score": {2: date(2026, 3, 10)}, "dqi": {2: date(2026, 5, 2)}})
CATALOGUE = load(REVISED)
DAY = "calculation_date"
SAMPLE_DAYS = (date(2024, 12, 25), support.SAMPLE_DAY)
AGO = st.integers(-25, 60)


def law(examples: int) -> Callable[[Any], Any]:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=quiet
    )


def days(first: date, last: date, step: int = 1) -> Iterator[date]:
    return (first + timedelta(number) for number in range(0, (last - first).days + 1, step))


def on(book: Book, day: date) -> Book:
    return Book(book.facts, day, book.policy)


def looped(book: Book, day: date, catalogue: Catalogue = CATALOGUE) -> pl.DataFrame:
    """One day's sums by themselves; cells without any left out."""
    parts = run.each_shard(on(book, day), partial(run.shard_cells, catalogue=catalogue))
    table = run.add_up(catalogue, parts).filter(pl.any_horizontal(pl.exclude("cell") != 0))
    return table.select(pl.lit(day).alias(DAY), pl.all())


def assert_same(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    assert_frame_equal(ours, theirs, check_exact=True)


@contextmanager
def few_at_a_time(loans: int, fine_days: int = 31) -> Iterator[None]:
    """Look at only so many loans together, and at so few days where a measure tells every day past due apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loanmetrics.engine.history.past.PORTION", loans)
        patch.setattr("loanmetrics.engine.history.sums.FINE_DAYS", fine_days)
        yield


# --- Sums ---------------------------------------------------------------------------------------------------


def assert_history(book: Book, first: date, length: int, catalogue: Catalogue = CATALOGUE) -> None:
    last = first + timedelta(length - 1)
    table = sums(book.facts, book.policy, first, last, catalogue)
    assert_same(table, pl.concat(looped(book, day, catalogue) for day in days(first, last)))


@law(10)
@given(cases(), AGO)
def test_history_is_the_loop(case: Case, ago: int) -> None:
    book, _ = support.book_of(case.rows, case.as_of, case.policy)
    assert_history(book, case.as_of - timedelta(ago), 60)


def test_history_is_the_loop_over_the_life_of_the_sample() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    with few_at_a_time(700):
        table = sums(support.resharded(book.facts, 2500), book.policy, *SAMPLE_DAYS, CATALOGUE)
    turning = [day for day in days(*SAMPLE_DAYS) if day.day in (15, monthrange(day.year, day.month)[1])]
    for day in {*days(*SAMPLE_DAYS, 7), *turning}:
        assert_same(table.filter(pl.col(DAY) == day), looped(book, day))


def test_blocks_of_days_and_threads_join(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, policy = support.sample_facts(), Book(support.sample_facts(), support.SAMPLE_DAY).policy
    span = (date(2026, 1, 1), date(2026, 4, 20))
    whole = sums(facts, policy, *span, CATALOGUE)
    monkeypatch.setattr("loanmetrics.engine.history.sums.AT_ONCE", 1)
    with ThreadPoolExecutor(2) as pool:
        assert_same(sums(support.resharded(facts, 3000), policy, *span, CATALOGUE, pool), whole)


EXTRA = {
    "over_45": "CASE WHEN dpd > 45 THEN 1 ELSE 0 END",
    "days_late": "CASE WHEN on_book THEN dpd ELSE 0 END",
    "lately_worse": "CASE WHEN dpd > dpd_before AND 3 <= dpd_mid_month THEN outstanding END",
    "busy": "CASE WHEN entries > 1 AND NOT backdated > 0 THEN installments_due ELSE 0 END",
    "quiet_and_late": "CASE WHEN dpd > 6 THEN days_unpaid ELSE 0 END",
    "twice_as_old": "2 * loan_age - days_unpaid",
    "mixture": "CASE WHEN channel_pure AND dpd NOT IN (0, 2) THEN fee_owed - fee_received + due_ahead ELSE cell END",
}


@law(4)
@given(cases(), AGO)
def test_a_new_measure_has_a_history(case: Case, ago: int) -> None:
    added = {name: Measure(name, sql, "", unit="count") for name, sql in EXTRA.items()}
    catalogue = Catalogue(CATALOGUE.measures | added, CATALOGUE.metrics)
    book, _ = support.book_of(case.rows, case.as_of, case.policy)
    with few_at_a_time(2, fine_days=2):
        assert_history(book, case.as_of - timedelta(ago), 40, catalogue)


def test_every_column_has_a_history() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    (columns,) = run.each_shard(book, _columns)
    assert set(columns) == KNOWN


def _columns(state: State) -> list[str]:
    return state.frame().columns


@pytest.mark.parametrize(
    ("sql", "edges"),
    [
        ("dpd > 15", {16}),
        ("dpd >= 15 OR (dpd<3)", {15, 3}),
        ("CASE WHEN on_book AND 7 >= dpd THEN 1 END", {8}),
        ("CASE WHEN a BETWEEN 1 AND 2 AND dpd between 3 AND 4 THEN 1 END", {3, 5}),
        ("dpd NOT IN (1, 5) AND dpd <> 9", {1, 2, 5, 6, 9, 10}),
        ("dpd_before > 3", set()),
        ("dpd + 1 > 15", None),
        ("dpd > 15 + a", None),
        ("2 * dpd > 15", None),
        ("dpd > 15.5", None),
        ("dpd > -1", None),
        ("a BETWEEN 1 AND dpd > 3", None),
        ("(a BETWEEN (2) AND dpd) AND dpd > 3", None),
        ("NOT dpd > 3", None),
        ("dpd IN (1, a)", None),
        ("dpd", None),
        ("LEAST(dpd, 90)", None),
        ('"dpd" > 3', None),
    ],
)
def test_levels_are_read_from_comparisons_only(sql: str, edges: set[int] | None) -> None:
    assert levels(sql, "dpd") == edges


# --- Transitions --------------------------------------------------------------------------------------------


def walked(book: Book, first: date, last: date) -> pl.DataFrame:
    """Transitions found by looking at every day: where a loan stands, and why it left when it did."""
    before, rows = places(book, first - timedelta(1), {}), list[Row]()
    for day in days(first, last):
        now = places(book, day, before)
        for loan, (place, officer, owed) in now.items():
            came = before.get(loan, (None,))[0]
            if place != came:
                rows.append(dict(zip(NAMES, (loan, officer, day, came, place, owed), strict=True)))
        before = now
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("loan_id", "transition_date")


def places(book: Book, day: date, before: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for row in loans.states(on(book, day)).to_dicts():
        stayed_out = before.get(row["loan_id"], (None,))[0]
        left = stayed_out if stayed_out in ("paid", "written_off") else row["closed_as"]
        place = row["dpd_bucket"] if row["on_book"] else left
        found[row["loan_id"]] = (place, row["officer_id"], row["total_outstanding"])
    return found


SCHEMA = {
    "loan_id": pl.String,
    "officer_id": pl.String,
    "transition_date": pl.Date,
    "from_dpd_bucket": pl.String,
    "to_dpd_bucket": pl.String,
    "outstanding_balance": pl.Int64,
}
NAMES = tuple(SCHEMA)


@law(9)
@given(cases(), AGO)
def test_transitions_are_what_changes_from_day_to_day(case: Case, ago: int) -> None:
    book, _ = support.book_of(case.rows, case.as_of, case.policy)
    first = case.as_of - timedelta(ago)
    early = first - timedelta(400)
    last = first + timedelta(39)
    told, later = (
        transitions(book.facts, book.policy, begin, last).sort("loan_id", "transition_date")
        for begin in (early, first)
    )
    assert_same(later, told.filter(pl.col("transition_date") >= first))
    assert_same(later, walked(book, first, last))


def lent(**closed: Any) -> Row:
    loan = {"loan_id": "P", "officer_id": "A", "loan_amount": 900, "disbursement_date": date(2026, 2, 1)}
    return loan | {"loan_term_days": 42, "status": "Active"} | closed


def paid(day: date, **undone: Any) -> Row:
    row = {"repayment_id": "1", "loan_id": "P", "payment_date": day, "payment_amount": 900}
    return row | {"principal_paid": 900} | undone


IN_MARCH = {day: date(2026, 3, day) for day in range(1, 32)}
BEGUN = [(date(2026, 2, 1), None, "0", 900_00), (IN_MARCH[3], "0", "1-6", 900_00)]
LOST = {"status": "Written Off", "closed_date": IN_MARCH[10]}


@pytest.mark.parametrize(
    ("loan", "payments", "then"),
    [
        (lent(**LOST), [], [(9, "1-6", "7-30", 900_00), (10, "7-30", "written_off", 900_00)]),
        (lent(**LOST), [paid(IN_MARCH[5])], [(5, "1-6", "paid", 0)]),
        (
            lent(**LOST),
            [paid(IN_MARCH[5], is_reversed=True, reversal_date=IN_MARCH[12])],
            [(5, "1-6", "paid", 0)],
        ),
        (
            lent(status="Closed", closed_date=IN_MARCH[5]),
            [paid(IN_MARCH[5], is_reversed=True, reversal_date=IN_MARCH[12])],
            [(5, "1-6", "paid", 0), (12, "paid", "7-30", 900_00)],
        ),
    ],
)
def test_a_loan_leaves_and_comes_back(loan: Row, payments: list[Row], then: list[Any]) -> None:
    due = {"loan_id": "P", "installment_number": 1, "due_date": IN_MARCH[2], "principal_due": 900}
    rows = {"loans": [loan], "loan_schedule": [due], "repayments": payments}
    book, _ = support.book_of(rows, IN_MARCH[20], Policy())
    told = transitions(book.facts, book.policy, date(2026, 1, 1), IN_MARCH[20])
    wanted = BEGUN + [(IN_MARCH[day], *rest) for day, *rest in then]
    assert told.drop("loan_id", "officer_id").rows() == wanted


def test_replaying_the_transitions_of_the_sample_gives_every_bucket() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    told = transitions(book.facts, book.policy, date(1970, 1, 1), support.SAMPLE_DAY)
    for day in days(*SAMPLE_DAYS, 23):
        until = told.filter(pl.col("transition_date") <= day).group_by("loan_id", maintain_order=True)
        replayed = until.agg(pl.col("to_dpd_bucket").last())
        states = loans.states(on(book, day))
        bucket = pl.when("on_book").then("dpd_bucket").otherwise("closed_as").alias("to_dpd_bucket")
        assert_same(replayed.sort("loan_id"), states.select("loan_id", bucket).sort("loan_id"))


# --- Figures ------------------------------------------------------------------------------------------------


def assert_figures(book: Book, first: date, last: date, step: int = 1) -> None:
    known = load(book.policy)
    table = sums(book.facts, book.policy, first, last, known)
    cells = by_day.cells(book.facts, table, first, last, known)
    calendar = by_day.calendar(first, last)
    officers = results.officers(cells, book, known, calendar)
    branches = results.branches(cells, book, known, days=calendar)
    whole = results.branches(cells, book, known, by=(), days=calendar)
    for day in days(first, last, step):
        today, means = on(book, day), load(book.policy, day)
        alone = run.cells(today, means)
        for ours, theirs in (
            (cells, alone),
            (officers, results.officers(alone, today, means)),
            (branches, results.branches(alone, today, means)),
            (whole, results.branches(alone, today, means, by=())),
        ):
            assert_same(ours.filter(pl.col(DAY) == day).drop(DAY).select(theirs.columns), theirs)


@law(5)
@given(cases(), st.integers(-10, 40))
def test_figures_of_many_days_are_those_of_each(case: Case, ago: int) -> None:
    book, _ = support.book_of(case.rows, case.as_of, case.policy, case.frozen)
    first = case.as_of - timedelta(ago)
    assert_figures(book, first, first + timedelta(34))


def test_figures_of_an_empty_book_by_day() -> None:
    rows = {"officers": [{"officer_id": "A", "branch": "Ikeja"}]}
    book, _ = support.book_of(rows, date(2026, 3, 16), Policy())
    assert_figures(book, date(2026, 3, 1), date(2026, 3, 16))


@pytest.mark.parametrize("policy", [Policy(), REVISED], ids=["first revisions", "later revisions"])
def test_figures_of_the_sample_by_day(policy: Policy) -> None:
    assert_figures(Book(support.sample_facts(), support.SAMPLE_DAY, policy), *SAMPLE_DAYS, step=41)


def test_a_revision_counts_from_its_day_on_and_on_no_day_before() -> None:
    facts, last = support.sample_facts(), date(2026, 3, 20)
    first, later = (
        lm.history(lm.Book(facts, last, policy), "risk_score", "dqi", first=date(2026, 3, 1)).collect()
        for policy in (Policy(), REVISED)
    )
    before = pl.col(DAY) < REVISED.revisions["risk_score"][2]
    assert_same(later.filter(before), first.filter(before))
    assert (first.filter(~before)["risk_score"] != later.filter(~before)["risk_score"]).any()


def test_par15_of_every_15th_is_what_par15_mid_month_was() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    table = sums(book.facts, book.policy, *SAMPLE_DAYS, CATALOGUE)
    taken = by_day.par15_snapshots(book.facts, table, *SAMPLE_DAYS)
    fifteenths = [day for day in days(*SAMPLE_DAYS) if day.day == 15]
    assert taken["snapshot_date"].unique().sort().to_list() == fifteenths
    for day in fifteenths[::3]:
        cells = run.cells(on(book, day), CATALOGUE)
        wanted = cells.select(*run.PLACE, par15_exposure="par15_mid_month", par15_count="overdue_15d_count")
        assert_same(taken.filter(pl.col("snapshot_date") == day).drop("snapshot_date"), wanted)
    assert (taken["par15_count"] == 0).any()
