"""A lender at work on a real database: the changes that life makes to loans, schedules and repayments."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import psycopg

START = date(2026, 1, 1)
OFFICERS = ("A", "B", "C", None)
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


@dataclass
class Lender:
    """What happens to one lender's tables; ``seen`` counts which changes were made."""

    database: psycopg.Connection
    today: date = START
    numbers: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def note(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    def tell(self, statement: str, *values: Any) -> int:
        return self.database.execute(statement.encode(), list(values)).rowcount

    def pick(self, column: str, table: str, number: int) -> Any:
        """One of the values a column holds, or None."""
        rows = self.database.execute(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1".encode()).fetchall()
        return rows[number % len(rows)][0] if rows else None

    def is_taken(self, receipt: str, day: date) -> bool:
        query = "SELECT FROM repayments WHERE repayment_id = %s AND payment_date = %s"
        return self.tell(query, receipt, day) > 0

    def fresh(self, letter: str) -> str:
        self.numbers += 1
        return f"{letter}{self.numbers}"

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
            self.tell(PAID, self.fresh("R"), loan, day, amount, *parts, "Cash", day + timedelta(ago))
            self.note("backdated payment" if ago else "payment")

    def pay_nobody(self) -> None:
        self.tell(PAID, self.fresh("R"), self.fresh("L"), self.today, 5, 5, 0, "Cash", None)
        self.note("orphan")

    def repeat_receipt(self, number: int, other: int) -> None:
        """The same receipt id for another loan, on another day."""
        receipt, loan = self.pick("repayment_id", "repayments", number), self.pick("loan_id", "loans", other)
        day = self.today - timedelta(other % 70)
        if receipt and loan and not self.is_taken(receipt, day):
            self.tell(PAID, receipt, loan, day, 7, 7, 0, "Transfer", None)
            self.note("receipt twice")

    def spoil(self, number: int) -> None:
        receipt = self.pick("repayment_id", "repayments", number)
        self.tell(
            "UPDATE repayments SET principal_paid = payment_amount + 1 WHERE repayment_id = %s", receipt
        )
        self.note("row that breaks a rule")

    def reverse(self, number: int, ago: int | None) -> None:
        day = None if ago is None else self.today - timedelta(ago)
        receipt = self.pick("repayment_id", "repayments", number)
        self.tell(
            "UPDATE repayments SET is_reversed = true, reversal_date = %s WHERE repayment_id = %s",
            day,
            receipt,
        )
        self.note("reversal")

    def edit(self, number: int, amount: int) -> None:
        receipt = self.pick("repayment_id", "repayments", number)
        self.tell(
            "UPDATE repayments SET payment_amount = %s, principal_paid = %s, fees_paid = 0 WHERE repayment_id = %s",
            amount, amount, receipt,
        )  # fmt: skip
        self.note("edited payment")

    def move(self, number: int, other: int) -> None:
        receipt, loan = self.pick("repayment_id", "repayments", number), self.pick("loan_id", "loans", other)
        if receipt and loan:
            self.tell("UPDATE repayments SET loan_id = %s WHERE repayment_id = %s", loan, receipt)
            self.note("payment moved to another loan")

    def redate(self, number: int, ago: int) -> None:
        """An edit that moves a row to another partition."""
        receipt, day = self.pick("repayment_id", "repayments", number), self.today - timedelta(ago)
        if not self.is_taken(receipt, day):
            rows = self.tell(
                "UPDATE repayments SET payment_date = %s WHERE (repayment_id, payment_date) ="
                " (SELECT repayment_id, payment_date FROM repayments WHERE repayment_id = %s LIMIT 1)", day, receipt,
            )  # fmt: skip
            self.note("payment moved to another day") if rows else None

    def drop_payment(self, number: int) -> None:
        self.tell(
            "DELETE FROM repayments WHERE repayment_id = %s", self.pick("repayment_id", "repayments", number)
        )
        self.note("deleted payment")

    def reassign(self, number: int, officer: int, place: int) -> None:
        region, branch = PLACES[place % len(PLACES)]
        self.tell(
            "UPDATE loans SET officer_id = %s, region = %s, branch = %s WHERE loan_id = %s",
            OFFICERS[officer % len(OFFICERS)], region, branch, self.pick("loan_id", "loans", number),
        )  # fmt: skip
        self.note("reassigned loan")

    def close(self, number: int, status: str, ago: int | None) -> None:
        day = None if ago is None else self.today - timedelta(ago)
        loan = self.pick("loan_id", "loans", number)
        self.tell("UPDATE loans SET status = %s, closed_date = %s WHERE loan_id = %s", status, day, loan)
        self.note("closed loan")

    def drop_loan(self, number: int, whole: bool) -> None:
        loan = self.pick("loan_id", "loans", number)
        for table in ("loans", "loan_schedule", "repayments") if whole else ("loans",):
            self.tell(f"DELETE FROM {table} WHERE loan_id = %s", loan)
        self.note("deleted loan" if whole else "loan deleted from under its rows")

    def reschedule(self, number: int, days: int) -> None:
        loan = self.pick("loan_id", "loan_schedule", number)
        self.tell("UPDATE loan_schedule SET due_date = due_date + %s WHERE loan_id = %s", days, loan)
        self.note("rescheduled")

    def hire(self, officer: int, channel: str | None) -> None:
        name = OFFICERS[officer % 3]
        self.tell(
            "INSERT INTO officers (officer_id, officer_name, region, branch, primary_channel) VALUES"
            " (%s, %s, 'North', 'Kano', %s) ON CONFLICT (officer_id) DO UPDATE SET"
            " primary_channel = EXCLUDED.primary_channel", name, name, channel,
        )  # fmt: skip
        self.note("officer")

    def celebrate(self) -> None:
        self.tell("INSERT INTO holidays (holiday_date) VALUES (%s) ON CONFLICT DO NOTHING", self.today)
        self.note("holiday")

    def leave(self) -> None:
        """All is gone."""
        self.tell("TRUNCATE loans, loan_schedule, repayments")
        self.note("empty book")
