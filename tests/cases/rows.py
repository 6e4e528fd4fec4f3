"""Rows to build small books of.

P is a loan of 900, principal only, in three installments of 300 due on 1, 8 and 15 March 2026. Q falls due on the
same days, three times 200 principal, 80 interest and 20 fee.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from tests.cases.case import Row, Rows


def february(day: int) -> date:
    return date(2026, 2, day)


def march(day: int) -> date:
    return date(2026, 3, day)


def april(day: int) -> date:
    return date(2026, 4, day)


DUE_DATES = (march(1), march(8), march(15))


def officer(officer_id: str = "O1", primary_channel: str | None = None) -> Row:
    return {
        "officer_id": officer_id,
        "officer_name": f"Officer {officer_id}",
        "region": "North",
        "branch": "Kano",
        "primary_channel": primary_channel,
    }


def loan(loan_id: str, amount: str, **columns: object) -> Row:
    """A loan of officer O1 disbursed on 20 February."""
    row = {
        "loan_id": loan_id,
        "officer_id": "O1",
        "region": "North",
        "branch": "Kano",
        "loan_amount": Decimal(amount),
        "disbursement_date": february(20),
        "channel": "Direct",
        "status": "Active",
    }
    return {**row, **columns}


def installment(loan_id: str, number: int, due_date: date, *parts: int) -> Row:
    """``parts``: principal, interest, fee."""
    names = ("principal_due", "interest_due", "fee_due")
    amounts = {name: Decimal(part) for name, part in zip(names, parts, strict=True)}
    return {"loan_id": loan_id, "installment_number": number, "due_date": due_date, **amounts}


def p_loan(loan_id: str = "P", **columns: object) -> Row:
    return loan(loan_id, "900", **columns)


def p_schedule(loan_id: str = "P", dates: Sequence[date] = DUE_DATES) -> list[Row]:
    return [installment(loan_id, number, day, 300, 0, 0) for number, day in enumerate(dates, 1)]


def q_schedule() -> list[Row]:
    return [installment("Q", number, day, 200, 80, 20) for number, day in enumerate(DUE_DATES, 1)]


def book(
    loans: Sequence[Row],
    schedule: Sequence[Row],
    repayments: Sequence[Row] = (),
    officers: Sequence[Row] = (officer(),),
    holidays: Sequence[date] = (),
) -> Rows:
    return {
        "loans": loans,
        "loan_schedule": schedule,
        "repayments": repayments,
        "officers": officers,
        "holidays": [{"holiday_date": day} for day in holidays],
    }


def p_book(*repayments: Row, **columns: object) -> Rows:
    """P alone, ``columns`` of the loan changed."""
    return book([p_loan("P", **columns)], p_schedule(), repayments)


def q_book(*repayments: Row, **columns: object) -> Rows:
    """Q alone, ``columns`` of the loan changed."""
    return book([loan("Q", "600", **columns)], q_schedule(), repayments)


def unsplit(loan_id: str, day: date, amount: str, **columns: object) -> Row:
    """A payment whose parts are not given."""
    row = {
        "repayment_id": f"{loan_id} {day} {amount}",
        "loan_id": loan_id,
        "payment_date": day,
        "payment_amount": Decimal(amount),
    }
    return {**row, **columns}


def paid(loan_id: str, day: date, amount: str, part: str = "principal", **columns: object) -> Row:
    """A payment of one part: principal, interest, fees or penalty."""
    return unsplit(loan_id, day, amount, **{f"{part}_paid": Decimal(amount)}, **columns)


def waiver(loan_id: str, day: date, amount: str, waiver_type: str | None) -> Row:
    """A row that waives and brings no money."""
    given = {"waiver_amount": Decimal(amount), "waiver_type": waiver_type}
    return unsplit(loan_id, day, "0", **given)
