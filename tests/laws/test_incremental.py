"""A run that reads only what changed publishes what a run that reads everything would, bit for bit."""

import os
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from polars.testing import assert_frame_equal

from loanmetrics.engine import results, run
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import states
from loanmetrics.jobs.compute import compute
from loanmetrics.notebook import Book
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.frames import fetch
from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from loanmetrics.tables import LOAN_STATE
from loanmetrics.testing import Databases
from tests.laws.lender import Lender

LONG = os.environ.get("LOANMETRICS_MACHINES")
POLICY = Policy(min_rank_loans=1, max_quarantine_share=Decimal(1))
SHARD_LOANS = 1_000
STAMPS = ("calculation_date", "run_id", "calculated_at")
NUMBER = st.integers(0, 50)
AGO = st.sampled_from([0, 0, 1, 6, 7, 14, 16, 31, 70])
SEEN: Counter[str] = Counter()
WANTED = {
    *(
        "loan with schedule",
        "loan without schedule",
        "payment",
        "backdated payment",
        "orphan",
        "receipt twice",
    ),
    *("row that breaks a rule", "reversal", "edited payment", "payment moved to another loan", "holiday"),
    *("payment moved to another day", "deleted payment", "reassigned loan", "closed loan", "deleted loan"),
    *("loan deleted from under its rows", "rescheduled", "officer", "empty book", "another day", "roll-back"),
    *("run on what changed", "run on everything"),
}


class Incremental(RuleBasedStateMachine):
    """Random life between random runs."""

    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        url = self.stack.enter_context(self.databases.migrated())
        home = Path(self.stack.enter_context(TemporaryDirectory()))
        self.settings = Settings(database_url=url, home=home, shard_loans=SHARD_LOANS, readers=1)
        self.lender = Lender(self.stack.enter_context(psycopg.connect(url, autocommit=True)))

    def teardown(self) -> None:
        SEEN.update(self.lender.seen)
        self.stack.close()

    @initialize(
        loans=st.lists(st.tuples(NUMBER, NUMBER, st.lists(st.integers(0, 40), max_size=4)), max_size=6)
    )
    def open_shop(self, loans: list[tuple[int, int, list[int]]]) -> None:
        for officer, place, dues in loans:
            self.lender.lend(officer, place, sorted(dues), True, 31)
            self.lender.pay(officer, 20, 6, True)

    @rule(
        officer=NUMBER,
        place=NUMBER,
        dues=st.lists(st.integers(0, 40), max_size=4),
        direct=st.booleans(),
        ago=AGO,
    )
    def lend(self, officer: int, place: int, dues: list[int], direct: bool, ago: int) -> None:
        self.lender.lend(officer, place, sorted(dues), direct, ago)

    @rule(number=NUMBER, amount=st.integers(1, 400), ago=AGO, split=st.booleans())
    def pay(self, number: int, amount: int, ago: int, split: bool) -> None:
        self.lender.pay(number, amount, ago, split)

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

    @rule()
    def pay_nobody(self) -> None:
        self.lender.pay_nobody()

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

    @rule(what=st.integers(0, 9))
    def seldom(self, what: int) -> None:
        if what == 0:
            self.lender.leave()
        elif what < 4:
            self.lender.celebrate()
        else:
            with self.lender.database.transaction(force_rollback=True):
                self.lender.pay(what, what, 0, True)
            self.lender.note("roll-back")

    @rule(days=st.sampled_from([1, 1, 9, 15, 31]))
    def sleep(self, days: int) -> None:
        self.lender.today += timedelta(days)
        self.lender.note("another day")

    @rule(full=st.sampled_from([False, False, False, False, True]))
    def run(self, full: bool) -> None:
        made = compute(self.settings, self.lender.today, POLICY, full=full)
        self.lender.note("run on everything" if made.reason else "run on what changed")
        self.assert_published()

    def assert_published(self) -> None:
        url, day = str(self.settings.database_url), self.lender.today
        book, catalogue = Book.scan(url, as_of=day, policy=POLICY), load()
        cells = run.cells(book, catalogue)
        expected = results.officers(cells, book, catalogue), results.branches(cells, book, catalogue)
        with connect(url) as connection:
            found = stored(connection, day)
            loans = fetch(connection, LOAN_STATE.name, psycopg.sql.SQL("true"), [], ["loan_id"])
        for table, wanted in zip(found, expected, strict=True):
            assert_frame_equal(table.select(wanted.columns), wanted, check_exact=True)
        wanted = states(book).select(LOAN_STATE.names).sort("loan_id")
        assert_frame_equal(loans.select(LOAN_STATE.names), wanted, check_exact=True, check_dtypes=False)


@pytest.fixture(name="machine")
def machine_on_a_server(databases: Databases) -> type[Incremental]:
    Incremental.databases = databases
    return Incremental


def test_incremental_equals_full(machine: type[Incremental]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(LONG or 25),
            stateful_step_count=40,
            deadline=None,
            derandomize=LONG is None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print("\nwhat was done, how often:", dict(SEEN.most_common()))
    assert {name for name in WANTED if not SEEN[name]} == set()
