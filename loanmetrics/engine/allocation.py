"""Where unsplit amounts go: the remaining fee, interest and principal of installment 1, then 2, ..."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loanmetrics.engine.calendar import Flags, Ints
from loanmetrics.engine.ledger import FEE, INTEREST, PRINCIPAL, Dues, Ledger
from loanmetrics.engine.sums import running, scattered

FILL_ORDER = ("fee", "interest", "principal")
WAIVER_CODES = {"principal": PRINCIPAL, "interest": INTEREST, "fee": FEE}


@dataclass(frozen=True)
class Paid:
    """What each repayment row paid by part, unsplit amounts placed; rows that do not count pay nothing."""

    principal: Ints
    interest: Ints
    fee: Ints


def paid_parts(ledger: Ledger, counts: Flags) -> Paid:
    """Parts of every counting row at one day."""
    rows = ledger.repayments
    parts = {part: np.where(counts, getattr(rows, part), 0) for part in FILL_ORDER}
    for chosen, placed in _placements(ledger, counts):
        for part in FILL_ORDER:
            parts[part][chosen] = placed[part]
    return Paid(**parts)


@dataclass(frozen=True)
class Waived:
    """What the few rows that waive something took off each part: positions, their loans, amounts."""

    rows: Ints
    loan: Ints
    parts: dict[str, Ints]

    def of(self, rows: int, part: str) -> Ints:
        """One part's waivers laid on all ``rows``."""
        out = np.zeros(rows, dtype=np.int64)
        out[self.rows] = self.parts[part]
        return out


def credited_waivers(ledger: Ledger, counts: Flags) -> Waived:
    """Counting waivers by part; a fee waiver needs a fee in the schedule, a penalty waiver touches none."""
    all_rows = ledger.repayments
    rows = all_rows.waivers[counts[all_rows.waivers]]
    loan, kind, amount = all_rows.loan[rows], all_rows.waiver_type[rows], all_rows.waiver[rows]
    parts = {part: np.where(kind == code, amount, 0) for part, code in WAIVER_CODES.items()}
    parts["fee"] = np.where(ledger.dues.carries_fee[loan], parts["fee"], 0)
    return Waived(rows, loan, parts)


def fees_waived(ledger: Ledger, counts: Flags) -> Ints:
    """Counting fee waivers per loan, whether or not the schedule carries a fee."""
    rows = ledger.repayments
    chosen = rows.waivers[counts[rows.waivers] & (rows.waiver_type[rows.waivers] == FEE)]
    return scattered(rows.loan[chosen], rows.waiver[chosen], len(ledger.loans))


def outstanding_by_part(ledger: Ledger, counts: Flags, paid: Paid) -> dict[str, Ints]:
    """What is left of each part; the surplus of overpaid parts pays fees, interest, principal in this order."""
    dues, waived = ledger.dues, credited_waivers(ledger, counts)
    gap = {}
    for part in FILL_ORDER:
        settled = ledger.repayments.spans.sum(getattr(paid, part))
        settled = np.where(dues.carries_fee, settled, 0) if part == "fee" else settled
        gap[part] = (
            dues.scheduled(part) - settled - scattered(waived.loan, waived.parts[part], len(ledger.loans))
        )
    return spread(gap)


def spread(gap: dict[str, Ints]) -> dict[str, Ints]:
    """Scheduled less settled, by part, as what is left of each: parts settled too far pay the others in order."""
    surplus = -np.minimum(0, list(gap.values())).sum(axis=0)
    parts = {}
    for part in FILL_ORDER:
        left = np.maximum(0, gap[part])
        used = np.minimum(surplus, left)
        parts[part], surplus = left - used, surplus - used
    return parts


def _placements(ledger: Ledger, counts: Flags) -> Iterator[tuple[Ints, dict[str, Ints]]]:
    """Each loan's first unsplit row, then each loan's second, ...: later ones see what earlier ones filled."""
    rows = ledger.repayments
    waiting = np.flatnonzero(counts & rows.unsplit)
    if not len(waiting):
        return
    upto = rows.paid_until(rows.loan[waiting], rows.day[waiting])
    start = rows.spans.start[rows.loan[waiting]]
    before = {part: _settled_before(ledger, counts, part) for part in FILL_ORDER}
    settled = {part: total[upto] - total[start] for part, total in before.items()}
    filled = {part: np.zeros(len(ledger.loans), dtype=np.int64) for part in FILL_ORDER}
    turn = _position_in_loan(rows.loan[waiting])
    for number in range(int(turn.max()) + 1):
        mine = np.flatnonzero(turn == number)
        loan = rows.loan[waiting[mine]]
        so_far = {part: settled[part][mine] + filled[part][loan] for part in FILL_ORDER}
        placed = _fill(ledger.dues, loan, so_far, rows.amount[waiting[mine]])
        for part in FILL_ORDER:
            filled[part][loan] += placed[part]
        yield waiting[mine], placed


def _settled_before(ledger: Ledger, counts: Flags, part: str) -> Ints:
    """Running sum of what split rows paid, and waivers took, of one part."""
    split = np.where(counts, getattr(ledger.repayments, part), 0)
    if part == "fee":
        split = np.where(ledger.dues.carries_fee[ledger.repayments.loan], split, 0)
    return running(split + credited_waivers(ledger, counts).of(len(counts), part))


def _position_in_loan(loan: Ints) -> Ints:
    first = np.flatnonzero(np.diff(loan, prepend=-1))
    return np.arange(len(loan)) - np.repeat(first, np.diff(first, append=len(loan)))


def _fill(dues: Dues, loan: Ints, so_far: dict[str, Ints], amount: Ints) -> dict[str, Ints]:
    """Pour ``amount`` into the installments of each loan in order; what is left over is principal."""
    start, stop = dues.spans.start[loan], dues.spans.stop[loan]
    whole = _installments_filled(dues, start, stop, so_far, amount)
    full = _remaining(dues, start, whole, so_far)
    rest = amount - sum(full.values())
    partly = _remaining(dues, start, np.minimum(whole + 1, stop), so_far)
    placed = {}
    for part in FILL_ORDER:
        extra = np.minimum(rest, partly[part] - full[part])
        placed[part] = full[part] + extra
        rest = rest - extra
    placed["principal"] = placed["principal"] + rest
    return placed


def _remaining(dues: Dues, start: Ints, end: Ints, so_far: dict[str, Ints]) -> dict[str, Ints]:
    """What remains of each part in the installments from ``start`` up to, not including, ``end``."""
    return {
        part: np.maximum(0, dues.parts[part][end] - dues.parts[part][start] - so_far[part])
        for part in FILL_ORDER
    }


def _installments_filled(dues: Dues, start: Ints, stop: Ints, so_far: dict[str, Ints], amount: Ints) -> Ints:
    """The position up to which ``amount`` fills every installment, by bisection over each loan's span."""
    low, high = start.copy(), stop.copy()
    while np.any(low < high):
        middle = (low + high + 1) // 2
        fits = sum(_remaining(dues, start, middle, so_far).values()) <= amount
        low = np.where(fits, middle, low)
        high = np.where(fits, high, middle - 1)
    return low
