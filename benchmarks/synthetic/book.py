"""A stretch of loan numbers as Arrow tables: loans, their schedule and repayments."""

import numpy as np
import pyarrow as pa

from synthetic import names, people
from synthetic.arrow import (
    OPEN_MINUTES,
    OPENS,
    RATE,
    dates,
    decimals,
    ids,
    instants,
    joined,
    moment,
    nightly_stamp,
    small_ints,
    texts,
    unless,
)
from synthetic.dice import Ints
from synthetic.lender import Lender, usual_channel
from synthetic.loans import Loans, Schedule, make_loans, make_schedule
from synthetic.mess import CASH, method, settle_in
from synthetic.outcome import Outcome, outcome
from synthetic.payments import UNTYPED_WAIVER, Payments, make_payments
from synthetic.schemas import SCHEMAS

_SCHEDULE_IDS_PER_LOAN, _REPAYMENT_IDS_PER_LOAN = 100, 1000
_PARTNER = names.CHANNELS.index("Partner")


def chunk(lender: Lender, number: Ints) -> dict[str, pa.Table]:
    loans = make_loans(lender, number)
    schedule = make_schedule(lender, loans)
    payments = settle_in(lender, loans, make_payments(lender, loans, schedule))
    end = outcome(lender, loans, schedule, payments)
    return {
        "loans": _loans(lender, loans, end),
        "loan_schedule": _schedule(loans, schedule, end),
        "repayments": _repayments(lender, loans, payments),
    }


def _loans(lender: Lender, loans: Loans, end: Outcome) -> pa.Table:
    dice, number = lender.dice, loans.number
    channel = _channels(lender, loans)
    created = moment(loans.disbursed, OPENS + 60 * dice.below(OPEN_MINUTES, "disbursed at", number))
    no_rate = dice.chance(0.002 * lender.mess, "no rate", number)
    no_fee = dice.chance(0.002 * lender.mess, "no fee", number)
    columns = [
        ids("L", number, 8),
        ids("C", loans.customer, 8),
        people.person_names(dice, "customer", loans.customer),
        people.phones(loans.customer),
        people.officer_ids(loans.officer),
        people.person_names(dice, "officer", loans.officer),
        people.officer_phones(loans.officer),
        texts(names.REGIONS, loans.branch // names.BRANCHES_PER_REGION),
        texts(names.BRANCHES, loans.branch),
        texts(names.STATES, loans.branch),
        decimals(loans.principal),
        dates(loans.disbursed),
        dates(end.maturity),
        small_ints(loans.term),
        decimals(loans.rate, RATE, no_rate),
        decimals(loans.fee, null=no_fee),
        texts(names.CHANNELS, channel),
        texts(names.PARTNERS, np.where(channel == _PARTNER, dice.below(3, "partner", number), -1)),
        texts(names.STATUSES, end.status),
        dates(end.closed),
        instants(created),
        instants(nightly_stamp(np.maximum(loans.disbursed, end.closed))),
    ]
    return pa.table(columns, schema=SCHEMAS["loans"])


def _channels(lender: Lender, loans: Loans) -> Ints:
    usual = usual_channel(loans.officer)
    strays = lender.dice.chance(lender.odds("impure", loans.officer), "stray channel", loans.number)
    other = 1 + lender.dice.below(len(names.CHANNELS) - 1, "other channel", loans.number)
    return np.where(strays, (usual + other) % len(names.CHANNELS), usual)


def _schedule(loans: Loans, schedule: Schedule, end: Outcome) -> pa.Table:
    loan = pa.array(schedule.loan)
    created = instants(nightly_stamp(loans.disbursed[schedule.loan]))
    columns = [
        pa.array(loans.number[schedule.loan] * _SCHEDULE_IDS_PER_LOAN + schedule.k + 1),
        ids("L", loans.number, 8).take(loan),
        small_ints(schedule.k + 1),
        dates(schedule.due),
        decimals(schedule.principal),
        decimals(schedule.interest),
        decimals(schedule.fee),
        decimals(schedule.principal + schedule.interest + schedule.fee),
        texts(names.PAYMENT_STATUSES, end.installment_status),
        decimals(end.installment_paid),
        dates(end.installment_paid_on),
        created,
        created,
    ]
    return pa.table(columns, schema=SCHEMAS["loan_schedule"])


def _repayments(lender: Lender, loans: Loans, payments: Payments) -> pa.Table:
    dice, number = lender.dice, loans.number[payments.loan]
    key = (number, payments.slot)
    by = method(lender, loans, payments)
    repayment = number * _REPAYMENT_IDS_PER_LOAN + _turn(payments) + 1
    recorded = payments.day + payments.recorded_after
    created = moment(recorded, OPENS + 60 * dice.below(OPEN_MINUTES, "recorded at", *key))
    reason = np.where(payments.is_reversed, dice.below(len(names.REVERSAL_REASONS), "reason", *key), -1)
    waiver_type = np.where(payments.waiver_type == UNTYPED_WAIVER, -1, payments.waiver_type)
    columns = [
        ids("R", repayment, 11),
        ids("L", loans.number, 8).take(pa.array(payments.loan)),
        dates(payments.day),
        *[
            decimals(getattr(payments, part))
            for part in ("amount", "principal", "interest", "fees", "penalty")
        ],
        texts(names.METHODS, by),
        unless(by == CASH, ids("P", repayment, 11)),
        texts(names.PAYMENT_CHANNELS, by),
        small_ints(np.maximum(payments.day - payments.oldest_due, 0)),
        pa.array(payments.is_backdated),
        pa.array(payments.is_reversed),
        dates(payments.reversed_on),
        texts(names.REVERSAL_REASONS, reason),
        decimals(payments.waiver),
        texts(names.WAIVER_TYPES, waiver_type),
        unless(payments.waiver == 0, joined("Manager, ", texts(names.BRANCHES, loans.branch[payments.loan]))),
        instants(created),
        instants(nightly_stamp(np.maximum(recorded, payments.reversed_on))),
    ]
    return pa.table(columns, schema=SCHEMAS["repayments"])


def _turn(payments: Payments) -> Ints:
    """The position of each row within its loan."""
    return np.arange(len(payments.loan)) - np.searchsorted(payments.loan, payments.loan)
