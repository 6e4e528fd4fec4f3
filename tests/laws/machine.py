"""Random life between random runs; after each run, what is published is what reading everything gives."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loanmetrics.jobs.backfill import backfill
from loanmetrics.jobs.compute import compute
from loanmetrics.notebook import Book
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.testing import Databases
from tests.laws.lender import Lender
from tests.laws.published import (
    assert_day,
    assert_days,
    assert_ledger,
    assert_loans,
    assert_records,
    days,
    frozen,
)

POLICY = Policy(min_rank_loans=1, max_quarantine_share=Decimal(1))
SHARD_LOANS = 1_000
STEPS_BETWEEN_RUNS = 8
NUMBER = st.integers(0, 50)
AGO = st.sampled_from([0, 0, 1, 6, 7, 14, 16, 31, 70])
DUES = st.lists(st.integers(0, 40), max_size=4)


def is_fifteenth(day: date) -> bool:
    return day.day == 15


def is_month_end(day: date) -> bool:
    return (day + timedelta(1)).day == 1


class Incremental(RuleBasedStateMachine):
    """A lender, and runs over its database. ``done`` counts what happened, ``read`` what a partial run read of it."""

    databases: ClassVar[Databases]
    done: ClassVar[Counter[str]]
    read: ClassVar[Counter[str]]
    detection: Literal["triggers", "hashes"] = "triggers"
    policy = POLICY
    longest = 6

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.url = self.stack.enter_context(self.databases.migrated())
        home = Path(self.stack.enter_context(TemporaryDirectory()))
        self.settings = Settings(
            database_url=self.url,
            home=home,
            shard_loans=SHARD_LOANS,
            readers=1,
            change_detection=self.detection,
        )
        database, late = (
            self.stack.enter_context(psycopg.connect(self.url, autocommit=True)) for _ in range(2)
        )
        self.lender = Lender(database, late)
        self.newest: date | None = None
        self.steps = 0

    def teardown(self) -> None:
        self.done.update(self.lender.unread)
        self.stack.close()

    @initialize(loans=st.lists(st.tuples(NUMBER, NUMBER, DUES), max_size=6))
    def open_shop(self, loans: list[tuple[int, int, list[int]]]) -> None:
        for officer, place, dues in loans:
            self.lender.lend(officer, place, sorted(dues), True, 31)
            self.lender.pay(officer, 20, 6, True)

    @rule(officer=NUMBER, place=NUMBER, dues=DUES, direct=st.booleans(), ago=AGO)
    def lend(self, officer: int, place: int, dues: list[int], direct: bool, ago: int) -> None:
        self.lender.lend(officer, place, sorted(dues), direct, ago)

    @rule(number=NUMBER, amount=st.integers(1, 400), ago=AGO, split=st.booleans())
    def pay(self, number: int, amount: int, ago: int, split: bool) -> None:
        self.lender.pay(number, amount, ago, split)

    @rule(number=NUMBER, amount=st.integers(1, 400), ago=AGO)
    def pay_late(self, number: int, amount: int, ago: int) -> None:
        """Begin a payment, or commit the one begun before."""
        if self.lender.is_paying_late:
            self.lender.commit_late()
        else:
            self.lender.pay_late(number, amount, ago)

    @rule(number=NUMBER, amount=st.integers(1, 400))
    def edit(self, number: int, amount: int) -> None:
        self.lender.edit(number, amount)

    @rule(number=NUMBER, ago=st.none() | AGO)
    def reverse(self, number: int, ago: int | None) -> None:
        self.lender.reverse(number, ago)

    @rule(number=NUMBER, other=NUMBER)
    def repeat_receipt(self, number: int, other: int) -> None:
        self.lender.repeat_receipt(number, other)

    @rule(number=NUMBER)
    def spoil(self, number: int) -> None:
        self.lender.spoil(number)

    @rule(number=NUMBER, other=NUMBER)
    def move(self, number: int, other: int) -> None:
        self.lender.move(number, other)

    @rule(number=NUMBER, ago=AGO)
    def redate(self, number: int, ago: int) -> None:
        self.lender.redate(number, ago)

    @rule(number=NUMBER)
    def drop_payment(self, number: int) -> None:
        self.lender.drop_payment(number)

    @rule(number=NUMBER, officer=NUMBER, place=NUMBER)
    def reassign(self, number: int, officer: int, place: int) -> None:
        self.lender.reassign(number, officer, place)

    @rule(number=NUMBER, status=st.sampled_from(["Closed", "Written Off", "Active"]), ago=st.none() | AGO)
    def close(self, number: int, status: str, ago: int | None) -> None:
        self.lender.close(number, status, ago)

    @rule(number=NUMBER, days=st.integers(-20, 20))
    def reschedule(self, number: int, days: int) -> None:
        self.lender.reschedule(number, days)

    @rule(number=NUMBER, whole=st.booleans())
    def drop_loan(self, number: int, whole: bool) -> None:
        self.lender.drop_loan(number, whole)

    @rule(officer=NUMBER, channel=st.sampled_from([None, "Direct", "Agent", "Web"]))
    def hire(self, officer: int, channel: str | None) -> None:
        self.lender.hire(officer, channel)

    @rule(place=NUMBER, amount=st.integers(-2, 2))
    def post(self, place: int, amount: int) -> None:
        self.lender.post(place, amount)

    @rule(what=st.sampled_from([*["celebrate", "pay_nobody", "change_their_mind"] * 4, "leave"]))
    def seldom(self, what: str) -> None:
        getattr(self.lender, what)()

    @rule(after=st.sampled_from([1, 1, 9, 15, 31]))
    def sleep(self, after: int) -> None:
        self.lender.today += timedelta(after)
        self.lender.note("another day")

    @rule(when=st.sampled_from([is_fifteenth, is_month_end]))
    def sleep_until(self, when: Callable[[date], bool]) -> None:
        ahead = (self.lender.today + timedelta(after) for after in range(1, 40))
        self.lender.today = next(filter(when, ahead))
        self.lender.note("another day")

    @rule(full=st.sampled_from([False, False, False, False, True]), ago=st.sampled_from([0, 0, 0, 0, 1, 20]))
    def run(self, full: bool, ago: int = 0) -> None:
        day = self.lender.today - timedelta(ago)
        made = compute(self.settings, day, self.policy, full=full)
        self._was_read(self.done if made.reason else self.read)
        self._note_day("run", day)
        self._note("run on everything" if made.reason else "run on what changed")
        book = self._book(day)
        assert_day(self.url, book)
        assert_ledger(self.url, self.settings.facts_dir)
        assert_records(book, self.settings.facts_dir)
        if self._is_newest(day):
            assert_loans(self.url, book)

    @invariant()
    def run_at_times(self) -> None:
        """Enough runs on what changed, whatever rules are tried."""
        self.steps += 1
        if self.steps % STEPS_BETWEEN_RUNS == 0 and self.lender.unread:
            self.run(full=False)

    @rule(length=st.sampled_from([1, 3, 8, 20, 60]), ago=st.sampled_from([0, 1, 1, 15]))
    def backfill(self, length: int, ago: int) -> None:
        last = self.lender.today - timedelta(ago)
        first = last - timedelta(min(length, self.longest) - 1)
        before = frozen(self.url)
        for month in backfill(self.settings, first, last, self.policy):
            self._note("month backfilled" if any(month.changed.values()) else "month backfilled in vain")
        self._was_read(self.done)
        for day in days(first, last):
            self._note_day("backfill", day)
        book = self._book(last)
        assert_days(self.url, book, first, before)
        if self._is_newest(last):
            assert_loans(self.url, book)

    def _book(self, day: date) -> Book:
        return Book.scan(self.url, as_of=day, policy=self.policy)

    def _is_newest(self, day: date) -> bool:
        self.newest = max(day, self.newest or day)
        return day == self.newest

    def _was_read(self, where: Counter[str]) -> None:
        self.done.update(self.lender.unread)
        if where is not self.done:
            where.update(self.lender.unread)
        self.lender.unread.clear()
        self.lender.overtaken = self.lender.is_paying_late

    def _note(self, what: str) -> None:
        self.done[what] += 1

    def _note_day(self, what: str, day: date) -> None:
        self._note(f"{what} of a day past" if day < self.lender.today else f"{what} of today")
        if is_fifteenth(day):
            self._note(f"{what} of a 15th")
        if is_month_end(day):
            self._note(f"{what} of a month's end")
        if self.lender.is_empty():
            self._note(f"{what} of an empty book")
