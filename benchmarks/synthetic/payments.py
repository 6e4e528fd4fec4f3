"""How borrowers pay: visits that cover installments, late or ahead, whole or in parts."""

from dataclasses import dataclass, replace

import numpy as np

from synthetic import days
from synthetic.dice import Bools, Ints
from synthetic.lender import Lender
from synthetic.loans import BULLET, DAILY, WEEKLY, Loans, Schedule
from synthetic.tables import stack, take

NO_DAY = -1
NO_WAIVER, INTEREST_WAIVER, FEE_WAIVER, PRINCIPAL_WAIVER, PENALTY_WAIVER, UNTYPED_WAIVER = range(-1, 5)
_VISIT_ODDS = {DAILY: 0.30, WEEKLY: 0.58, BULLET: 1.0}
_PART_ODDS = 0.16
_SLOTS_PER_INSTALLMENT = 8
_FEE_APART_SLOT = 4


@dataclass(frozen=True)
class Payments:
    """`slot` is unique within a loan; `amount` stays 0 until the parts are final."""

    loan: Ints
    slot: Ints
    day: Ints
    oldest_due: Ints
    principal: Ints
    interest: Ints
    fees: Ints
    penalty: Ints
    amount: Ints
    waiver: Ints
    waiver_type: Ints
    recorded_after: Ints
    is_backdated: Bools
    reversed_on: Ints
    is_reversed: Bools


@dataclass(frozen=True)
class Visits:
    loan: Ints
    k: Ints
    turn: Ints
    first_due: Ints
    last_due: Ints
    principal: Ints
    interest: Ints
    fee: Ints


def make_payments(lender: Lender, loans: Loans, schedule: Schedule) -> Payments:
    visits = _visits(lender, loans, schedule)
    paid, late_by = _fate(lender, loans, visits)
    day = _visit_days(lender, loans, visits, late_by)
    whole = _whole_payments(lender, loans, visits, day)
    came = _in_parts(lender, loans, take(whole, paid))
    missed = _only_waivers(lender, loans, take(whole, ~paid))
    return stack(came, missed, _fees_apart(lender, loans, schedule))


def _visits(lender: Lender, loans: Loans, schedule: Schedule) -> Visits:
    odds = np.array([_VISIT_ODDS[product] for product in (DAILY, WEEKLY, BULLET)])[
        loans.product[schedule.loan]
    ]
    starts = (schedule.k == 0) | lender.dice.chance(odds, "visit", loans.number[schedule.loan], schedule.k)
    at = np.flatnonzero(starts)
    loan = schedule.loan[at]
    visits_before = np.searchsorted(loan, np.arange(len(loans.number)))
    return Visits(
        loan=loan,
        k=schedule.k[at],
        turn=np.arange(len(at)) - visits_before[loan],
        first_due=schedule.due[at],
        last_due=schedule.due[np.append(at[1:], len(starts)) - 1],
        principal=np.add.reduceat(schedule.principal, at),
        interest=np.add.reduceat(schedule.interest, at),
        fee=np.add.reduceat(schedule.fee, at),
    )


def _fate(lender: Lender, loans: Loans, visits: Visits) -> tuple[Bools, Ints]:
    """Which visits ever happen, and by how many days a cured default is late."""
    dice, number = lender.dice, loans.number
    defaults = dice.chance(lender.odds("default", loans.officer), "default", number)
    cures = dice.chance(lender.odds("cure", loans.officer), "cure", number)
    count = np.bincount(visits.loan, minlength=len(number))
    stop = (dice.uniform("stop", number) ** 1.5 * count).astype(np.int64)
    stopped = defaults[visits.loan] & (visits.turn >= stop[visits.loan])
    pause = 10 + dice.below(70, "pause", number)
    return ~stopped | cures[visits.loan], pause[visits.loan] * stopped


def _visit_days(lender: Lender, loans: Loans, visits: Visits, late_by: Ints) -> Ints:
    dice, key = lender.dice, (loans.number[visits.loan], visits.k)
    officer = loans.officer[visits.loan]
    first = visits.turn == 0
    late = dice.chance(
        np.where(first, lender.odds("first_miss", officer), lender.odds("late", officer)), "late", *key
    )
    waits = ~first & dice.chance(lender.odds("batches_late", officer), "batches late", *key)
    rolls = dice.chance(lender.odds("rolls", officer), "rolls", *key)
    delay = np.where(rolls, 7 + dice.below(24, "long delay", *key), 1 + dice.below(6, "delay", *key))
    ahead = dice.below(4, "ahead", *key) * dice.chance(0.3, "pays ahead", *key)
    day = np.where(waits, visits.last_due, visits.first_due) + np.where(late, delay, -ahead) + late_by
    waits_for_salary = late & days.near_month_end(day, 8) & dice.chance(0.4, "salary", *key)
    return np.maximum(np.where(waits_for_salary, days.month_end(day), day), loans.disbursed[visits.loan])


def _whole_payments(lender: Lender, loans: Loans, visits: Visits, day: Ints) -> Payments:
    key = (loans.number[visits.loan], visits.k)
    with_first = loans.fee * ~(loans.fee_scheduled | _pays_fee_apart(lender, loans))
    fees = visits.fee + with_first[visits.loan] * (visits.turn == 0)
    penalised = (day - visits.first_due >= 5) & lender.dice.chance(0.3, "penalty", *key)
    plain = _plain(visits.loan, visits.k * _SLOTS_PER_INSTALLMENT, day, visits.first_due)
    return replace(
        plain,
        principal=visits.principal,
        interest=visits.interest,
        fees=fees,
        penalty=(visits.principal + visits.interest) // 100 * penalised,
    )


def _plain(loan: Ints, slot: Ints, day: Ints, oldest_due: Ints) -> Payments:
    nothing = np.zeros_like(loan)
    never = np.zeros(len(loan), dtype=np.bool_)
    return Payments(
        loan=loan,
        slot=slot,
        day=day,
        oldest_due=oldest_due,
        principal=nothing,
        interest=nothing,
        fees=nothing,
        penalty=nothing,
        amount=nothing,
        waiver=nothing,
        waiver_type=nothing + NO_WAIVER,
        recorded_after=nothing,
        is_backdated=never,
        reversed_on=nothing + NO_DAY,
        is_reversed=never,
    )


def _in_parts(lender: Lender, loans: Loans, whole: Payments) -> Payments:
    """Some visits bring only a part; the rest follows up to ten days later, or never."""
    dice, key = lender.dice, (loans.number[whole.loan], whole.slot)
    split = dice.chance(_PART_ODDS, "split", *key)
    percent = np.where(split, 30 + dice.below(50, "percent", *key), 100)
    shorted = dice.chance(lender.odds("shorts", loans.officer[whole.loan]), "shorts", *key)
    now = _portion(whole, percent)
    rest = replace(
        whole,
        slot=whole.slot + 1,
        day=whole.day + dice.below(11, "gap", *key),
        principal=whole.principal - now.principal,
        interest=whole.interest - now.interest,
        fees=whole.fees - now.fees,
        penalty=whole.penalty - now.penalty,
    )
    return stack(now, take(rest, split & ~shorted))


def _portion(whole: Payments, percent: Ints) -> Payments:
    return replace(
        whole,
        principal=whole.principal * percent // 100,
        interest=whole.interest * percent // 100,
        fees=whole.fees * percent // 100,
        penalty=whole.penalty * percent // 100,
    )


def _only_waivers(lender: Lender, loans: Loans, missed: Payments) -> Payments:
    """A visit that never came, but its interest, or half of its principal, was waived."""
    dice, number = lender.dice, loans.number[missed.loan]
    odds = lender.mess_odds("waiver", loans.officer[missed.loan])
    rows = take(missed, dice.chance(odds, "only a waiver", number, missed.slot) & (missed.interest > 0))
    of_principal = dice.chance(0.4, "waives principal", loans.number[rows.loan], rows.slot)
    return replace(
        _portion(rows, np.zeros_like(rows.loan)),
        waiver=np.where(of_principal, rows.principal // 2, rows.interest),
        waiver_type=np.where(of_principal, PRINCIPAL_WAIVER, INTEREST_WAIVER),
    )


def _pays_fee_apart(lender: Lender, loans: Loans) -> Bools:
    return lender.dice.chance(0.2, "fee apart", loans.number)


def _fees_apart(lender: Lender, loans: Loans, schedule: Schedule) -> Payments:
    """Some borrowers whose fee is not in the schedule pay it at disbursement, by itself."""
    pays = ~loans.fee_scheduled & _pays_fee_apart(lender, loans)
    loan = np.flatnonzero(pays)
    slot = np.full(len(loan), _FEE_APART_SLOT)
    plain = _plain(loan, slot, loans.disbursed[loan], schedule.due[schedule.first_of_loan[loan]])
    return replace(plain, fees=loans.fee[loan])


def credit(loans: Loans, payments: Payments) -> Ints:
    """What the schedule is credited with, by the rules of the metrics."""
    fee_counts = loans.fee_scheduled[payments.loan]
    parts = payments.principal + payments.interest + payments.fees
    unsplit = (parts + payments.penalty == 0) & (payments.amount > 0)
    cash = np.where(
        unsplit, payments.amount, payments.principal + payments.interest + payments.fees * fee_counts
    )
    waives = (payments.waiver_type != PENALTY_WAIVER) & ((payments.waiver_type != FEE_WAIVER) | fee_counts)
    return np.where(waives, cash + payments.waiver, cash)
