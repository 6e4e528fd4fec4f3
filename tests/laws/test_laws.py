"""What must hold of any book, whatever the figures are: adding, order, reversals, days past due, scores, nulls."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from loanmetrics.engine import loans, results, run
from loanmetrics.engine.book import Book, Facts
from loanmetrics.engine.calendar import latest_15th, to_date, to_day
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.metric import Metric
from loanmetrics.policy import Policy
from loanmetrics.tables import FACT_COLUMNS, TABLES, facts_only
from tests import laws, support
from tests.strategies import POLICIES, Case, Row, Rows, cases, fixed, units

CATALOGUE = load()
BANDED = [metric for metric in CATALOGUE.metrics.values() if metric.bands]
WHOLE = cases(whole=True, loans=5)
CALENDAR = POLICIES.map(lambda policy: msgspec.structs.replace(policy, calendar="calendar"))
NULLABLE = [
    f"{table}.{column.name}"
    for table in FACT_COLUMNS
    for column in facts_only(TABLES[table]).columns
    if column.null
]


def law(examples: int) -> Callable[[Any], Any]:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=quiet
    )


def book_of(case: Case) -> Book:
    return support.book_of(case.rows, case.as_of, case.policy, case.frozen)[0]


def on(book: Book, day: date) -> Book:
    return Book(book.facts, day, book.policy)


def standing(book: Book) -> pl.DataFrame:
    return loans.states(book).sort("loan_id")


def by_loan(book: Book) -> dict[str, Row]:
    return {row["loan_id"]: row for row in loans.states(book).to_dicts()}


def of(book: Book) -> Catalogue:
    """What is measured under the book's policy, and by which revisions on its day."""
    return load(book.policy, book.as_of)


def summed(book: Book) -> list[str]:
    """Measures that are sums over loans."""
    return [name for name, measure in of(book).measures.items() if measure.kind == "sum"]


def figures(book: Book) -> list[pl.DataFrame]:
    """Everything published about a day."""
    catalogue = of(book)
    cells = run.cells(book, catalogue)
    groups = [results.branches(cells, book, catalogue, by) for by in laws.GROUPS.values()]
    return [cells, results.officers(cells, book, catalogue), *groups, standing(book)]


def assert_same(ours: Sequence[pl.DataFrame], theirs: Sequence[pl.DataFrame]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert_frame_equal(one, other, check_exact=True)


# --- Shards and order ---------------------------------------------------------------------------------------


@law(14)
@given(cases(loans=4))
def test_any_split_into_shards_adds_up_to_the_same(case: Case) -> None:
    book = book_of(case)
    count = sum(shard.loans.select(pl.len()).collect().item() for shard in book.facts.shards)
    assume(count)
    whole = [run.cells(book, of(book)), standing(book)]
    for size in range(1, count + 1):
        split = replace(book, facts=support.resharded(book.facts, size))
        assert_same([run.cells(split, of(split)), standing(split)], whole)


@law(10)
@given(cases(), st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(case: Case, number: int) -> None:
    dice, stirred = Random(number), {name: list(rows) for name, rows in case.rows.items()}
    for rows in stirred.values():
        dice.shuffle(rows)
    book = book_of(case)
    assert_same(figures(book_of(replace(case, rows=stirred))), figures(book))
    assert_same(figures(replace(book, facts=support.shuffled(book.facts, number))), figures(book))


@law(8)
@given(WHOLE, st.integers(0, 99))
def test_the_order_of_payments_on_one_day_does_not_matter(case: Case, number: int) -> None:
    """Ids order the payments of a day; any other ids give the same figures."""
    names = [row["repayment_id"] for row in case.rows["repayments"]]
    Random(number).shuffle(names)
    renamed = [row | {"repayment_id": name} for row, name in zip(case.rows["repayments"], names, strict=True)]
    assert_same(
        figures(book_of(replace(case, rows=case.rows | {"repayments": renamed}))), figures(book_of(case))
    )


# --- Reversals ----------------------------------------------------------------------------------------------

ROWS_COUNTED = {"total_entries", "backdated_count", "reversals_count"}
ROLL = {"prev_dpd_1to6_balance", "moved_to_7to30"}
HISTORY = ["max_dpd_ever", "loan_risk_score"]


def with_payments(book: Book, change: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Book:
    shards = tuple(replace(shard, repayments=change(shard.repayments)) for shard in book.facts.shards)
    return replace(book, facts=replace(book.facts, shards=shards))


def one_reversed(case: Case, place: int, after: int) -> tuple[Case, str, date]:
    """The book with one payment reversed, on a loan that stays open by its own record."""
    payments = [dict(row) for row in case.rows["repayments"]]
    chosen = payments[place % len(payments)]
    day = max(case.as_of, chosen["payment_date"]) + timedelta(days=after)
    chosen |= {"is_reversed": True, "reversal_date": day}
    open_loans = [row | {"status": "Active", "closed_date": None} for row in case.rows["loans"]]
    return (
        replace(case, rows=case.rows | {"loans": open_loans, "repayments": payments}),
        chosen["repayment_id"],
        day,
    )


@law(10)
@given(WHOLE, st.integers(0, 99), st.integers(0, 9))
def test_a_reversal_deletes_the_payment_from_its_day_on(case: Case, place: int, after: int) -> None:
    assume(case.rows["repayments"])
    case, name, reversal = one_reversed(case, place, after)
    book = book_of(case)
    deleted = with_payments(book, lambda rows: rows.filter(pl.col("repayment_id") != name))
    others = pl.col("repayment_id") != name
    kept = with_payments(book, lambda rows: rows.with_columns(reversed=pl.col("reversed") & others))
    for days in (1, 8):
        day = reversal - timedelta(days=days)
        assert_same(figures(on(book, day)), figures(on(kept, day)))
    for days in (0, 1, case.policy.roll_days + 3, 40):
        assert_deleted(on(book, reversal + timedelta(days=days)), deleted, reversal)


@law(8)
@given(WHOLE, st.integers(0, 99), st.sampled_from([None, 0, 1, 9]))
def test_what_was_reversed_before_it_was_paid_never_was(case: Case, place: int, before: int | None) -> None:
    assume(case.rows["repayments"])
    case, name, _ = one_reversed(case, place, 0)
    payments = [
        row if row["repayment_id"] != name else row | {"reversal_date": earlier(row["payment_date"], before)}
        for row in case.rows["repayments"]
    ]
    book = book_of(replace(case, rows=case.rows | {"repayments": payments}))
    gone = with_payments(book, lambda rows: rows.filter(pl.col("repayment_id") != name))
    columns = [measure for measure in CATALOGUE.measures if measure not in ROWS_COUNTED]
    for days in (0, 9, 33):
        ours, theirs = (on(each, case.as_of + timedelta(days=days)) for each in (book, gone))
        assert_frame_equal(
            *(run.cells(each, CATALOGUE).select(*laws.CELL, *columns) for each in (ours, theirs))
        )
        assert_frame_equal(standing(ours), standing(theirs))


def earlier(day: date, days: int | None) -> date | None:
    return None if days is None else day - timedelta(days=days)


def assert_deleted(book: Book, deleted: Book, reversal: date) -> None:
    """Every figure of the day is as if the payment were gone; what looks back stands as it stood."""
    gone = on(deleted, book.as_of)
    looking_back = set(ROWS_COUNTED)
    if to_date(book.counting.back(book.day, book.policy.roll_days)) < reversal:
        looking_back |= ROLL
    if latest_15th(book.day) < to_day(reversal):
        looking_back |= {"par15_mid_month"}
    columns = [name for name in CATALOGUE.measures if name not in looking_back]
    ours, theirs = (run.cells(each, CATALOGUE).select(*laws.CELL, *columns) for each in (book, gone))
    assert_frame_equal(ours, theirs)
    now, then = standing(book), standing(gone)
    assert_frame_equal(now.drop(HISTORY), then.drop(HISTORY))
    assert (now["max_dpd_ever"] <= then["max_dpd_ever"]).all()


# --- Days past due ------------------------------------------------------------------------------------------


def event_days(case: Case) -> dict[str, set[date]]:
    """The days on which something other than time may move a loan's days past due."""
    found: dict[str, set[date]] = {row["loan_id"]: {row["disbursement_date"]} for row in case.rows["loans"]}
    for row in case.rows["repayments"]:
        found[row["loan_id"]] |= {row["payment_date"], row["reversal_date"] or row["payment_date"]}
    for row in case.rows["loans"]:
        found[row["loan_id"]] |= {row["closed_date"]} if row["closed_date"] else set()
    return found


@law(15)
@given(cases(CALENDAR, whole=True))
def test_days_past_due_grow_by_one_a_day(case: Case) -> None:
    book, events = book_of(case), event_days(case)
    days = [case.as_of + timedelta(days=n) for n in (-9, -8, -7, -1, 0, 1, 2, 3)]
    for (_, before), (today, after) in pairwise((day, by_loan(on(book, day))) for day in days):
        for name in before.keys() & after.keys():
            was, now = before[name]["current_dpd"], after[name]["current_dpd"]
            quiet = today not in events[name] and today - timedelta(days=1) in days
            if quiet and after[name]["on_book"] and before[name]["on_book"]:
                assert now == was + 1 if was else now in (0, 1)


@law(12)
@given(WHOLE, st.integers(0, 99), st.integers(1, 99), st.integers(0, 20), st.booleans())
def test_paying_never_raises_days_past_due(
    case: Case, place: int, minor: int, back: int, split: bool
) -> None:
    row = case.rows["loans"][place % len(case.rows["loans"])]
    loan = row | {"status": "Active"}
    paid = {"payment_date": case.as_of - timedelta(days=back), "payment_amount": units(minor)}
    payment = {"repayment_id": "new", "loan_id": row["loan_id"], **paid}
    payment |= {"interest_paid": units(minor)} if split else {}
    others = [each for each in case.rows["loans"] if each is not row]
    rows = case.rows | {"loans": [*others, loan]}
    less = book_of(replace(case, rows=rows))
    more = book_of(replace(case, rows=rows | {"repayments": [*rows["repayments"], payment]}))
    for days in (0, 1, 8):
        day = case.as_of + timedelta(days=days)
        was, now = by_loan(on(less, day)), by_loan(on(more, day))
        for column in ("current_dpd", "max_dpd_ever", "arrears_amount", "total_outstanding"):
            assert all(now[name][column] <= was[name][column] for name in was), column


BALANCES = [
    *("on_book", "closed_as", "next_payment_due", "total_outstanding", "principal_outstanding", "overpaid"),
    *("interest_outstanding", "fees_outstanding", "loan_risk_score"),
]


@law(12)
@given(WHOLE, st.integers(0, 99), st.integers(1, 99), st.integers(1, 9))
def test_a_later_installment_changes_only_balances_until_it_falls_due(
    case: Case, place: int, minor: int, ahead: int
) -> None:
    scheduled = [row for row in case.rows["loan_schedule"] if any(row[part] for part in DUE)]
    assume(scheduled)
    row = scheduled[place % len(scheduled)]
    last = max(each["due_date"] for each in scheduled)
    due = max(last, case.as_of) + timedelta(days=ahead)
    added = {
        "loan_id": row["loan_id"],
        "installment_number": 9,
        "due_date": due,
        "principal_due": units(minor),
    }
    open_loans = [each | {"status": "Active"} for each in case.rows["loans"]]
    rows = case.rows | {"loans": open_loans}
    short = book_of(replace(case, rows=rows))
    long = book_of(replace(case, rows=rows | {"loan_schedule": [*rows["loan_schedule"], added]}))
    for day in (case.as_of, due - timedelta(days=1)):
        ours, theirs = (standing(on(each, day)).drop(BALANCES) for each in (long, short))
        assert_frame_equal(ours, theirs)


DUE = ("principal_due", "interest_due", "fee_due")


# --- Of every book ------------------------------------------------------------------------------------------


@law(25)
@given(cases())
def test_balances_scores_and_sums_hold_together(case: Case) -> None:
    book = book_of(case)
    for row in standing(book).to_dicts():
        assert_balanced(row)
        assert_off_the_book_nothing_is_late(row)
        assert_nothing_late_before_it_is_due(row, case)
    tables = figures(book)
    for table in tables:
        assert_sane(table)
    assert_ties_out(tables[:-1], summed(book))
    assert_contributions(book, tables[0])


def assert_balanced(row: Row) -> None:
    money = [
        name for name in row if name.endswith(("_outstanding", "_amount", "_paid")) or name == "overpaid"
    ]
    assert all(row[name] >= 0 for name in money)
    parts = ("principal_outstanding", "interest_outstanding", "fees_outstanding")
    assert sum(row[part] for part in parts) == row["total_outstanding"]
    assert not (row["overpaid"] and row["total_outstanding"])
    assert row["arrears_amount"] <= row["total_outstanding"]
    assert not row["on_book"] or row["total_outstanding"] > 0


def assert_off_the_book_nothing_is_late(row: Row) -> None:
    assert row["max_dpd_ever"] >= row["current_dpd"] >= 0
    assert (row["closed_as"] is None) == row["on_book"]
    if not row["on_book"]:
        assert (row["current_dpd"], row["arrears_amount"], row["dpd_bucket"]) == (0, 0, "0")
        assert row["next_payment_due"] is None and row["loan_risk_score"] is None


def assert_nothing_late_before_it_is_due(row: Row, case: Case) -> None:
    first, policy = row["first_payment_due_date"], case.policy
    if first is None or first + timedelta(days=policy.first_payment_grace_days) >= case.as_of:
        assert row["first_payment_missed"] is None and not row["fimr_tagged"]
    if first is None or first >= case.as_of + timedelta(days=policy.inclusive):
        assert (row["current_dpd"], row["arrears_amount"]) == (0, 0)


def assert_sane(table: pl.DataFrame) -> None:
    for row in table.to_dicts():
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
        for score in ("risk_score", "dqi", "loan_risk_score"):
            assert row.get(score) is None or 0 <= row[score] <= 100
        for share in ("fimr", "roll", "frr", "on_time_rate", "channel_purity", "porr", "float_gap_share"):
            assert row.get(share) is None or 0 <= row[share] <= 1
        for metric in BANDED:
            if metric.name in row:
                assert (row[metric.name] is None) == (row[metric.band_column] == "n/a")


def assert_ties_out(tables: Sequence[pl.DataFrame], sums: list[str]) -> None:
    """Cells, officers, branches, regions and book are sums of the same; officers are counted once."""
    cells, *others = tables
    for table in others:
        assert table.select(sums).sum().row(0) == cells.select(sums).sum().row(0)
    for name in ("total_officers", "float_gap_officers"):
        assert tables[-1][name].item() == cells.filter(pl.col(name) > 0)["officer_id"].n_unique()


def assert_contributions(book: Book, cells: pl.DataFrame) -> None:
    """What the loans behind the figures add, added, is the figures."""
    sums = summed(book)
    added = loans.frame(book, of(book)).group_by(laws.CELL).agg(pl.col(sums).sum()).sort(laws.CELL)
    assert_frame_equal(added, cells.select(*laws.CELL, *sums))


# --- Scores and bands ---------------------------------------------------------------------------------------


@cache
def empty_facts() -> Facts:
    return support.book_of({}, date(2026, 3, 16), Policy())[0].facts


def evaluated(measures: Sequence[Mapping[str, int]], policy: Policy) -> list[Row]:
    book = Book(empty_facts(), date(2026, 3, 16), policy)
    rows = pl.DataFrame([dict.fromkeys(of(book).measures, 0) | dict(each) for each in measures])
    return run.evaluate(rows, book, of(book)).to_dicts()


Terms = tuple[tuple[str, str, bool], ...]
# (part, whole, does more of the part cost points?)
TERMS: Terms = (
    ("overdue_15d_amount", "total_portfolio", True),
    ("first_miss_count", "disbursed_count", True),
    ("moved_to_7to30", "prev_dpd_1to6_balance", True),
    ("waivers_amount", "amount_due_7d", True),
    ("backdated_count", "total_entries", True),
    ("reversals_count", "total_entries", True),
    ("fees_collected", "fees_due", False),
    ("pure_channel_count", "channel_known_count", False),
    ("float_gap_officers", "total_officers", True),
)
SECOND_TERMS = (
    *TERMS[:3],
    ("days_since_repayment", "loan_age_days", True),
    ("interest_collected", "par15_mid_month", False),
)
SECOND = Policy(revisions={"risk_score": {2: date(2026, 3, 16)}, "dqi": {2: date(2026, 3, 16)}})
SCORES = ((Policy(), TERMS), (SECOND, SECOND_TERMS))
SIZES = st.one_of(st.integers(0, 12), st.integers(0, 10**15))
PARTS = st.tuples(SIZES, SIZES)


@pytest.mark.parametrize(("policy", "terms"), SCORES, ids=["revision 1", "revision 2"])
@law(60)
@given(st.lists(PARTS, min_size=len(TERMS), max_size=len(TERMS)), st.integers(0, len(TERMS) - 1), SIZES)
def test_every_term_moves_the_risk_score_one_way(
    policy: Policy, terms: Terms, pairs: list[tuple[int, int]], place: int, more: int
) -> None:
    given_measures = {"total_officers": 1}
    for (part, whole, _), (a, b) in zip(terms, pairs, strict=False):
        given_measures |= {whole: max(a, b), part: min(a, b)}
    part, whole, costs = terms[place % len(terms)]
    raised = given_measures | {part: min(given_measures[whole], given_measures[part] + more)}
    low, high = evaluated([raised, given_measures] if costs else [given_measures, raised], policy)
    if low["risk_score"] is None:
        assert given_measures["total_officers"] == 0
        return
    assert 0 <= low["risk_score"] <= high["risk_score"] <= 100
    assert low["risk_score_norm"] <= high["risk_score_norm"] + 1e-12


@law(60)
@given(st.dictionaries(st.sampled_from(list(CATALOGUE.measures)), SIZES), POLICIES)
def test_no_measures_give_a_nonsense_score(measures: dict[str, int], policy: Policy) -> None:
    table = pl.DataFrame(evaluated([measures, {}], policy))
    for row in table.to_dicts():
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
        assert row["risk_score"] is None or 0 <= row["risk_score"] <= 100


def line(metric: Metric) -> Iterator[float]:
    """Points all along the line, and both neighbours of every limit."""
    assert metric.bands is not None
    yield from (-1e18, 0.0, 1e-9, 1.0, 50.0, 1e18)
    for _, limit in metric.bands.limits:
        yield from (math.nextafter(limit, -math.inf), limit, math.nextafter(limit, math.inf))


@pytest.mark.parametrize("metric", BANDED, ids=lambda metric: metric.name)
def test_bands_partition_the_line(metric: Metric) -> None:
    assert metric.bands is not None
    names = [name for name, _ in metric.bands.limits] + [metric.bands.otherwise]
    values = sorted(line(metric), reverse=metric.bands.comparison == ">=")
    found = pl.DataFrame({metric.name: values}).select(run.banded(metric)).to_series().to_list()
    places = [names.index(name) for name in found]
    assert places == sorted(places) and set(found) == set(names)
    for place, (name, limit) in enumerate(metric.bands.limits):
        assert metric.bands.of(limit) == name and found[values.index(limit)] == names[place]


# --- Nulls --------------------------------------------------------------------------------------------------


@cache
def some_book() -> Case:
    """The largest of a few fixed books."""
    return max(fixed(9), key=lambda case: len(case.rows["repayments"]))


@pytest.mark.parametrize("column", NULLABLE)
def test_a_column_without_values_is_read_like_the_oracle_does(column: str) -> None:
    case, (table, name) = some_book(), column.split(".")
    rows: Rows = case.rows | {table: [row | {name: None} for row in case.rows[table]]}
    laws.assert_agreed(rows, case.as_of, case.policy, case.frozen)


@law(10)
@given(cases(loans=4), st.integers(0, 999))
def test_nulls_here_and_there_are_read_like_the_oracle_does(case: Case, number: int) -> None:
    dice, rows = Random(number), {name: [dict(row) for row in found] for name, found in case.rows.items()}
    for column in NULLABLE:
        table, name = column.split(".")
        for row in rows[table]:
            if dice.random() < 0.3:
                row[name] = None
    laws.assert_agreed(rows, case.as_of, case.policy, case.frozen)
