"""What life does to a clean list of payments: waivers, reversals, late and careless entries."""

from dataclasses import replace

import numpy as np

from synthetic.dice import Bools, Ints
from synthetic.lender import Lender
from synthetic.loans import Loans
from synthetic.payments import (
    FEE_WAIVER,
    INTEREST_WAIVER,
    NO_DAY,
    NO_WAIVER,
    PENALTY_WAIVER,
    PRINCIPAL_WAIVER,
    UNTYPED_WAIVER,
    Payments,
)
from synthetic.tables import stack, take

CASH = 0
_CASHLESS_SHARES = [0.6, 0.15, 0.25]
_WAIVER_SHARES = [0.5, 0.15, 0.15, 0.1, 0.1]
_UNSPLIT, _OVERPAID, _REPOSTED, _UNDATED_REVERSAL = 0.004, 0.003, 0.7, 0.08
_REPOST_SLOT = 2
_ROUND_UP_TO = 100_000


def settle_in(lender: Lender, loans: Loans, payments: Payments) -> Payments:
    """The rows as recorded by the end of the lender's last day, in (loan, day, slot) order."""
    payments = _recorded_late(lender, loans, payments)
    payments = _waived(lender, loans, payments)
    payments = _overpaid(lender, loans, payments)
    payments = replace(
        payments, amount=payments.principal + payments.interest + payments.fees + payments.penalty
    )
    payments = take(payments, (payments.amount > 0) | (payments.waiver > 0))
    payments = _reversed(lender, loans, payments)
    payments = _unsplit(lender, loans, payments)
    known = take(payments, payments.day + payments.recorded_after <= lender.last_day)
    return take(known, np.lexsort((known.slot, known.day, known.loan)))


def method(lender: Lender, loans: Loans, payments: Payments) -> Ints:
    key = _key(loans, payments)
    cash = lender.dice.chance(lender.odds("cash", loans.officer[payments.loan]), "cash", *key)
    return np.where(cash, CASH, 1 + lender.dice.pick(_CASHLESS_SHARES, "cashless method", *key))


def _key(loans: Loans, payments: Payments) -> tuple[Ints, Ints]:
    return loans.number[payments.loan], payments.slot


def _chance(lender: Lender, loans: Loans, payments: Payments, field: str) -> Bools:
    odds = lender.mess_odds(field, loans.officer[payments.loan])
    return lender.dice.chance(odds, field, *_key(loans, payments))


def _recorded_late(lender: Lender, loans: Loans, payments: Payments) -> Payments:
    key = _key(loans, payments)
    backdated = _chance(lender, loans, payments, "backdated")
    cash = method(lender, loans, payments) == CASH
    gap = cash & _chance(lender, loans, payments, "float_gap") & (payments.waiver == 0)
    days = np.where(
        backdated, 2 + lender.dice.below(8, "backdated by", *key), 2 + lender.dice.below(3, "gap", *key)
    )
    return replace(payments, is_backdated=backdated, recorded_after=days * (backdated | gap))


def _waived(lender: Lender, loans: Loans, payments: Payments) -> Payments:
    """A part of what is due is waived instead of paid; a penalty only where there is one."""
    key = _key(loans, payments)
    kind = lender.dice.pick(_WAIVER_SHARES, "waiver type", *key)
    of_interest = (kind == INTEREST_WAIVER) | (kind == UNTYPED_WAIVER)
    chosen = _chance(lender, loans, payments, "waiver") & (payments.waiver == 0)
    percent = (20 + lender.dice.below(81, "waiver percent", *key)) * chosen
    interest = payments.interest * percent // 100 * of_interest
    fees = payments.fees * percent // 100 * (kind == FEE_WAIVER)
    principal = payments.principal * percent // 400 * (kind == PRINCIPAL_WAIVER)
    penalty = payments.penalty * percent // 100 * (kind == PENALTY_WAIVER)
    given = interest + fees + principal + penalty
    return replace(
        payments,
        interest=payments.interest - interest,
        fees=payments.fees - fees,
        principal=payments.principal - principal,
        penalty=payments.penalty - penalty,
        waiver=payments.waiver + given,
        waiver_type=np.where(given > 0, kind, payments.waiver_type),
    )


def _overpaid(lender: Lender, loans: Loans, payments: Payments) -> Payments:
    """Rounded up to the next thousand, the surplus booked as principal."""
    chosen = lender.dice.chance(_OVERPAID * lender.mess, "overpaid", *_key(loans, payments))
    paid = payments.principal + payments.interest + payments.fees + payments.penalty
    return replace(payments, principal=payments.principal + -paid % _ROUND_UP_TO * chosen)


def _reversed(lender: Lender, loans: Loans, payments: Payments) -> Payments:
    """A reversal known by the last day; most are posted again, as found out that day."""
    dice, key = lender.dice, _key(loans, payments)
    wait = payments.recorded_after + dice.below(13, "reversed after", *key)
    day = payments.day + wait
    chosen = _chance(lender, loans, payments, "reversal") & (payments.amount > 0) & (day <= lender.last_day)
    undated = dice.chance(_UNDATED_REVERSAL, "undated reversal", *key)
    reversed_on = np.where(chosen & ~undated, day, NO_DAY)
    posted_again = chosen & dice.chance(_REPOSTED, "reposted", *key)
    again = replace(payments, slot=payments.slot + _REPOST_SLOT, recorded_after=wait, is_backdated=wait > 1)
    return stack(replace(payments, is_reversed=chosen, reversed_on=reversed_on), take(again, posted_again))


def _unsplit(lender: Lender, loans: Loans, payments: Payments) -> Payments:
    chosen = lender.dice.chance(_UNSPLIT * lender.mess, "unsplit", *_key(loans, payments))
    chosen &= (payments.penalty == 0) & (payments.waiver_type == NO_WAIVER)
    return replace(
        payments,
        principal=payments.principal * ~chosen,
        interest=payments.interest * ~chosen,
        fees=payments.fees * ~chosen,
    )
