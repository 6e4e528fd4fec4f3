"""Where one oddity is planted: a small loan, its schedule and its repayments, row by row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from synthetic import names, people
from synthetic.lender import Lender, home_branch

Row = dict[str, Any]
Plant = Callable[["Plot"], None]

FIRST_NUMBER = 90_000_001
DISBURSED = -40
DUE = (-33, -26, -19)
PRINCIPAL, INTEREST, FEE = 30_000, 2_400, 300
_RECORDED_AT = time(11)
_SOUND_OFFICERS = (0, 1, 3, 4, 6, 7)


@dataclass
class Plot:
    """Days are offsets from the lender's last day; money is in units."""

    lender: Lender
    number: int
    rows: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def loan_id(self) -> str:
        return f"L{self.number:08d}"

    def day(self, offset: int) -> date:
        return self.lender.end + timedelta(days=offset)

    def instant(self, offset: int, at: time = _RECORDED_AT) -> datetime:
        return datetime.combine(self.day(offset), at, UTC)

    def add(self, table: str, row: Row) -> None:
        self.rows.setdefault(table, []).append(row)

    def count(self, table: str) -> int:
        return len(self.rows.get(table, []))

    @cached_property
    def host(self) -> Row:
        """A sound officer who takes the loan in."""
        chosen = _SOUND_OFFICERS[self.number % len(_SOUND_OFFICERS)] % self.lender.lending_officers
        officer = np.array([chosen], dtype=np.int64)
        branch = int(home_branch(officer)[0])
        return {
            "officer_id": people.officer_ids(officer)[0].as_py(),
            "officer_name": people.person_names(self.lender.dice, "officer", officer)[0].as_py(),
            "officer_phone": people.officer_phones(officer)[0].as_py(),
            "region": names.REGIONS[branch // names.BRANCHES_PER_REGION],
            "branch": names.BRANCHES[branch],
            "state": names.STATES[branch],
        }

    def loan(self, **changes: Any) -> None:
        disbursed = changes.pop("disbursed", DISBURSED)
        customer = f"C{self.number:08d}"
        row = {
            "loan_id": self.loan_id,
            "customer_id": customer,
            "customer_name": f"Planted {self.number % 1000}",
            "customer_phone": f"+2348009{self.number % 1_000_000:06d}",
            **self.host,
            "loan_amount": Decimal(3 * PRINCIPAL),
            "disbursement_date": self.day(disbursed),
            "maturity_date": self.day(DUE[-1]),
            "loan_term_days": 21,
            "interest_rate": Decimal("0.36"),
            "fee_amount": Decimal(3 * FEE),
            "channel": "Direct",
            "status": "Active",
            **stamps(self.instant(disbursed)),
        } | changes
        self.add("loans", row)
        if self.count("loans") == 1 and row["customer_id"] == customer:
            self.add("customers", self._customer(row))

    def _customer(self, loan: Row) -> Row:
        return {
            "customer_id": loan["customer_id"],
            "customer_name": loan["customer_name"],
            "customer_phone": loan["customer_phone"],
            "state": loan["state"],
            "kyc_status": "Verified",
            **stamps(self.instant(DISBURSED - 1)),
        }

    def schedule(self, *due: int) -> None:
        for offset in due or DUE:
            self.installment(offset)

    def installment(
        self,
        due: int,
        principal: float = PRINCIPAL,
        interest: float = INTEREST,
        fee: float = FEE,
        **changes: Any,
    ) -> None:
        k = self.count("loan_schedule") + 1
        row = {
            "schedule_id": self.number * 100 + k,
            "loan_id": self.loan_id,
            "installment_number": k,
            "due_date": self.day(due),
            "principal_due": money(principal),
            "interest_due": money(interest),
            "fee_due": money(fee),
            "total_due": money(principal) + money(interest) + money(fee),
            "payment_status": "Pending",
            "amount_paid": Decimal(0),
            **stamps(self.instant(DISBURSED)),
        }
        self.add("loan_schedule", row | changes)

    def pay(
        self,
        day: int,
        principal: float = PRINCIPAL,
        interest: float = INTEREST,
        fees: float = FEE,
        penalty: float = 0,
        **changes: Any,
    ) -> None:
        """One installment paid on the day, unless told otherwise; `recorded` is the day of entry."""
        recorded = changes.pop("recorded", day)
        at = changes.pop("at", _RECORDED_AT)
        parts = {
            "principal_paid": principal,
            "interest_paid": interest,
            "fees_paid": fees,
            "penalty_paid": penalty,
        }
        repayment = f"R{self.number:08d}{self.count('repayments') + 1:03d}"
        row = {
            "repayment_id": repayment,
            "loan_id": self.loan_id,
            "payment_date": self.day(day),
            "payment_amount": sum(money(part) for part in parts.values()),
            **{name: money(part) for name, part in parts.items()},
            "payment_method": "Transfer",
            "payment_reference": "P" + repayment[1:],
            "payment_channel": "Bank",
            "dpd_at_payment": 0,
            "is_backdated": False,
            "is_reversed": False,
            "waiver_amount": Decimal(0),
            **stamps(self.instant(recorded, at)),
        }
        self.add("repayments", row | changes)

    def waive(self, day: int, amount: float, kind: str | None) -> None:
        """A row that is only a waiver."""
        self.pay(
            day,
            0,
            0,
            0,
            waiver_amount=money(amount),
            waiver_type=kind,
            waiver_approved_by="Manager, Head Office",
        )

    def pay_all(self) -> None:
        for offset in DUE:
            self.pay(offset)


def money(units: float) -> Decimal:
    return Decimal(str(units)).quantize(Decimal("0.01"))


def stamps(moment: datetime) -> Row:
    return {"created_at": moment, "updated_at": moment}


def reversed_on(day: date | None) -> Row:
    return {"is_reversed": True, "reversal_date": day, "reversal_reason": "Bounced"}
