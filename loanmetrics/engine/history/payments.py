"""What repayment rows paid by part, for as long as they did: unsplit amounts lie elsewhere when the rest changes."""

from dataclasses import dataclass

import numpy as np

from loanmetrics.engine.allocation import FILL_ORDER, credited_waivers, paid_parts
from loanmetrics.engine.calendar import NEVER, Flags, Ints, key, unkey
from loanmetrics.engine.history.portions import copies, rows_of
from loanmetrics.engine.ledger import Ledger

AT_ONCE = 50_000


@dataclass(frozen=True)
class Payments:
    """Parts paid by ``row`` on days ``start`` <= d < ``stop``; the same row may stand again after that."""

    row: Ints
    start: Ints
    stop: Ints
    parts: dict[str, Ints]


def payments(ledger: Ledger, first: int, last: int) -> Payments:
    """All that counts on some day from ``first`` to ``last``."""
    rows = ledger.repayments
    real = (rows.until > np.maximum(rows.day, first)) & (rows.day <= last)
    waiting = np.zeros(len(ledger.loans), dtype=np.bool_)
    waiting[rows.loan[real & rows.unsplit]] = True
    plain = np.flatnonzero(real & ~waiting[rows.loan])
    parts = {part: getattr(rows, part)[plain] for part in FILL_ORDER}
    split = Payments(plain, rows.day[plain], rows.until[plain], parts)
    stays = _stays(ledger, np.flatnonzero(waiting), first, last)
    chunks = range(0, len(stays[0]), AT_ONCE)
    moving = [_allocated(ledger, *(each[at : at + AT_ONCE] for each in stays)) for at in chunks]
    return _joined([split, *moving])


def waivers(ledger: Ledger) -> Payments:
    """What the schedule's parts were waived, for as long as it stood."""
    rows = ledger.repayments
    waived = credited_waivers(ledger, rows.until > rows.day)
    return Payments(waived.rows, rows.day[waived.rows], rows.until[waived.rows], waived.parts)


def _joined(parts: list[Payments]) -> Payments:
    return Payments(
        np.concatenate([each.row for each in parts]),
        np.concatenate([each.start for each in parts]),
        np.concatenate([each.stop for each in parts]),
        {part: np.concatenate([each.parts[part] for each in parts]) for part in FILL_ORDER},
    )


def _stays(ledger: Ledger, loans: Ints, first: int, last: int) -> tuple[Ints, Ints, Ints]:
    """(loan, start, stop): the stays between the days on which a row of the loan begins or ceases to count."""
    rows, of = rows_of(ledger.repayments.spans, loans)
    every = ledger.repayments
    days = np.concatenate([every.day[rows], every.until[rows], np.full(len(loans), first)])
    owner = np.concatenate([loans[of], loans[of], loans])
    inside = np.flatnonzero(days <= last)
    points = np.unique(key(owner[inside], np.maximum(days[inside], first)))
    loan, day = unkey(points)
    stop = np.where(np.diff(loan, append=-1) == 0, np.append(day[1:], NEVER), NEVER)
    return loan, day, stop


def _allocated(ledger: Ledger, loan: Ints, start: Ints, stop: Ints) -> Payments:
    """Each stay as a loan of its own, allocated as the engine allocates a day."""
    own, rows, stay = copies(ledger, loan)
    counts: Flags = (own.repayments.day <= start[stay]) & (start[stay] < own.repayments.until)
    paid = paid_parts(own, counts)
    here = np.flatnonzero(counts)
    parts = {part: getattr(paid, part)[here] for part in FILL_ORDER}
    return Payments(rows[here], start[stay[here]], stop[stay[here]], parts)
