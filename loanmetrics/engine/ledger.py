"""A shard's facts as arrays: what was lent, what falls due, what was paid. No day enters here."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from loanmetrics.engine.book import Shard
from loanmetrics.engine.calendar import NEVER, Flags, Ints, key
from loanmetrics.engine.sums import Spans, latest, running
from loanmetrics.errors import DataError
from loanmetrics.policy import Policy
from loanmetrics.tables import LOAN_STATUSES, RATE_SCALE, WAIVER_TYPES, WRITTEN_OFF

INTEREST, FEE, PRINCIPAL, PENALTY = range(len(WAIVER_TYPES))
LARGEST_SUM = 2**62
REPAYMENT_COLUMNS = (
    *("loan", "day", "amount", "principal", "interest", "fees", "penalty"),
    *("backdated", "reversed", "reversal", "waiver", "waiver_type"),
)
PARTS = ("principal", "interest", "fee")


@dataclass(frozen=True)
class Loans:
    """One element per loan of the shard."""

    cell: Ints
    amount: Ints
    disbursed: Ints
    maturity: Ints
    fee: Ints
    channel: Ints
    final: Flags
    written_off: Flags
    closed: Ints

    def __len__(self) -> int:
        return len(self.cell)


@dataclass(frozen=True)
class Dues:
    """Non-zero installments in order of (loan, due date, number), the implied ones included."""

    loan: Ints
    due: Ints
    principal: Ints
    interest: Ints
    fee: Ints
    implied: Flags
    spans: Spans

    @cached_property
    def key(self) -> Ints:
        """(loan, due date) as one sortable integer."""
        return key(self.loan, self.due)

    @cached_property
    def total(self) -> Ints:
        """Running sum of everything due."""
        whole: Ints = sum(self.parts.values(), start=np.zeros(1, dtype=np.int64))
        return whole

    @cached_property
    def parts(self) -> dict[str, Ints]:
        """Running sums by part."""
        return {part: running(getattr(self, part)) for part in PARTS}

    def scheduled(self, part: str) -> Ints:
        """All of one part that the contract asks for, per loan."""
        total = self.parts[part]
        return total[self.spans.stop] - total[self.spans.start]

    @cached_property
    def total_due(self) -> Ints:
        """All that the contract asks for, per loan."""
        return self.total[self.spans.stop] - self.total[self.spans.start]

    @cached_property
    def carries_fee(self) -> Flags:
        """Whether the schedule carries a fee, per loan."""
        return self.scheduled("fee") > 0

    @cached_property
    def first_due(self) -> Ints:
        """First due date per loan; NEVER where nothing is due."""
        return self.spans.first(self.due, NEVER)

    def due_before(self, day: int) -> Ints:
        """Per loan, the position after its last installment due before ``day``."""
        every = np.arange(len(self.spans.start))
        return np.searchsorted(self.key, key(every, day))


@dataclass(frozen=True)
class Repayments:
    """Repayment rows in order of (loan, payment date, id). A row counts on days ``day`` <= d < ``until``."""

    loan: Ints
    day: Ints
    until: Ints
    amount: Ints
    principal: Ints
    interest: Ints
    fee: Ints
    waiver: Ints
    waiver_type: Ints
    backdated: Flags
    reversed: Flags
    reversal: Ints
    unsplit: Flags
    spans: Spans

    @cached_property
    def key(self) -> Ints:
        """(loan, payment date) as one sortable integer."""
        return key(self.loan, self.day)

    @cached_property
    def cash(self) -> Ints:
        """Money towards the contract: principal, interest and fees, or the whole of an unsplit amount."""
        return self.principal + self.interest + self.fee + self.unsplit_amount

    @cached_property
    def unsplit_amount(self) -> Ints:
        """The amount of rows that do not say what they paid."""
        return np.where(self.unsplit, self.amount, 0)

    def counts(self, day: int) -> Flags:
        """Rows paid on or before ``day`` and not reversed as of it."""
        return (self.day <= day) & (day < self.until)

    @cached_property
    def waivers(self) -> Ints:
        """Positions of the rows that waive anything: few."""
        return np.flatnonzero(self.waiver)

    def paid_until(self, loan: Ints, day: Ints) -> Ints:
        """The position after each loan's last row dated on or before ``day``."""
        return np.searchsorted(self.key, key(loan, day), side="right")


@dataclass(frozen=True)
class Keys:
    """The loan keys of a shard, ascending; gaps are allowed, a place is the position of a key."""

    loan: Ints

    def __len__(self) -> int:
        return len(self.loan)

    def places(self, keys: pl.Series) -> Ints:
        """Positions of loan keys that the shard holds."""
        first, last = (int(self.loan[0]), int(self.loan[-1])) if len(self) else (0, -1)
        offset = ints(keys) - first
        return offset if last - first + 1 == len(self) else self._position[offset]

    @cached_property
    def _position(self) -> Ints:
        """Place by distance from the first key."""
        position = np.full(int(self.loan[-1] - self.loan[0]) + 1, -1, dtype=np.int64)
        position[self.loan - self.loan[0]] = np.arange(len(self))
        return position


@dataclass(frozen=True)
class Ledger:
    """Loans, dues and repayments of one shard, ready for any day."""

    keys: Keys
    loans: Loans
    dues: Dues
    repayments: Repayments

    @cached_property
    def credit(self) -> Ints:
        """What each row takes off the debt: cash and waivers, without penalty, nor fees the contract never asked."""
        rows, carries_fee = self.repayments, self.dues.carries_fee
        credit = rows.cash - np.where(carries_fee[rows.loan], 0, rows.fee)
        loan, kind = rows.loan[rows.waivers], rows.waiver_type[rows.waivers]
        counts = (kind != PENALTY) & ((kind != FEE) | carries_fee[loan])
        credit[rows.waivers] += np.where(counts, rows.waiver[rows.waivers], 0)
        return credit

    @cached_property
    def closing(self) -> Ints:
        """The day each loan closes by its own record; NEVER where it says nothing."""
        if not self.closed_without_date.any():
            return self.loans.closed
        derived = np.where(self._last_payment != NEVER, self._last_payment, self.ending)
        return np.where(self.closed_without_date, derived, self.loans.closed)

    @cached_property
    def ending(self) -> Ints:
        """The day each loan was lent until: its maturity, else its last due date; NEVER where nothing says."""
        return np.where(self.loans.maturity != NEVER, self.loans.maturity, self._last_due)

    @cached_property
    def closed_without_date(self) -> Flags:
        """Loans of a final status without a closing date: a finding."""
        missing: Flags = self.loans.final & (self.loans.closed == NEVER)
        return missing

    @cached_property
    def reopening(self) -> Ints:
        """The day a payment made before closing is first found reversed; NEVER where none is."""
        rows, loans = self.repayments, self.loans
        undone = np.flatnonzero(
            rows.reversed & (rows.day <= self.closing[rows.loan]) & ~loans.written_off[rows.loan]
        )
        out = np.full(len(loans), NEVER, dtype=np.int64)
        np.minimum.at(out, rows.loan[undone], rows.until[undone])
        return out

    @cached_property
    def _last_payment(self) -> Ints:
        kept = np.flatnonzero(~self.repayments.reversed)
        return latest(self.repayments.loan[kept], self.repayments.day[kept], len(self.loans), NEVER)

    @cached_property
    def _last_due(self) -> Ints:
        return self.dues.spans.last(self.dues.due, NEVER)


def read(shard: Shard, policy: Policy) -> Ledger:
    """Collect one shard's facts into arrays."""
    ordered = shard.in_order()
    loans, schedule, repayments = pl.collect_all(
        [
            ordered.loans.select(
                "loan",
                "cell",
                "amount",
                "disbursed",
                "maturity",
                "term",
                "rate",
                "fee",
                "channel",
                "status",
                "closed",
            ),
            ordered.schedule.select("loan", "due", "principal", "interest", "fee"),
            ordered.repayments.select(REPAYMENT_COLUMNS),
        ]
    )
    keys = Keys(ints(loans["loan"]))
    return Ledger(keys, _loans(loans, policy), _dues(schedule, loans, keys), _repayments(repayments, keys))


def ints(column: pl.Series, null: int = 0) -> Ints:
    """A column as 64-bit integers, nulls replaced."""
    filled = column.fill_null(null) if column.null_count() else column
    out, done = np.empty(len(filled), dtype=np.int64), 0
    for chunk in filled.get_chunks():
        out[done : done + len(chunk)] = chunk.to_numpy()
        done += len(chunk)
    return out


def flags(column: pl.Series) -> Flags:
    """A column as booleans, null being false."""
    return column.fill_null(False).to_numpy()


def _loans(frame: pl.DataFrame, policy: Policy) -> Loans:
    disbursed, term = ints(frame["disbursed"]), ints(frame["term"], NEVER)
    by_term = np.where(term == NEVER, NEVER, disbursed + term)
    given = ints(frame["maturity"], NEVER)
    status = ints(frame["status"], -1)
    final = [LOAN_STATUSES.index(name) for name in policy.final_statuses if name in LOAN_STATUSES]
    amount, fee = ints(frame["amount"]), ints(frame["fee"])
    _guard(amount, fee)
    return Loans(
        cell=ints(frame["cell"]),
        amount=amount,
        disbursed=disbursed,
        maturity=np.where(given == NEVER, by_term, given),
        fee=fee,
        channel=ints(frame["channel"], -1),
        final=np.isin(status, final),
        written_off=status == LOAN_STATUSES.index(WRITTEN_OFF),
        closed=ints(frame["closed"], NEVER),
    )


def _dues(schedule: pl.DataFrame, loans: pl.DataFrame, keys: Keys) -> Dues:
    frame = schedule.filter(pl.sum_horizontal("principal", "interest", "fee") > 0)
    local = keys.places(frame["loan"])
    spans = Spans.of(local, len(loans))
    missing = np.flatnonzero(spans.empty)
    frame = frame.with_columns(implied=pl.lit(False))
    if len(missing):
        added = _implied(loans[missing]).filter(pl.sum_horizontal("principal", "interest", "fee") > 0)
        frame = pl.concat([frame, added.cast(frame.schema)]).sort("loan", maintain_order=True)
        local = keys.places(frame["loan"])
        spans = Spans.of(local, len(loans))
    due, parts = ints(frame["due"]), {part: ints(frame[part]) for part in PARTS}
    _guard(*parts.values())
    return Dues(local, due, **parts, implied=flags(frame["implied"]), spans=spans)


def _implied(loans: pl.DataFrame) -> pl.DataFrame:
    """One installment at maturity for loans without a schedule; interest is rounded half away from zero."""
    wide = {name: pl.col(name).cast(pl.Int128) for name in ("amount", "rate", "term")}
    year = 365 * RATE_SCALE
    product = (wide["amount"] * wide["rate"] * wide["term"]).fill_null(0)
    return loans.select(
        "loan",
        due=pl.coalesce("maturity", pl.col("disbursed") + pl.col("term")),
        principal="amount",
        interest=((2 * product + year) // (2 * year)).cast(pl.Int64),
        fee=pl.col("fee").fill_null(0),
        implied=pl.lit(True),
    )


def _repayments(frame: pl.DataFrame, keys: Keys) -> Repayments:
    loan, day = keys.places(frame["loan"]), ints(frame["day"])
    undone = flags(frame["reversed"])
    reversal = np.where(undone, ints(frame["reversal"], NEVER), NEVER)
    reversal = np.where(undone & (reversal == NEVER), day, reversal)
    amount = ints(frame["amount"])
    parts = {
        name: ints(frame[column])
        for name, column in (("principal", "principal"), ("interest", "interest"), ("fee", "fees"))
    }
    split = parts["principal"] + parts["interest"] + parts["fee"] + ints(frame["penalty"])
    waiver = ints(frame["waiver"])
    _guard(amount, waiver)
    return Repayments(
        loan=loan,
        day=day,
        until=np.where(undone, np.maximum(day, reversal), NEVER),
        amount=amount,
        **parts,
        waiver=waiver,
        waiver_type=ints(frame["waiver_type"]),
        backdated=flags(frame["backdated"]),
        reversed=undone,
        reversal=reversal,
        unsplit=(split == 0) & (amount > 0),
        spans=Spans.of(loan, len(keys)),
    )


def _guard(*columns: Ints) -> None:
    """Refuse a shard whose sums could leave 64 bits."""
    if sum(float(column.sum(dtype=np.float64)) for column in columns) > LARGEST_SUM:
        raise DataError("amounts of one shard exceed 64-bit sums", "use smaller shards (shard_loans)")
