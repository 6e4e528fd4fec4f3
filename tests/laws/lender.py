"""A lender at work on a real database: the changes that life makes to loans, schedules and repayments."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import psycopg

from loanmetrics.store.partitions import ensure_partitions

START = date(2026, 1, 1)
OFFICERS = ("A", "B", "C", None)
HOMES = {"A": ("North", "Kano"), "B": ("South", "Lagos"), "C": ("North", "Kaduna")}
PLACES = (("North", "Kano"), ("North", "Kaduna"), ("South", "Lagos"), (None, None))
LOAN = (
    "INSERT INTO loans (loan_id, officer_id, region, branch, loan_amount, disbursement_date, loan_term_days,"
    " maturity_date, interest_rate, channel, status) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0.15, %s, 'Active')"
)
DUE = (
    "INSERT INTO loan_schedule (loan_id, installment_number, due_date, principal_due, interest_due, fee_due,"
    " total_due) VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
PAID = (
    "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, fees_paid,"
    " payment_method, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)
CLOSED = (
    "SELECT FROM repayments JOIN loans USING (loan_id) WHERE repayment_id = %s AND NOT is_reversed IS TRUE"
    " AND (closed_date <= %s OR status IN ('Closed', 'Written Off'))"
)
MOVES = (
    "SELECT FROM loans WHERE loan_id = %s AND officer_id IS DISTINCT FROM %s AND branch IS DISTINCT FROM %s"
)


@dataclass
class Lender:
    """What happens to one lender's tables; ``unread`` counts the changes since somebody last read them.

    ``late`` is another session, for transactions that readers may overtake: then they are ``overtaken``.
    """

    database: psycopg.Connection
    late: psycopg.Connection
    today: date = START
    numbers: Counter[str] = field(default_factory=Counter)
    overtaken: bool = False
    unread: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        # A row that the late transaction holds is left alone.
        self.database.execute("SET lock_timeout = '50ms'")

    def note(self, what: str) -> None:
        self.unread[what] += 1

    def tell(self, statement: str, *values: Any) -> int:
        """How many rows a statement touched, or found."""
        try:
            return self.database.execute(statement.encode(), list(values)).rowcount
        except psycopg.errors.LockNotAvailable:
            return 0

    def do(self, what: str, statement: str, *values: Any) -> None:
        if self.tell(statement, *values):
            self.note(what)

    def pick(self, column: str, table: str, number: int) -> Any:
        """One of the values a column holds, or None."""
        rows = self.database.execute(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1".encode()).fetchall()
        return rows[number % len(rows)][0] if rows else None

    def is_empty(self) -> bool:
        return self.pick("loan_id", "loans", 0) is None

    def is_taken(self, receipt: str, day: date) -> bool:
        query = "SELECT FROM repayments WHERE repayment_id = %s AND payment_date = %s"
        return self.tell(query, receipt, day) > 0

    def fresh(self, letter: str) -> str:
        self.numbers[letter] += 1
        return f"{letter}{self.numbers[letter]:03}"

    def lend(self, officer: int, place: int, dues: Sequence[int], direct: bool, ago: int) -> None:
        """A new loan; without dues it gets the implied installment."""
        loan, disbursed = self.fresh("L"), self.today - timedelta(ago)
        region, branch = PLACES[place % len(PLACES)]
        channel = "Direct" if direct else "Agent"
        values = (OFFICERS[officer % len(OFFICERS)], region, branch, 300, disbursed)
        self.tell(LOAN, loan, *values, 30, disbursed + timedelta(30), channel)
        for number, after in enumerate(dues, 1):
            self.tell(DUE, loan, number, disbursed + timedelta(after), 100, 10, 5, 115)
        self.note("loan with schedule" if dues else "loan without schedule")

    def pay(self, number: int, amount: int, ago: int, split: bool) -> None:
        loan, day = self.pick("loan_id", "loans", number), self.today - timedelta(ago)
        if loan:
            parts = (amount, 0) if split else (None, None)
            values = (self.fresh("R"), loan, day, amount, *parts, "Cash", self.today)
            self.do("backdated payment" if ago else "payment", PAID, *values)

    def pay_nobody(self) -> None:
        self.do("orphan", PAID, self.fresh("R"), self.fresh("L"), self.today, 5, 5, 0, "Cash", None)

    def pay_late(self, number: int, amount: int, ago: int) -> None:
        """Begin a payment that is committed once others have come and gone."""
        loan, receipt = self.pick("loan_id", "loans", number), self.pick("repayment_id", "repayments", number)
        if not loan:
            return
        ensure_partitions(self.database)
        self.late.execute("BEGIN; SELECT pg_current_xact_id()")
        day = self.today - timedelta(ago)
        self.late.execute(PAID.encode(), [self.fresh("R"), loan, day, amount, amount, 0, "Cash", None])
        self.late.execute("UPDATE repayments SET is_backdated = true WHERE repayment_id = %s", [receipt])

    def commit_late(self) -> None:
        if self.is_paying_late:
            self.late.execute("COMMIT")
            self.note("late commit" if self.overtaken else "slow commit")
            self.overtaken = False

    @property
    def is_paying_late(self) -> bool:
        return self.late.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS

    def repeat_receipt(self, number: int, other: int) -> None:
        """The same receipt id for another loan, on another day."""
        receipt, loan = self.pick("repayment_id", "repayments", number), self.pick("loan_id", "loans", other)
        day = self.today - timedelta(other % 70)
        if receipt and loan and not self.is_taken(receipt, day):
            self.do("receipt twice", PAID, receipt, loan, day, 7, 7, 0, "Transfer", None)

    def spoil(self, number: int) -> None:
        receipt = self.pick("repayment_id", "repayments", number)
        spoilt = "UPDATE repayments SET principal_paid = payment_amount + 1 WHERE repayment_id = %s"
        self.do("row that breaks a rule", spoilt, receipt)

    def reverse(self, number: int, ago: int | None) -> None:
        day = None if ago is None else self.today - timedelta(ago)
        receipt = self.pick("repayment_id", "repayments", number)
        closed = self.tell(CLOSED, receipt, self.today)
        reversed_ = "UPDATE repayments SET is_reversed = true, reversal_date = %s WHERE repayment_id = %s"
        if self.tell(reversed_, day, receipt):
            self.note("reversal")
            self.unread["reversal of a closed loan"] += bool(closed)

    def edit(self, number: int, amount: int) -> None:
        receipt = self.pick("repayment_id", "repayments", number)
        edited = (
            "UPDATE repayments SET payment_amount = %s, principal_paid = %s, fees_paid = 0"
            " WHERE repayment_id = %s"
        )
        self.do("edited payment", edited, amount, amount, receipt)

    def move(self, number: int, other: int) -> None:
        receipt, loan = self.pick("repayment_id", "repayments", number), self.pick("loan_id", "loans", other)
        if receipt and loan:
            moved = "UPDATE repayments SET loan_id = %s WHERE repayment_id = %s"
            self.do("payment moved to another loan", moved, loan, receipt)

    def redate(self, number: int, ago: int) -> None:
        """An edit that moves a row to another partition."""
        receipt, day = self.pick("repayment_id", "repayments", number), self.today - timedelta(ago)
        if not self.is_taken(receipt, day):
            redated = (
                "UPDATE repayments SET payment_date = %s WHERE (repayment_id, payment_date) ="
                " (SELECT repayment_id, payment_date FROM repayments WHERE repayment_id = %s LIMIT 1)"
            )
            self.do("payment moved to another day", redated, day, receipt)

    def drop_payment(self, number: int) -> None:
        receipt = self.pick("repayment_id", "repayments", number)
        self.do("deleted payment", "DELETE FROM repayments WHERE repayment_id = %s", receipt)

    def reassign(self, number: int, officer: int, place: int) -> None:
        loan = self.pick("loan_id", "loans", number)
        region, branch = PLACES[place % len(PLACES)]
        whom = OFFICERS[officer % len(OFFICERS)]
        far = self.tell(MOVES, loan, whom, branch)
        moved = "UPDATE loans SET officer_id = %s, region = %s, branch = %s WHERE loan_id = %s"
        if self.tell(moved, whom, region, branch, loan):
            self.note("reassigned loan")
            self.unread["reassigned to an officer of another branch"] += far

    def close(self, number: int, status: str, ago: int | None) -> None:
        day = None if ago is None else self.today - timedelta(ago)
        loan = self.pick("loan_id", "loans", number)
        closed = "UPDATE loans SET status = %s, closed_date = %s WHERE loan_id = %s"
        self.do("closed loan", closed, status, day, loan)

    def drop_loan(self, number: int, whole: bool) -> None:
        loan = self.pick("loan_id", "loans", number)
        if self.tell("DELETE FROM loans WHERE loan_id = %s", loan):
            for table in ("loan_schedule", "repayments") if whole else ():
                self.tell(f"DELETE FROM {table} WHERE loan_id = %s", loan)
            self.note("deleted loan" if whole else "loan deleted from under its rows")

    def reschedule(self, number: int, days: int) -> None:
        loan = self.pick("loan_id", "loan_schedule", number)
        moved = "UPDATE loan_schedule SET due_date = due_date + %s WHERE loan_id = %s"
        self.do("rescheduled", moved, days, loan)

    def hire(self, officer: int, channel: str | None) -> None:
        name = OFFICERS[officer % 3]
        hired = (
            "INSERT INTO officers (officer_id, officer_name, region, branch, primary_channel) VALUES"
            " (%s, %s, %s, %s, %s) ON CONFLICT (officer_id) DO UPDATE SET"
            " primary_channel = EXCLUDED.primary_channel"
        )
        self.do("officer", hired, name, name, *HOMES[str(name)], channel)

    def celebrate(self) -> None:
        holiday = "INSERT INTO holidays (holiday_date) VALUES (%s) ON CONFLICT DO NOTHING"
        self.do("holiday", holiday, self.today)

    def post(self, place: int, amount: int) -> None:
        """The ledger's principal of a branch, today."""
        posted = (
            "INSERT INTO gl_balances VALUES (%s, %s, %s) ON CONFLICT (branch, balance_date)"
            " DO UPDATE SET principal = EXCLUDED.principal"
        )
        self.do("ledger", posted, PLACES[place % 3][1], self.today, amount)

    def change_their_mind(self) -> None:
        with self.database.transaction(force_rollback=True):
            self.tell("DELETE FROM repayments")
        self.note("roll-back")

    def leave(self) -> None:
        """All is gone."""
        self.commit_late()
        self.tell("TRUNCATE loans, loan_schedule, repayments")
        self.note("empty book")
