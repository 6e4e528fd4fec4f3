"""Figures by whom loans were with are those of a lender who never gave a loan away, and add up to the same book."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.engine import run
from loanmetrics.engine.attribution import FIRST_LATE, ORIGINATION, RULES, SCHEMA, attributed, attribution
from loanmetrics.engine.book import REASSIGNED, Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import ConflictError, UsageError
from loanmetrics.facts.prepare import Intake
from loanmetrics.policy import Policy
from tests import oracle, support
from tests.laws import ALIASES, NEARLY, differences
from tests.strategies import Case, Rows, fixed

CASES = fixed(16)
ZONES = ("UTC", "Asia/Kolkata", "America/Lima")
PLACES = (
    ("A", "R", "X"),
    ("B", "R", "Y"),
    ("gone", "R", "Y"),
    ("gone", "Elsewhere", "Z"),
    ("UNASSIGNED", "Unknown", "Unknown"),
)
# What the officer's own channel decides, and officers who are counted.
OF_THE_OFFICER = {"channel_known_count", "pure_channel_count", "total_officers", "float_gap_officers"}
Place = tuple[str, str, str]
Record = tuple[str | None, Place | None, datetime]


@dataclass(frozen=True)
class World:
    """A lender with a past: rows as they are now, and whom some loans were with until when, oldest first."""

    case: Case
    records: tuple[Record, ...]
    policy: Policy

    @property
    def since(self) -> date:
        return max(local(until, self.policy) for loan, _, until in self.records if loan is None)

    def read(self) -> oracle.Facts:
        return oracle.read(self.case.rows, self.policy)

    def book(self) -> tuple[Book, Intake]:
        book, intake = support.book_of(self.case.rows, self.case.as_of, self.policy, self.case.frozen)
        facts = replace(book.facts, reassigned=recorded(self.records))
        return Book(facts, book.as_of, self.policy), intake


def recorded(records: tuple[Record, ...]) -> pl.DataFrame:
    rows = [
        (number, loan, *(place or (None,) * 3), until) for number, (loan, place, until) in enumerate(records)
    ]
    return pl.DataFrame(rows, REASSIGNED, orient="row")


def local(moment: datetime, policy: Policy) -> date:
    return moment.astimezone(ZoneInfo(policy.time_zone)).date()


@cache
def world(number: int) -> World:
    """Records around the days that decide, at hours around midnight somewhere."""
    case, dice = CASES[number], random.Random(number)
    policy = msgspec.structs.replace(case.policy, time_zone=ZONES[number % len(ZONES)])
    loans = oracle.read(case.rows, policy).loans.values()
    moments = [datetime(1990, 1, 1, tzinfo=UTC)]
    days = [
        *(loan.disbursed for loan in loans),
        *(due.due_date for loan in loans for due in loan.installments),
    ]
    for day in (*days, case.as_of):
        noon = datetime(day.year, day.month, day.day, dice.choice((0, 4, 12, 19, 23)), 30, tzinfo=UTC)
        moments += [noon + timedelta(dice.choice((-1, 0, 1, 1, 2, 9))) for _ in range(2)]
    names = [loan.loan_id for loan in loans] or ["nobody"]
    records: list[Record] = [(None, None, moments[0]), (None, None, dice.choice(moments))]
    records += [(dice.choice(names), dice.choice(PLACES), moment) for moment in moments for _ in range(2)]
    return World(case, tuple(sorted(records, key=lambda record: record[2])), policy)


def deciding_day(loan: oracle.Loan, rule: str, until: date, days: oracle.Days) -> date | None:
    if loan.disbursed > until:
        return None
    if rule == ORIGINATION:
        return loan.disbursed
    every = (loan.disbursed + timedelta(number) for number in range((until - loan.disbursed).days + 1))
    return next((day for day in every if oracle.stand(loan, day, days).dpd > 0), None)


def holder(it: World, loan: oracle.Loan, day: date | None) -> Place:
    """Day by day: whom the loan was with at the end of the deciding day."""
    for whose, place, until in it.records:
        if whose == loan.loan_id and day is not None and local(until, it.policy) > day:
            assert place
            return place
    return loan.cell


@dataclass(frozen=True)
class Told:
    """What the oracle says: how things stood then, and loans by officer that were gained, lost or are not recorded."""

    now: oracle.Answer
    then: oracle.Answer
    gained: Counter[str]
    lost: Counter[str]
    unrecorded: Counter[str]


@cache
def told(number: int, rule: str) -> Told:
    it = world(number)
    facts = it.read()
    days = oracle.Days(it.policy, facts.holidays)
    gained, lost, unrecorded = Counter[str](), Counter[str](), Counter[str]()
    given: dict[str, Place] = {}
    for loan in facts.loans.values():
        day = deciding_day(loan, rule, it.case.as_of, days)
        given[loan.loan_id] = place = holder(it, loan, day)
        if place[0] != loan.officer_id:
            gained[place[0]] += 1
            lost[loan.officer_id] += 1
        unrecorded[place[0]] += day is not None and day < it.since
    sides = [
        oracle.evaluate(rows, it.case.as_of, it.policy, it.case.frozen)
        for rows in (it.case.rows, as_given(it.case.rows, given))
    ]
    return Told(sides[0], sides[1], gained, lost, unrecorded)


def as_given(rows: Rows, given: dict[str, Place]) -> Rows:
    """The same rows at a lender whose loans are where they are given."""
    loans = [
        {**row, **dict(zip(PLACE, given[row["loan_id"]], strict=True))} if row["loan_id"] in given else row
        for row in rows["loans"]
    ]
    return {**rows, "loans": loans}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_figures_are_those_of_a_lender_who_gave_no_loan_away(number: int, rule: str) -> None:
    book, intake = world(number).book()
    found = differences(attributed(book, rule).book, intake, told(number, rule).then)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_rows_tell_both_sides(number: int, rule: str) -> None:
    it, wanted = world(number), told(number, rule)
    metrics = list(load(it.policy, it.case.as_of).metrics)
    rows = attribution(it.book()[0], rule, metrics)
    assert rows.schema == SCHEMA
    found = {(row["officer_id"], row["metric"]): row for row in rows.iter_rows(named=True)}
    everyone = {*wanted.now.officers, *wanted.then.officers}
    assert found.keys() == {(who, metric) for who in everyone for metric in metrics}
    for (who, metric), row in found.items():
        for side, answer in (("now", wanted.now), ("attributed", wanted.then)):
            assert_told(row[side], row[f"band_{side}"], metric, answer.officers.get(who, {}))
        assert [row[name] for name in ("gained", "lost", "unrecorded")] == [
            getattr(wanted, name)[who] for name in ("gained", "lost", "unrecorded")
        ]
        assert row["recorded_since"] == it.since


def assert_told(value: float | None, band: str | None, metric: str, figures: dict[str, Any]) -> None:
    wanted = figures.get(metric)
    assert (value is None) == (wanted is None)
    if value is not None and wanted is not None:
        exact = float(wanted)
        assert value == (pytest.approx(exact, rel=1e-12) if metric in NEARLY else exact)
    named = {ALIASES.get(name, name): of for name, of in figures.items()}
    assert band == named.get("risk_band" if metric == "risk_score" else f"{metric}_band")


def test_the_books_try_what_there_is_to_try() -> None:
    tried = [told(number, rule) for number in range(len(CASES)) for rule in RULES]
    assert all(any(getattr(it, name).total() for it in tried) for name in ("gained", "lost", "unrecorded"))
    assert any("gone" in it.then.officers and "gone" not in it.now.officers for it in tried)
    assert any(it.now.officers.keys() - it.then.officers.keys() for it in tried)
    late, first = (sum(told(number, rule).gained.total() for number in range(len(CASES))) for rule in RULES)
    assert late != first


def sums(book: Book) -> dict[str, int]:
    catalogue = load(book.policy, book.as_of)
    whole = run.group(run.cells(book, catalogue), (), catalogue).row(0, named=True)
    return {name: value for name, value in whole.items() if name not in OF_THE_OFFICER}


@cache
def sample() -> Book:
    """The sample, a third of whose loans were with others, some several times."""
    facts, dice = support.sample_facts(), random.Random(7)
    ids = pl.concat([shard.loans.select("loan_id") for shard in facts.shards]).collect()["loan_id"].to_list()
    places = [*facts.cells.select(PLACE).iter_rows(), *PLACES]
    start = datetime(2025, 1, 1, tzinfo=UTC)
    moments = sorted(start + timedelta(hours=dice.randrange(24 * 540)) for _ in range(2500))
    records: list[Record] = [(None, None, start)]
    records += [(dice.choice(ids), dice.choice(places), moment) for moment in moments]
    return Book(replace(facts, reassigned=recorded(tuple(records))), support.SAMPLE_DAY)


def books() -> Iterator[Book]:
    yield sample()
    yield from (world(number).book()[0] for number in range(len(CASES)))


@pytest.mark.parametrize("rule", RULES)
def test_the_book_as_a_whole_stays_what_it_is(rule: str) -> None:
    for book in books():
        assert sums(attributed(book, rule).book) == sums(book)


@pytest.mark.parametrize("rule", RULES)
def test_loans_gained_are_loans_lost(rule: str) -> None:
    rows = attribution(sample(), rule, ["fimr"])
    assert rows["gained"].sum() == rows["lost"].sum() > 100
    assert rows["officer_id"].n_unique() == len(rows)


@pytest.mark.parametrize("rule", RULES)
def test_shards_and_who_works_on_them_make_no_difference(rule: str) -> None:
    book = sample()
    whole = attribution(book, rule)
    parts = Book(support.shuffled(support.resharded(book.facts, 1500), 3), book.as_of)
    with ThreadPoolExecutor(2) as pool:
        assert_frame_equal(attribution(parts, rule, executor=pool), whole)


@pytest.mark.parametrize("rule", RULES)
def test_where_nothing_was_given_away_both_sides_are_the_same(rule: str) -> None:
    began: tuple[Record, ...] = ((None, None, datetime(2026, 3, 1, tzinfo=UTC)),)
    book = Book(replace(support.sample_facts(), reassigned=recorded(began)), support.SAMPLE_DAY)
    rows = attribution(book, rule)
    assert_frame_equal(
        rows.select("now", "band_now"),
        rows.select(now="attributed", band_now="band_attributed"),
    )
    assert rows.select("gained", "lost").sum().row(0) == (0, 0)
    assert (rows["unrecorded"].sum() > 0, rows["recorded_since"].unique().to_list()) == (
        True,
        [date(2026, 3, 1)],
    )


ROWS: Rows = {
    "loans": [
        {
            "loan_id": "L1",
            **dict(zip(PLACE, PLACES[0], strict=True)),
            "loan_amount": 300,
            "disbursement_date": date(2026, 3, 1),
            "maturity_date": date(2026, 3, 10),
        }
    ]
}


@pytest.mark.parametrize(
    ("rule", "zone", "until", "who"),
    [
        (ORIGINATION, "UTC", "2026-03-02T00:30", "B"),
        (ORIGINATION, "UTC", "2026-03-01T23:30", "A"),
        (ORIGINATION, "Africa/Lagos", "2026-03-01T23:30", "B"),
        (ORIGINATION, "America/Lima", "2026-03-02T04:30", "A"),
        (ORIGINATION, "UTC", "2026-04-09T00:00", "B"),
        (FIRST_LATE, "UTC", "2026-03-11T23:30", "A"),
        (FIRST_LATE, "UTC", "2026-03-12T00:30", "B"),
        (FIRST_LATE, "UTC", "2026-03-02T00:30", "A"),
    ],
)
def test_a_day_is_over_at_its_end_where_the_lender_is(rule: str, zone: str, until: str, who: str) -> None:
    """Lent on 1 March, due on the 10th, late on the 11th; with B until then, now with A."""
    book, _ = support.book_of(ROWS, date(2026, 3, 31), Policy(time_zone=zone))
    moment = datetime.fromisoformat(until).replace(tzinfo=UTC)
    records: tuple[Record, ...] = ((None, None, datetime(2020, 1, 1, tzinfo=UTC)), ("L1", PLACES[1], moment))
    facts = replace(book.facts, reassigned=recorded(records))
    made = attributed(Book(facts, book.as_of, book.policy), rule)
    assert run.cells(made.book)["officer_id"].to_list() == [who]


def test_a_loan_not_late_by_the_day_stays() -> None:
    book, _ = support.book_of(ROWS, date(2026, 3, 10), Policy())
    moment = datetime(2026, 4, 1, tzinfo=UTC)
    records: tuple[Record, ...] = ((None, None, moment), ("L1", PLACES[1], moment))
    made = Book(replace(book.facts, reassigned=recorded(records)), book.as_of)
    assert run.cells(attributed(made, FIRST_LATE).book)["officer_id"].to_list() == ["A"]
    assert run.cells(attributed(made, ORIGINATION).book)["officer_id"].to_list() == ["B"]
    late = Book(made.facts, date(2026, 3, 11))
    assert run.cells(attributed(late, FIRST_LATE).book)["officer_id"].to_list() == ["B"]


def test_what_cannot_be_told() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    with pytest.raises(ConflictError, match="do not tell whom loans were with"):
        attribution(book, ORIGINATION)
    with pytest.raises(UsageError, match=r"unknown rule: orign \(did you mean origination\?\)"):
        attribution(sample(), "orign")
    with pytest.raises(UsageError, match=r"unknown metric: fmir \(did you mean fimr\?\)"):
        attribution(sample(), ORIGINATION, ["fmir"])
