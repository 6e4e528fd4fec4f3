"""Was the first installment missed? Undecided until the day after it fell due, grace included."""

import numpy as np

from loanmetrics.engine.allocation import credited_waivers
from loanmetrics.engine.calendar import NEVER, Flags, Ints
from loanmetrics.engine.ledger import PARTS, Ledger
from loanmetrics.engine.sums import running, scattered
from loanmetrics.policy import SHARE_SCALE, Policy


def first_payment(ledger: Ledger, counts: Flags, day: int, policy: Policy) -> tuple[Flags, Flags]:
    """(missed, decided) per loan, as of ``day``; any cash by the deadline counts unless the policy asks for a share."""
    deadline = ledger.dues.first_due + policy.first_payment_grace_days
    decided: Flags = (ledger.dues.first_due != NEVER) & (deadline < day)
    deadline = np.where(decided, deadline, day)
    due = np.where(decided, first_amount(ledger), 0)
    waived = _waived_by(ledger, counts, deadline)
    paid = _paid_by(ledger, counts, deadline, payments_that_count(ledger, policy))
    return decided & missed(due, waived, paid, policy), decided


def payments_that_count(ledger: Ledger, policy: Policy) -> Ints:
    """What each row brings towards the first installment: any cash, or all credit where a share is asked for."""
    return ledger.credit if policy.share_scaled else ledger.repayments.cash


def missed(due: Ints, waived: Ints, paid: Ints, policy: Policy) -> Flags:
    """Whether a first installment of ``due`` was missed, given what was waived and paid by its deadline."""
    if policy.share_scaled:
        short: Flags = paid < _share(due, policy.share_scaled) - policy.tolerance_minor
    else:
        short = paid == 0
    return (due > waived) & short


def first_amount(ledger: Ledger) -> Ints:
    """All that the first installment asks for, per loan."""
    dues = ledger.dues
    firsts = [dues.spans.first(getattr(dues, part), 0) for part in PARTS]
    amount: Ints = np.sum(firsts, axis=0)
    return amount


def _paid_by(ledger: Ledger, counts: Flags, deadline: Ints, values: Ints) -> Ints:
    """Sum of counting rows dated on or before each loan's deadline."""
    rows = ledger.repayments
    total = running(np.where(counts, values, 0))
    return total[rows.paid_until(np.arange(len(deadline)), deadline)] - total[rows.spans.start]


def _waived_by(ledger: Ledger, counts: Flags, deadline: Ints) -> Ints:
    waived = credited_waivers(ledger, counts)
    in_time = ledger.repayments.day[waived.rows] <= deadline[waived.loan]
    amount = np.sum(list(waived.parts.values()), axis=0)
    return scattered(waived.loan[in_time], amount[in_time], len(deadline))


def _share(due: Ints, millionths: int) -> Ints:
    """``due`` times a share, rounded up: an integer is below the product iff it is below this."""
    whole, rest = np.divmod(due, SHARE_SCALE)
    rounded_up: Ints = whole * millionths - (-rest * millionths // SHARE_SCALE)
    return rounded_up
