"""Loans and their contracts, one array per column."""

from dataclasses import dataclass

import numpy as np

from synthetic import days
from synthetic.dice import Bools, Ints
from synthetic.lender import Lender, branch_of, customer_of, officer_of

DAILY, WEEKLY, BULLET = range(3)
_PRODUCT_SHARES = [0.15, 0.31, 0.54]
_DAILY_COUNT = 30
_WEEKLY_COUNTS = np.array([12, 16, 20, 24])
_BULLET_TERMS = np.array([30, 45, 60, 90])
_RATES = np.array([180_000, 240_000, 300_000, 360_000, 420_000, 480_000])
_FEE_PER_MILLE = np.array([10, 15, 20, 30])
_MONTH_END_RUSH = 1.8
_MOVED_OUT_BY = 28
_RATE_YEAR = 365 * 1_000_000


@dataclass(frozen=True)
class Loans:
    number: Ints
    customer: Ints
    officer: Ints
    branch: Ints
    disbursed: Ints
    product: Ints
    installments: Ints
    term: Ints
    principal: Ints
    interest: Ints
    fee: Ints
    fee_scheduled: Bools
    rate: Ints


@dataclass(frozen=True)
class Schedule:
    """Installments in (loan, k) order; `loan` is the position in Loans, k counts from 0."""

    loan: Ints
    k: Ints
    due: Ints
    principal: Ints
    interest: Ints
    fee: Ints
    first_of_loan: Ints
    moved_out: Bools


def make_loans(lender: Lender, number: Ints) -> Loans:
    dice = lender.dice
    officer = officer_of(lender, number)
    product = dice.pick(_PRODUCT_SHARES, "product", number)
    weekly = _WEEKLY_COUNTS[dice.pick([0.4, 0.3, 0.2, 0.1], "weeks", number)]
    bullet = _BULLET_TERMS[dice.pick([0.4, 0.2, 0.25, 0.15], "bullet", number)]
    term = np.choose(product, [np.full(len(number), _DAILY_COUNT), weekly * 7, bullet])
    principal = _amounts(lender, number)
    rate = _RATES[dice.below(len(_RATES), "rate", number)]
    fee_scheduled = (product == WEEKLY) | ((product == BULLET) & dice.chance(0.5, "fee in schedule", number))
    return Loans(
        number=number,
        customer=customer_of(lender, number),
        officer=officer,
        branch=branch_of(lender, number, officer),
        disbursed=_disbursement_days(lender, number),
        product=product,
        installments=np.choose(product, [np.full(len(number), _DAILY_COUNT), weekly, np.ones_like(number)]),
        term=term,
        principal=principal,
        interest=_interest(principal, rate, term),
        fee=principal * _FEE_PER_MILLE[dice.below(4, "fee", number)] // 1000,
        fee_scheduled=fee_scheduled,
        rate=rate,
    )


def _interest(principal: Ints, rate: Ints, term: Ints) -> Ints:
    return np.asarray((2 * principal * rate * term // _RATE_YEAR + 1) // 2)


def _amounts(lender: Lender, number: Ints) -> Ints:
    """20,000 to 500,000, mostly round, some with kobo; in kobo."""
    naira = 20_000 * 25 ** lender.dice.uniform("amount", number)
    kobo = lender.dice.below(50_000, "kobo", number)
    odd = lender.dice.chance(0.08, "odd amount", number)
    return (naira // 500).astype(np.int64) * 50_000 + kobo * odd


def _disbursement_days(lender: Lender, number: Ints) -> Ints:
    working = lender.working_days.working
    open_days = working[working <= lender.last_day]
    growth = 1 + np.arange(len(open_days)) / len(open_days)
    weight = growth * np.where(days.near_month_end(open_days, 5), _MONTH_END_RUSH, 1.0)
    edges = np.cumsum(weight / weight.sum())[:-1]
    return np.asarray(
        open_days[np.searchsorted(edges, lender.dice.uniform("disbursed", number), side="right")]
    )


def make_schedule(lender: Lender, loans: Loans) -> Schedule:
    loan = np.repeat(np.arange(len(loans.number)), loans.installments)
    first = np.cumsum(loans.installments) - loans.installments
    k = np.arange(len(loan)) - first[loan]
    moved = _moved_out(lender, loans)[loan] & (k >= loans.installments[loan] // 2)
    return Schedule(
        loan=loan,
        k=k,
        due=_due_days(lender, loans, loan, k, moved),
        principal=_share(loans.principal, loans, loan, k),
        interest=_share(loans.interest, loans, loan, k),
        fee=_share(loans.fee * loans.fee_scheduled, loans, loan, k),
        first_of_loan=first,
        moved_out=moved,
    )


def _moved_out(lender: Lender, loans: Loans) -> Bools:
    """A restructured loan: the second half of its schedule is moved out."""
    chosen = lender.dice.chance(0.02, "restructured", loans.number)
    return np.equal(loans.product, WEEKLY) & chosen


def _due_days(lender: Lender, loans: Loans, loan: Ints, k: Ints, moved: Bools) -> Ints:
    disbursed, product = loans.disbursed[loan], loans.product[loan]
    step = np.choose(product, [k + 1, 7 * (k + 1), loans.term[loan]])
    every_day = lender.dice.chance(0.4, "every day", loans.number)[loan]
    rolled = lender.working_days.roll(disbursed + step + _MOVED_OUT_BY * moved)
    working = lender.working_days.after(disbursed, np.where(product == DAILY, k + 1, 1))
    return np.where((product == DAILY) & ~every_day, working, rolled)


def _share(total: Ints, loans: Loans, loan: Ints, k: Ints) -> Ints:
    """Equal parts; the last takes what is left."""
    count = loans.installments[loan]
    part = total[loan] // count
    return np.where(k == count - 1, total[loan] - part * (count - 1), part)
