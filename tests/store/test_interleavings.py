"""Random transactions of several writers between random readers: what is copied by the log is what is there."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loanmetrics.store.changes import LOAN_TABLES, WHOLE_TABLES, prune
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.session import connect
from tests.store.changing import Reader, run

MORE = int(os.environ.get("LOANMETRICS_EXAMPLES", "0"))
WRITERS, READERS, LOANS, ROWS = 3, 2, 4, 3
OLD, OLDER, NEW = "2019-03-05", "2019-04-05", "2026-02-05"
LEAF = {OLD: "repayments_2019_03", OLDER: "repayments_2019_04", NEW: "repayments_2026_02"}
Step = tuple[Any, ...]

writer = st.integers(0, WRITERS - 1)
# A writer's rows are its own, so that none waits for another.
row = st.tuples(writer, st.integers(0, ROWS - 1))
loan = st.integers(0, LOANS - 1).map("L{}".format)
day = st.sampled_from(sorted(LEAF))
change = st.one_of(
    st.tuples(st.sampled_from(["pay", "pay_leaf"]), row, loan, day),
    st.tuples(st.just("edit"), row, st.integers(1, 9)),
    st.tuples(st.just("hand_over"), row, loan),
    st.tuples(st.just("move"), row, day),
    st.tuples(st.just("delete"), row),
    st.tuples(st.just("lend"), row, day),
    st.tuples(st.just("officer"), row),
)
look = st.tuples(st.just("look"), st.integers(0, READERS - 1), st.booleans())
step = st.one_of(
    st.tuples(st.sampled_from(["begin", "commit"]), writer),
    change,
    change,
    look,
    st.tuples(st.sampled_from(["rollback", "savepoint", "undo"]), writer),
    st.tuples(st.sampled_from(["truncate", "split", "prune"])),
)
# All begin as readers of much the same, with writers under way.
START = [("look", number, True) for number in range(READERS)] + [("begin", number) for number in range(2)]
steps = st.lists(step, min_size=20, max_size=60).map(START.__add__)


@dataclass
class World:
    """The lender's sessions, and ours."""

    writers: list[psycopg.Connection]
    ours: psycopg.Connection
    readers: list[Reader]
    open: dict[int, list[str]] = field(default_factory=dict)

    def do(self, step: Step) -> None:
        kind, *values = step
        action: Callable[..., None] = getattr(self, kind)
        action(*values)

    def write(self, number: int, statement: str, *values: object) -> None:
        """A statement that fails takes its transaction with it."""
        try:
            run(self.writers[number], statement, *values)
        except psycopg.errors.IntegrityError:
            self.rollback(number)

    def begin(self, number: int) -> None:
        if number not in self.open:
            run(self.writers[number], "BEGIN")
            self.open[number] = []

    def commit(self, number: int) -> None:
        self._end(number, "COMMIT")

    def rollback(self, number: int) -> None:
        self._end(number, "ROLLBACK")

    def _end(self, number: int, how: str) -> None:
        if self.open.pop(number, None) is not None:
            run(self.writers[number], how)

    def savepoint(self, number: int) -> None:
        if number in self.open:
            self.open[number].append(f"s{len(self.open[number])}")
            run(self.writers[number], f"SAVEPOINT {self.open[number][-1]}")

    def undo(self, number: int) -> None:
        if self.open.get(number):
            run(self.writers[number], f"ROLLBACK TO {self.open[number].pop()}")

    def pay(self, row: tuple[int, int], loan: str, day: str, table: str = "repayments") -> None:
        self.write(
            row[0],
            f"INSERT INTO {table} (repayment_id, loan_id, payment_date, payment_amount, updated_at)"
            " VALUES (%s, %s, %s, 1, '2020-01-01') ON CONFLICT (repayment_id, payment_date)"
            " DO UPDATE SET loan_id = EXCLUDED.loan_id",
            name(row),
            loan,
            day,
        )

    def pay_leaf(self, row: tuple[int, int], loan: str, day: str) -> None:
        found = self.writers[row[0]].execute("SELECT to_regclass(%s) IS NOT NULL", [LEAF[day]]).fetchone()
        self.pay(row, loan, day, LEAF[day] if found == (True,) else "repayments_default")

    def edit(self, row: tuple[int, int], amount: int) -> None:
        self.write(
            row[0], "UPDATE repayments SET payment_amount = %s WHERE repayment_id = %s", amount, name(row)
        )

    def hand_over(self, row: tuple[int, int], loan: str) -> None:
        self.write(row[0], "UPDATE repayments SET loan_id = %s WHERE repayment_id = %s", loan, name(row))

    def move(self, row: tuple[int, int], day: str) -> None:
        self.write(row[0], "UPDATE repayments SET payment_date = %s WHERE repayment_id = %s", day, name(row))

    def delete(self, row: tuple[int, int]) -> None:
        self.write(row[0], "DELETE FROM repayments WHERE repayment_id = %s", name(row))

    def lend(self, row: tuple[int, int], day: str) -> None:
        self.write(
            row[0],
            "INSERT INTO loans (loan_id, loan_amount, disbursement_date) VALUES (%s, 1, %s)"
            " ON CONFLICT (loan_id, disbursement_date) DO UPDATE SET loan_amount = loans.loan_amount + 1",
            f"L{row[0]}",
            day,
        )

    def officer(self, row: tuple[int, int]) -> None:
        self.write(
            row[0],
            "INSERT INTO officers (officer_id) VALUES (%s)"
            " ON CONFLICT (officer_id) DO UPDATE SET branch = officers.branch || 'x'",
            name(row),
        )

    def truncate(self) -> None:
        if not self.open:
            run(self.ours, "TRUNCATE repayments_default")

    def split(self) -> None:
        if not self.open:
            ensure_partitions(self.ours, ["repayments"])

    def prune(self) -> None:
        prune(self.ours)

    def look(self, number: int, finish: bool) -> None:
        reader = self.readers[number]
        first = reader.at is None
        found = reader.look(finish)
        assert found.reason == ("first run" if first else None)


def name(row: tuple[int, int]) -> str:
    return f"R{row[0]}-{row[1]}"


@pytest.fixture
def sessions(database: str) -> Iterator[list[psycopg.Connection]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(database)) for _ in range(WRITERS + 1)]


@contextmanager
def world(url: str, sessions: list[psycopg.Connection]) -> Iterator[World]:
    """An empty one, its older months not yet split off."""
    for table in (LEAF[OLD], LEAF[OLDER]):
        run(sessions[0], f"DROP TABLE IF EXISTS {table}")
    run(sessions[0], f"TRUNCATE {', '.join((*LOAN_TABLES, *WHOLE_TABLES))}")
    ensure_partitions(sessions[0], ["repayments"], [date.fromisoformat(NEW)])
    made = World(sessions[1:], sessions[0], [Reader(url, f"reader {number}") for number in range(READERS)])
    try:
        yield made
    finally:
        for number in list(made.open):
            made.rollback(number)


@settings(
    max_examples=MORE or 40,
    deadline=None,
    derandomize=not MORE,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps)
def test_copying_what_was_touched_is_copying_all(
    database: str, sessions: list[psycopg.Connection], steps: list[Step]
) -> None:
    with world(database, sessions) as made:
        for step in steps:
            made.do(step)
        for number in range(READERS):
            made.look(number, True)
