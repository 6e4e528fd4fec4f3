"""Loan state at (D, K): one row per loan, every figure a measure may look at, in exact integers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from loanmetrics.engine.allocation import Paid, fees_waived, outstanding_by_part, paid_parts
from loanmetrics.engine.book import Book, Shard
from loanmetrics.engine.calendar import NEVER, Flags, Ints, latest_15th, to_date, to_day
from loanmetrics.engine.first_payment import first_payment
from loanmetrics.engine.ledger import PENALTY, Ledger, Loans, read
from loanmetrics.engine.sums import latest, running, scattered
from loanmetrics.engine.timeline import Stock, Timeline, build
from loanmetrics.policy import Policy


@dataclass(frozen=True)
class Channels:
    """Which channels are pure for the officer of each cell; ``allowed[cell, channel]``."""

    allowed: Flags

    @property
    def known(self) -> Flags:
        """Cells whose officer has a reference channel."""
        known: Flags = np.any(self.allowed, axis=1)
        return known


def used_channels(book: Book) -> pl.Series:
    """Names of the channels of loans disbursed by the as-of day."""
    facts = book.facts
    codes = [shard.loans.filter(pl.col("disbursed") <= book.day).select("channel") for shard in facts.shards]
    seen = pl.concat(pl.collect_all([code.unique() for code in codes])) if codes else facts.channels.head(0)
    return facts.channels.join(seen, on="channel", how="semi")["name"]


def channels(book: Book, used: pl.Series | None = None) -> Channels:
    """Reference channels of every cell: the officer's own if the book uses it, else the policy's.

    ``used`` names the channels in use, if these are not to be read from the book's own loans.
    """
    facts = book.facts
    names = facts.channels.sort("channel")["name"]
    usable = names.is_in((used_channels(book) if used is None else used).implode()).to_numpy()
    fallback = usable & names.is_in(book.policy.pure_channels).to_numpy()
    officers = facts.cells.sort("cell").join(
        facts.officers, on="officer_id", how="left", maintain_order="left"
    )
    mine = (officers["primary_channel"].to_numpy()[:, None] == names.to_numpy()[None, :]) & usable
    cells = officers["cell"].to_numpy()
    allowed = np.zeros((int(cells.max(initial=-1)) + 1, len(names)), dtype=np.bool_)
    allowed[cells] = np.where(mine.any(axis=1)[:, None], mine, fallback[None, :])
    return Channels(allowed)


@dataclass(frozen=True)
class State:
    """One shard at the end of the as-of day."""

    book: Book
    timeline: Timeline
    channels: Channels
    cash_rows: pl.DataFrame

    @property
    def ledger(self) -> Ledger:
        """The shard's facts as arrays."""
        return self.timeline.ledger

    @cached_property
    def now(self) -> Stock:
        """The loans at the as-of day."""
        return self.timeline.at(self.book.day)

    @cached_property
    def counts(self) -> Flags:
        """Repayment rows that count at the as-of day."""
        return self.ledger.repayments.counts(self.book.day)

    @cached_property
    def paid(self) -> Paid:
        """What counting rows paid by part."""
        return paid_parts(self.ledger, self.counts)

    def frame(self) -> pl.DataFrame:
        """The loan-level columns that measures are written in; see ``COLUMNS``."""
        columns = {
            "cell": self.ledger.loans.cell,
            **self._standing(),
            **self._ages(),
            **self._first_installment(),
            **self._earlier(),
            **self._dues_ahead(),
            **self._fees(),
            **self._punctuality(),
            **self._flows(),
            **self._entries(),
            **self._channel(),
        }
        return pl.DataFrame(columns)

    def _disbursed_within(self, days: int) -> Flags:
        disbursed = self.ledger.loans.disbursed
        return (disbursed > self.book.day - days) & (disbursed <= self.book.day)

    def _standing(self) -> dict[str, Ints | Flags]:
        return {
            "amount": self.ledger.loans.amount,
            "disbursed": self.ledger.loans.disbursed <= self.book.day,
            "in_cohort": self._disbursed_within(self.book.policy.cohort_days),
            "on_book": self.now.on_book,
            "dpd": self.now.dpd,
            "outstanding": self.now.outstanding,
            "principal_outstanding": self.outstanding_parts["principal"],
        }

    def _ages(self) -> dict[str, Ints]:
        """Days since disbursement, and since money last came in: of loans on the book, and 0 of all others."""
        disbursed, day = self.ledger.loans.disbursed, self.book.day
        paid = self.last_cash_day
        since = np.where(paid == NEVER, disbursed, np.maximum(disbursed, paid))
        return {
            "loan_age": np.where(self.now.on_book, day - disbursed, 0),
            "days_unpaid": np.where(self.now.on_book, day - since, 0),
        }

    @cached_property
    def last_cash_day(self) -> Ints:
        """The last day on which a counting row brought cash; NEVER for loans that none did."""
        rows = self.ledger.repayments
        brought = np.flatnonzero(self.counts & (rows.cash > 0))
        return latest(rows.loan[brought], rows.day[brought], len(self.ledger.loans), NEVER)

    @cached_property
    def outstanding_parts(self) -> dict[str, Ints]:
        """Outstanding by part: fee, interest, principal."""
        return outstanding_by_part(self.ledger, self.counts, self.paid)

    def _first_installment(self) -> dict[str, Flags]:
        missed, decided = self.first_payment
        return {"decided": decided, "first_missed": missed}

    @cached_property
    def first_payment(self) -> tuple[Flags, Flags]:
        """(missed, decided) of each loan's first installment; missed means nothing until decided."""
        return first_payment(self.ledger, self.counts, self.book.day, self.book.policy)

    def _earlier(self) -> dict[str, Ints]:
        day = self.book.day
        before = self.timeline.at(self.book.counting.back(day, self.book.policy.roll_days))
        middle = self.timeline.at(latest_15th(day))
        return {
            "dpd_before": before.dpd,
            "outstanding_before": before.outstanding,
            "dpd_mid_month": middle.dpd,
            "outstanding_mid_month": middle.outstanding,
        }

    def _dues_ahead(self) -> dict[str, Ints]:
        day, dues = self.book.day, self.ledger.dues
        base = dues.total[dues.spans.start]
        today, ahead = (
            dues.total[dues.due_before(until + 1)] - base for until in (day, day + self.book.policy.due_days)
        )
        return {"due_ahead": np.maximum(0, ahead - np.maximum(self.now.credited, today))}

    def _fees(self) -> dict[str, Ints | Flags]:
        dues, rows, day = self.ledger.dues, self.ledger.repayments, self.book.day
        fallen = dues.parts["fee"][dues.due_before(day + 1)] - dues.parts["fee"][dues.spans.start]
        fallen = np.where(dues.carries_fee, fallen, self.ledger.loans.fee)
        owed = np.maximum(0, fallen - fees_waived(self.ledger, self.counts))
        return {
            "in_fee_window": self._disbursed_within(self.book.policy.frr_days),
            "fee_owed": owed,
            "fee_received": np.minimum(rows.spans.sum(self.paid.fee), owed),
        }

    def _punctuality(self) -> dict[str, Ints]:
        """Installments due in the flow window, and those settled by money dated no later than they fell due."""
        dues, rows, day, loans = (
            self.ledger.dues,
            self.ledger.repayments,
            self.book.day,
            len(self.ledger.loans),
        )
        open_until = np.where(self.reopened, NEVER, self.ledger.closing)
        chosen = np.flatnonzero((dues.due > day - self.book.policy.flow_days) & (dues.due <= day))
        owner = dues.loan[chosen]
        kept = (self.ledger.loans.disbursed[owner] <= day) & (dues.due[chosen] <= open_until[owner])
        chosen, owner = chosen[kept], owner[kept]
        credit = running(np.where(self.counts, self.ledger.credit, 0))
        paid = credit[rows.paid_until(owner, dues.due[chosen])] - credit[rows.spans.start[owner]]
        due = dues.total[chosen + 1] - dues.total[dues.spans.start[owner]]
        on_time = (due - paid <= self.book.policy.tolerance_minor).astype(np.int64)
        return {
            "installments_due": scattered(owner, np.ones(len(owner), dtype=np.int64), loans),
            "installments_on_time": scattered(owner, on_time, loans),
        }

    @cached_property
    def reopened(self) -> Flags:
        """Loans whose closing was undone by a reversal: a finding."""
        ledger, day = self.ledger, self.book.day
        undone = (ledger.closing <= day) & (ledger.reopening <= day) & (ledger.loans.disbursed <= day)
        return undone & (self.now.outstanding > self.book.policy.tolerance_minor)

    def _flows(self) -> dict[str, Ints]:
        policy, rows, day = self.book.policy, self.ledger.repayments, self.book.day
        month = day - to_day(to_date(day).replace(day=1)) + 1
        return {
            "interest_this_month": self._counted(month, self.paid.interest),
            "fees_this_month": self._counted(month, self.paid.fee),
            "yield_in_flow": self._counted(policy.flow_days, self.paid.interest + self.paid.fee),
            "waived_in_window": self._counted(
                policy.waiver_days, np.where(rows.waiver_type == PENALTY, 0, rows.waiver)
            ),
        }

    def _counted(self, days: int, values: Ints) -> Ints:
        return self._within(self.counts, days, values)

    def _within(self, which: Flags, days: int, values: Ints) -> Ints:
        """Sum over the chosen rows dated in the last ``days`` days."""
        rows, day = self.ledger.repayments, self.book.day
        chosen = np.flatnonzero(which & (rows.day > day - days) & (rows.day <= day))
        return scattered(rows.loan[chosen], values[chosen], len(self.ledger.loans))

    def _entries(self) -> dict[str, Ints]:
        rows, day, window = self.ledger.repayments, self.book.day, self.book.policy.flow_days
        one = np.ones(len(rows.day), dtype=np.int64)
        undone = np.flatnonzero((rows.reversal > day - window) & (rows.reversal <= day) & (rows.day <= day))
        return {
            "entries": self._within(one > 0, window, one),
            "backdated": self._within(rows.backdated, window, one),
            "reversals": scattered(rows.loan[undone], one[undone], len(self.ledger.loans)),
            "float_gaps": self._float_gaps(),
        }

    def _float_gaps(self) -> Ints:
        """Counting cash payments of the float window that were recorded too late."""
        rows = self.cash_rows.filter(recorded_late(self.book.policy))
        loan = rows["local"].cast(pl.Int64).to_numpy()
        return scattered(loan, np.ones(len(loan), dtype=np.int64), len(self.ledger.loans))

    def _channel(self) -> dict[str, Flags]:
        loans, cohort = self.ledger.loans, self._disbursed_within(self.book.policy.cohort_days)
        known = self.channels.known[loans.cell]
        return {"channel_known": cohort & known, "channel_pure": cohort & pure(self.channels, loans)}


def pure(reference: Channels, loans: Loans) -> Flags:
    """Loans sold through a reference channel of their officer."""
    if not reference.allowed.shape[1]:
        return np.zeros(len(loans), dtype=np.bool_)
    return (loans.channel >= 0) & reference.allowed[loans.cell, loans.channel]


def open_shard(shard: Shard, book: Book, reference: Channels) -> State:
    """Read one shard and stand at the end of the as-of day."""
    ledger = read(shard, book.policy)
    timeline = build(ledger, book.counting, book.policy.tolerance_minor)
    return State(book, timeline, reference, _cash_rows(shard, ledger, book))


def _cash_rows(shard: Shard, ledger: Ledger, book: Book) -> pl.DataFrame:
    """Counting cash payments of the float-gap window, with the time they were recorded."""
    day = book.day
    window = (pl.col("day") > day - book.policy.float_gap_window_days) & (pl.col("day") <= day)
    undone = pl.col("reversed") & (pl.col("reversal").fill_null(day) <= day)
    chosen = shard.repayments.filter(window & brings_cash(book) & ~undone)
    rows = chosen.select("loan", "day", "created").sort("loan").collect()
    # Given an array, Polars would load NumPy's masked ones too.
    return rows.with_columns(pl.Series("local", ledger.keys.places(rows["loan"])))


def brings_cash(book: Book) -> pl.Expr:
    """Rows that pay something by one of the policy's cash methods."""
    methods = book.facts.methods
    cash = methods.filter(pl.col("name").is_in(book.policy.cash_methods))["method"]
    return pl.col("method").is_in(cash.implode()) & (pl.col("amount") > 0)


def recorded_late(policy: Policy) -> pl.Expr:
    """Rows recorded more days after their payment date than the policy allows, in the lender's time zone."""
    recorded = pl.col("created").dt.convert_time_zone(policy.time_zone).dt.date().cast(pl.Int64)
    return (recorded - pl.col("day").cast(pl.Int64) > policy.float_gap_days).fill_null(False)
