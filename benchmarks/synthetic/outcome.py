"""How each loan stands on the last day, as the lender's own system would write it down."""

from dataclasses import dataclass

import numpy as np

from synthetic.dice import Ints
from synthetic.lender import Lender
from synthetic.loans import Loans, Schedule
from synthetic.names import PAYMENT_STATUSES, STATUSES
from synthetic.payments import NO_DAY, Payments, credit

_ACTIVE, _CLOSED, _DEFAULTED, _RESTRUCTURED, _WRITTEN_OFF = range(len(STATUSES))
_PENDING, _PAID, _PARTIAL, _OVERDUE = range(len(PAYMENT_STATUSES))
_DEFAULT_AFTER, _WRITE_OFF_AFTER = 90, 120
_UNDATED_CLOSING = 0.004


@dataclass(frozen=True)
class Outcome:
    status: Ints
    closed: Ints
    maturity: Ints
    installment_status: Ints
    installment_paid: Ints
    installment_paid_on: Ints


def outcome(lender: Lender, loans: Loans, schedule: Schedule, payments: Payments) -> Outcome:
    maturity = np.zeros_like(loans.number)
    np.maximum.at(maturity, schedule.loan, schedule.due)
    credited = _credited(lender, loans, payments)
    status, closed = _status(lender, loans, schedule, payments, maturity, credited)
    paid, installment_status = _installments(lender, schedule, credited)
    return Outcome(
        status=status,
        closed=closed,
        maturity=maturity,
        installment_status=installment_status,
        installment_paid=paid,
        installment_paid_on=_paid_on(schedule, payments, paid),
    )


def _credited(lender: Lender, loans: Loans, payments: Payments) -> Ints:
    """Half of the loans are not told when a payment is reversed: they stay closed though money is owed."""
    told = lender.dice.chance(0.5, "told of reversal", loans.number)
    counts = ~(payments.is_reversed & told[payments.loan])
    total = np.zeros_like(loans.number)
    np.add.at(total, payments.loan, credit(loans, payments) * counts)
    return total


def _status(
    lender: Lender, loans: Loans, schedule: Schedule, payments: Payments, maturity: Ints, credited: Ints
) -> tuple[Ints, Ints]:
    dice, today = lender.dice, lender.last_day
    last_paid = np.full_like(loans.number, NO_DAY)
    np.maximum.at(last_paid, payments.loan, payments.day)
    moved = np.zeros(len(loans.number), dtype=np.bool_)
    moved[schedule.loan[schedule.moved_out]] = True
    written_off_on = maturity + _WRITE_OFF_AFTER + dice.below(90, "written off after", loans.number)
    written_off = (written_off_on <= today) & dice.chance(0.75, "written off", loans.number)
    repaid = credited >= loans.principal + loans.interest + loans.fee * loans.fee_scheduled
    status = np.select(
        [repaid, written_off, today - maturity > _DEFAULT_AFTER, moved],
        [_CLOSED, _WRITTEN_OFF, _DEFAULTED, _RESTRUCTURED],
        _ACTIVE,
    ).astype(np.int64)
    closed = np.select([repaid, written_off], [last_paid, written_off_on], NO_DAY)
    undated = dice.chance(_UNDATED_CLOSING * lender.mess, "undated closing", loans.number)
    return status, np.where(undated & repaid, NO_DAY, closed)


def _installments(lender: Lender, schedule: Schedule, credited: Ints) -> tuple[Ints, Ints]:
    due = schedule.principal + schedule.interest + schedule.fee
    running = np.cumsum(due)
    before = running - due
    before_in_loan = before - before[schedule.first_of_loan][schedule.loan]
    paid = np.clip(credited[schedule.loan] - before_in_loan, 0, due)
    unpaid = np.where(schedule.due < lender.last_day, _OVERDUE, _PENDING)
    return paid, np.where(paid == due, _PAID, np.where(paid > 0, _PARTIAL, unpaid))


def _paid_on(schedule: Schedule, payments: Payments, paid: Ints) -> Ints:
    """An approximation: the day of the loan's first payment on or after the due date, else of its last."""
    key = schedule.loan * 2**20 + schedule.due
    order = payments.loan * 2**20 + payments.day
    last = np.searchsorted(payments.loan, schedule.loan, side="right") - 1
    at = np.minimum(np.searchsorted(order, key), last)
    has_payment = (last >= 0) & (paid > 0)
    return np.where(has_payment, payments.day[np.maximum(at, 0)] if len(payments.day) else NO_DAY, NO_DAY)
