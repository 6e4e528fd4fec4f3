"""Every loan-level column of ``State.frame`` over a stretch of days: steps, or spells where it is a sum."""

from collections.abc import Callable

import numpy as np

from loanmetrics.engine.allocation import FILL_ORDER, spread
from loanmetrics.engine.calendar import NEVER, Flags, Ints
from loanmetrics.engine.history import ages, flows, installments
from loanmetrics.engine.history.ages import Ramps
from loanmetrics.engine.history.levels import Edges
from loanmetrics.engine.history.past import Past
from loanmetrics.engine.history.standing import Standing
from loanmetrics.engine.history.steps import Points, Spells, Steps, accumulated, as_flags, joined
from loanmetrics.engine.ledger import FEE, Loans
from loanmetrics.engine.state import Channels, pure


def column(past: Past, name: str, edges: Edges | None = None) -> Steps:
    """A column's values from each day they change on; days past due only as finely as ``edges`` tells them apart."""
    if (name, edges) not in past.made:
        past.made[name, edges] = _made(past, name, edges)
    return past.made[name, edges]


def _made(past: Past, name: str, edges: Edges | None) -> Steps:
    if name in DPD:
        return DPD[name](past).dpd(edges)
    if name in RAMPS:
        return RAMPS[name](past).steps(past.grid)
    return SUMS[name](past).steps(past.grid) if name in SUMS else STEPS[name](past)


def _principal_outstanding(past: Past) -> Steps:
    dues, (key, settled) = past.ledger.dues, _settled(past)
    points = Points(past.grid, key)
    parts = zip(FILL_ORDER, settled, strict=True)
    gap = {part: dues.scheduled(part)[points.loan] - amount for part, amount in parts}
    return points.steps(spread(gap)["principal"])


def _settled(past: Past) -> tuple[Ints, list[Ints]]:
    """Paid and waived by part, in the order of ``FILL_ORDER``."""
    carries = past.ledger.dues.carries_fee[past.ledger.repayments.loan[past.paid.row]]
    fees = np.where(carries, past.paid.parts["fee"], 0)
    paid = [(past.paid.parts | {"fee": fees})[part] for part in FILL_ORDER]
    waived = [past.waived.parts[part] for part in FILL_ORDER]
    both = [np.concatenate(pair) for pair in zip(paid, waived, strict=True)]
    row, start, stop = (
        np.concatenate([getattr(past.paid, name), getattr(past.waived, name)])
        for name in ("row", "start", "stop")
    )
    return _standing(past, past.ledger.repayments.loan[row], start, stop, both)


def _standing(
    past: Past, loan: Ints, start: Ints, stop: Ints, amounts: list[Ints]
) -> tuple[Ints, list[Ints]]:
    """Running sums of amounts that stand from day ``start`` up to, not including, day ``stop``."""
    begin, end = past.days.place(start), past.days.place(stop)
    seen = np.flatnonzero(begin < end)
    ends = seen[end[seen] < past.grid.width]
    key = past.grid.key(np.concatenate([loan[seen], loan[ends]]), np.concatenate([begin[seen], end[ends]]))
    return accumulated(past.grid, key, [np.concatenate([each[seen], -each[ends]]) for each in amounts])


def _fee_owed(past: Past) -> Steps:
    ledger, rows, dues = past.ledger, past.ledger.repayments, past.ledger.dues
    asked = np.flatnonzero(dues.fee)
    fallen = past.spells(dues.loan[asked], dues.due[asked], np.full(len(asked), NEVER), dues.fee[asked])
    some = rows.waivers[rows.waiver_type[rows.waivers] == FEE]
    forgiven = past.spells(rows.loan[some], rows.day[some], rows.until[some], rows.waiver[some])
    due, waived = fallen.steps(past.grid), forgiven.steps(past.grid)
    points = past.points(due.key, waived.key)
    owed = np.where(dues.carries_fee[points.loan], points.at(due), ledger.loans.fee[points.loan])
    return points.steps(np.maximum(0, owed - points.at(waived)))


def _fee_received(past: Past) -> Steps:
    loan = past.ledger.repayments.loan[past.paid.row]
    paid = past.spells(loan, past.paid.start, past.paid.stop, past.paid.parts["fee"]).steps(past.grid)
    owed = column(past, "fee_owed")
    points = past.points(paid.key, owed.key)
    return points.steps(np.minimum(points.at(paid), points.at(owed)))


def _due_ahead(past: Past) -> Steps:
    return installments.due_ahead(past, past.now.credited)


def _decided(past: Past) -> Steps:
    return past.per_loan(installments.decided_from(past), NEVER)


def _first_missed(past: Past) -> Steps:
    return installments.first_missed(past, column(past, "decided"))


def _disbursed(past: Past) -> Steps:
    return past.per_loan(past.ledger.loans.disbursed, NEVER)


def _in_cohort(past: Past) -> Steps:
    return _disbursed_within(past, past.book.policy.cohort_days)


def _in_fee_window(past: Past) -> Steps:
    return _disbursed_within(past, past.book.policy.frr_days)


def _disbursed_within(past: Past, days: int) -> Steps:
    disbursed = past.ledger.loans.disbursed
    return past.per_loan(disbursed, disbursed + days)


def _channel_known(past: Past) -> Steps:
    return _in_cohort_where(past, lambda channels, loans: channels.known[loans.cell])


def _channel_pure(past: Past) -> Steps:
    return _in_cohort_where(past, pure)


def _in_cohort_where(past: Past, chosen: Callable[[Channels, Loans], Flags]) -> Steps:
    """Loans of the cohort window that are chosen by the reference channels of the day."""
    disbursed, until = past.ledger.loans.disbursed, past.ledger.loans.disbursed + past.book.policy.cohort_days
    spells = [
        past.spells(
            np.arange(past.grid.loans),
            np.maximum(disbursed, era.start),
            np.minimum(until, era.stop),
            chosen(era.channels, past.ledger.loans).astype(np.int64),
        )
        for era in past.eras
    ]
    return as_flags(joined(spells).steps(past.grid))


DPD: dict[str, Callable[[Past], Standing]] = {
    "dpd": lambda past: past.now,
    "dpd_before": lambda past: past.before,
    "dpd_mid_month": lambda past: past.mid_month,
}
STEPS: dict[str, Callable[[Past], Steps]] = {
    "cell": lambda past: past.constant(past.ledger.loans.cell),
    "amount": lambda past: past.constant(past.ledger.loans.amount),
    "disbursed": _disbursed,
    "in_cohort": _in_cohort,
    "on_book": lambda past: past.now.on_book,
    "outstanding": lambda past: past.now.outstanding,
    "principal_outstanding": _principal_outstanding,
    "decided": _decided,
    "first_missed": _first_missed,
    "outstanding_before": lambda past: past.before.outstanding,
    "outstanding_mid_month": lambda past: past.mid_month.outstanding,
    "due_ahead": _due_ahead,
    "in_fee_window": _in_fee_window,
    "fee_owed": _fee_owed,
    "fee_received": _fee_received,
    "channel_known": _channel_known,
    "channel_pure": _channel_pure,
}
# Columns that are sums of what single rows add.
SUMS: dict[str, Callable[[Past], Spells]] = {
    "installments_due": installments.installments_due,
    "installments_on_time": installments.installments_on_time,
    "interest_this_month": flows.interest_this_month,
    "fees_this_month": flows.fees_this_month,
    "yield_in_flow": flows.yield_in_flow,
    "waived_in_window": flows.waived_in_window,
    "entries": flows.entries,
    "backdated": flows.backdated,
    "reversals": flows.reversals,
    "float_gaps": flows.float_gaps,
}
# Columns that grow by one a day.
RAMPS: dict[str, Callable[[Past], Ramps]] = {"loan_age": ages.loan_age, "days_unpaid": ages.days_unpaid}
# Columns that change on much the same days: measures that need any of them are looked at together.
FAMILIES = (
    frozenset({"on_book", "outstanding", "principal_outstanding", "dpd"}),
    frozenset({"in_cohort", "disbursed", "decided", "first_missed", "amount"}),
    frozenset({"in_fee_window", "fee_owed", "fee_received"}),
    frozenset({"channel_known", "channel_pure"}),
)
