"""The oracle: every figure again, slowly and plainly, to hold the engine to.

Loops over rows, whole minor units, exact fractions. Written to be checked line by line against the definitions
(numbers such as 2.4 name their sections; "convention 8" is a line of docs/conventions.md). It shares nothing
with the engine but the declarations of tables and policy.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from loanmetrics import tables
from loanmetrics.policy import Policy

Row = Mapping[str, Any]
Raw = Mapping[str, Sequence[Row]]
Figure = int | float | bool | str | None
Figures = dict[str, Figure]
Measures = dict[str, int]
CellKey = tuple[str, str, str]

PARTS = ("fees", "interest", "principal")  # the order in which an unsplit amount, or a surplus, pays
PAR_DAYS = (1, 7, 15, 30, 60, 90)
DISTINCT = ("total_officers", "float_gap_officers")
MEASURES = (
    "total_portfolio principal_portfolio active_loans total_disbursed_count total_disbursed_amount "
    "overdue_15d_amount overdue_15d_count par1_principal par7_principal par15_principal par30_principal "
    "par60_principal par90_principal first_miss_count disbursed_count all_time_first_miss_count "
    "all_time_decided_count dpd_1to6_balance amount_due_7d prev_dpd_1to6_balance moved_to_7to30 fees_due "
    "fees_collected interest_collected total_fees_collected yield_30d par15_mid_month due_installments "
    "on_time_installments channel_known_count pure_channel_count waivers_amount total_entries "
    "backdated_count reversals_count float_gap_count total_officers float_gap_officers"
).split()
# What only a later revision of a metric rests on, measured where the policy names it (convention 38).
LATER = {("risk_score", 2): ("loan_age_days", "days_since_repayment")}
FINDINGS = (
    "schedule_total_mismatch principal_mismatch unsplit_payment closed_without_date reopened_after_close "
    "channel_unknown payment_before_disbursement reversal_before_payment due_before_disbursement "
    "end_before_disbursement"
).split()
READ = ("officers", "loans", "loan_schedule", "repayments", "holidays")


@dataclass
class Answer:
    """All figures of one day: loans by id, sums and metrics by cell, officer, branch, region and book."""

    quarantine: dict[tuple[str, str], int]
    findings: dict[str, int]
    loans: dict[str, dict[str, Any]]
    cells: dict[CellKey, Measures]
    officers: dict[str, Figures]
    branches: dict[tuple[str, str], Figures]
    regions: dict[str, Figures]
    book: Figures


# --- Facts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Installment:
    """One installment that is not zero; ``cum_due`` is what is due up to and including it (2.1)."""

    due_date: date
    number: int
    fees: int
    interest: int
    principal: int
    cum_due: int = 0

    @property
    def amount(self) -> int:
        return self.fees + self.interest + self.principal


@dataclass(frozen=True)
class Payment:
    """One repayment row, money in minor units."""

    repayment_id: str
    paid_on: date
    amount: int
    fees: int
    interest: int
    principal: int
    penalty: int
    method: str | None
    is_backdated: bool
    is_reversed: bool
    reversal_date: date | None
    waiver: int
    waiver_type: str
    created_at: datetime | None

    @property
    def unsplit(self) -> bool:
        return self.amount > 0 and self.fees + self.interest + self.principal + self.penalty == 0

    @property
    def reversed_early(self) -> bool:
        return self.is_reversed and self.reversal_date is not None and self.reversal_date < self.paid_on

    def reversed_by(self, day: date) -> bool:
        return self.is_reversed and (self.reversal_date is None or self.reversal_date <= day)

    def counts(self, day: date) -> bool:
        return self.paid_on <= day and not self.reversed_by(day)


@dataclass(frozen=True)
class Loan:
    """One usable loan with its contract and its rows."""

    loan_id: str
    officer_id: str
    region: str
    branch: str
    amount: int
    disbursed: date
    maturity_date: date | None
    term_days: int | None
    fee_amount: int
    channel: str | None
    status: str | None
    closed_date: date | None
    source: str
    installments: tuple[Installment, ...]
    payments: tuple[Payment, ...]

    @property
    def cell(self) -> CellKey:
        return (self.officer_id, self.region, self.branch)

    @property
    def total_due(self) -> int:
        return self.installments[-1].cum_due if self.installments else 0

    @property
    def carries_fee(self) -> bool:
        return any(installment.fees for installment in self.installments)


@dataclass
class Facts:
    """What is left of the raw rows once the bad ones are held back."""

    loans: dict[str, Loan]
    officers: dict[str, Row]
    holidays: frozenset[date]
    schedule: list[Row]
    quarantine: dict[tuple[str, str], int] = field(default_factory=dict)


def minor(units: Decimal | None) -> int:
    """Exact minor units; null money is 0 (convention 5)."""
    if units is None:
        return 0
    scaled = Fraction(units) * tables.MINOR_PER_UNIT
    assert scaled.denominator == 1, f"{units} is finer than a minor unit"
    return scaled.numerator


# --- Rows held back (conventions 1-4) -----------------------------------------------------------------------


def broken_rule(table: tables.Table, row: Row, policy: Policy) -> str | None:
    """The first rule the row breaks by itself."""
    columns = tables.facts_only(table).columns
    given: dict[str, Any] = {c.name: row[c.name] for c in columns if row.get(c.name) is not None}
    dates = [given[c.name] for c in columns if c.kind == "date" and c.name in given]
    money = [given[c.name] for c in columns if c.kind == "money" and c.name in given]
    unsigned = [given[c.name] for c in columns if c.kind in ("money", "rate") and c.name in given]
    first, last = date.fromisoformat(tables.MIN_DATE), date.fromisoformat(tables.MAX_DATE)
    if any(not c.null and c.name not in given for c in columns):
        return "missing_value"
    if any(not first <= day <= last for day in dates):
        return "date_out_of_range"
    if any(amount < 0 for amount in unsigned):
        return "negative_amount"
    if any(abs(amount) > policy.max_amount for amount in money):
        return "amount_too_large"
    for column in columns:
        if column.one_of and column.name in given and given[column.name] not in column.one_of:
            return f"unknown_{column.name}"
    return own_rule(table.name, given, policy)


def whole_interest(given: Row) -> Fraction:
    """What a loan would earn over its term."""
    rate, term = Fraction(given.get("interest_rate") or 0), given.get("loan_term_days") or 0
    return Fraction(given["loan_amount"]) * rate * term / 365


def own_rule(table: str, given: Row, policy: Policy) -> str | None:
    """The rules one table has beyond its columns."""
    if table == "loans" and not 0 <= given.get("loan_term_days", 0) <= 36_500:
        return "term_out_of_range"
    if table == "loans" and whole_interest(given) > policy.max_amount:
        return "interest_too_large"
    if table == "repayments":
        names = ("principal_paid", "interest_paid", "fees_paid", "penalty_paid")
        parts = sum(minor(given.get(name)) for name in names)
        if parts > 0 and parts != minor(given["payment_amount"]):
            return "split_mismatch"
    return None


def nulls_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def keeping_order(table: tables.Table) -> Callable[[Row], list[tuple[bool, Any]]]:
    """The order whose first row is kept among duplicates: partition column, then the columns read."""
    names = [table.partition_by] if table.partition_by else []
    names += tables.facts_only(table).names
    return lambda row: [nulls_first(row.get(name)) for name in names]


class Sieve:
    """Passes usable rows on and counts those it holds back."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.held: dict[tuple[str, str], int] = {}

    def hold(self, table: str, rule: str) -> None:
        self.held[table, rule] = self.held.get((table, rule), 0) + 1

    def rows(self, raw: Raw, name: str) -> list[Row]:
        """Rows that break no rule of their own, one per identity."""
        table, fine = tables.TABLES[name], []
        for row in raw.get(name, ()):
            rule = broken_rule(table, row, self.policy)
            if rule:
                self.hold(name, rule)
            else:
                fine.append(row)
        kept: dict[tuple[Any, ...], Row] = {}
        for row in sorted(fine, key=keeping_order(table)):
            identity = tuple(row[column] for column in table.identity)
            if identity in kept:
                self.hold(name, "duplicate_id")
            else:
                kept[identity] = row
        return list(kept.values())

    def dated(self, loans: list[Row], schedule: list[Row]) -> list[Row]:
        """Loans of which it is known when anything falls due."""
        scheduled = {row["loan_id"] for row in schedule if row_total(row)}
        kept = []
        for row in loans:
            ends = row.get("maturity_date") is not None or row.get("loan_term_days") is not None
            if row["loan_id"] in scheduled or ends:
                kept.append(row)
            else:
                self.hold("loans", "no_due_date")
        return kept

    def owned(self, name: str, rows: list[Row], loan_ids: set[str]) -> list[Row]:
        """Rows whose loan is usable."""
        kept = []
        for row in rows:
            if row["loan_id"] in loan_ids:
                kept.append(row)
            else:
                self.hold(name, "orphan")
        return kept


def row_total(row: Row) -> int:
    return sum(minor(row.get(name)) for name in ("principal_due", "interest_due", "fee_due"))


# --- From rows to loans -------------------------------------------------------------------------------------


def read(raw: Raw, policy: Policy) -> Facts:
    """The usable facts, and the count of what is held back."""
    sieve = Sieve(policy)
    rows = {name: sieve.rows(raw, name) for name in READ}
    loans = sieve.dated(rows["loans"], rows["loan_schedule"])
    loan_ids = {row["loan_id"] for row in loans}
    schedule = sieve.owned("loan_schedule", rows["loan_schedule"], loan_ids)
    repayments = sieve.owned("repayments", rows["repayments"], loan_ids)
    due, paid = by_loan(schedule), by_loan(repayments)
    made = {
        key: make_loan(row, due.get(key, []), paid.get(key, [])) for row in loans for key in [row["loan_id"]]
    }
    officers = {row["officer_id"]: row for row in rows["officers"]}
    holidays = frozenset(row["holiday_date"] for row in rows["holidays"])
    return Facts(made, officers, holidays, schedule, sieve.held)


def by_loan(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["loan_id"], []).append(row)
    return found


def make_loan(row: Row, schedule: list[Row], repayments: list[Row]) -> Loan:
    installments, source = contract(row, schedule)
    return Loan(
        loan_id=row["loan_id"],
        officer_id=named(row.get("officer_id"), tables.UNASSIGNED),
        region=named(row.get("region"), tables.UNKNOWN),
        branch=named(row.get("branch"), tables.UNKNOWN),
        amount=minor(row["loan_amount"]),
        disbursed=row["disbursement_date"],
        maturity_date=row.get("maturity_date"),
        term_days=row.get("loan_term_days"),
        fee_amount=minor(row.get("fee_amount")),
        channel=row.get("channel"),
        status=row.get("status"),
        closed_date=row.get("closed_date"),
        source=source,
        installments=installments,
        payments=tuple(make_payment(each) for each in repayments),
    )


def named(value: str | None, otherwise: str) -> str:
    return otherwise if value is None else value


def make_payment(row: Row) -> Payment:
    return Payment(
        repayment_id=row["repayment_id"],
        paid_on=row["payment_date"],
        amount=minor(row["payment_amount"]),
        fees=minor(row.get("fees_paid")),
        interest=minor(row.get("interest_paid")),
        principal=minor(row.get("principal_paid")),
        penalty=minor(row.get("penalty_paid")),
        method=row.get("payment_method"),
        is_backdated=bool(row.get("is_backdated")),
        is_reversed=bool(row.get("is_reversed")),
        reversal_date=row.get("reversal_date"),
        waiver=minor(row.get("waiver_amount")),
        waiver_type=named(row.get("waiver_type"), "Interest"),
        created_at=row.get("created_at"),
    )


def contract(loan: Row, schedule: list[Row]) -> tuple[tuple[Installment, ...], str]:
    """The installments in order (2.1): zero ones ignored, an implied one where there is no schedule."""
    found = [scheduled(row) for row in schedule]
    source = "schedule"
    if not any(each.amount for each in found):
        found, source = [implied(loan)], "implied"
    ordered = sorted((each for each in found if each.amount), key=lambda each: (each.due_date, each.number))
    total, summed = 0, []
    for each in ordered:
        total += each.amount
        summed.append(replace(each, cum_due=total))
    return tuple(summed), source


def scheduled(row: Row) -> Installment:
    return Installment(
        row["due_date"],
        row["installment_number"],
        minor(row.get("fee_due")),
        minor(row.get("interest_due")),
        minor(row.get("principal_due")),
    )


def implied(loan: Row) -> Installment:
    amount, term = minor(loan["loan_amount"]), loan.get("loan_term_days")
    due = loan.get("maturity_date") or loan["disbursement_date"] + timedelta(days=term or 0)
    rate = Fraction(loan.get("interest_rate") or 0)
    interest = half_away(amount * rate * (term or 0) / 365)
    return Installment(due, 1, minor(loan.get("fee_amount")), interest, amount)


def half_away(value: Fraction) -> int:
    """The nearest integer, halves away from zero (1.7)."""
    size = int(abs(value) + Fraction(1, 2))
    return size if value >= 0 else -size


# --- What has been credited (2.2) ---------------------------------------------------------------------------


@dataclass
class Entry:
    """A counting row by part: cash paid, amounts waived, and what of both is credited to the schedule."""

    paid_on: date
    fees: int = 0
    interest: int = 0
    principal: int = 0
    waived_fees: int = 0
    waived_interest: int = 0
    waived_principal: int = 0
    credited: int = 0
    credited_waiver: int = 0

    @property
    def cash(self) -> int:
        return self.fees + self.interest + self.principal


def entries(loan: Loan, day: date) -> list[tuple[Payment, Entry]]:
    """The loan's counting rows on that day, unsplit amounts placed."""
    rows = [payment for payment in loan.payments if payment.counts(day)]
    made = {row.repayment_id: entry_of(row) for row in rows}
    unsplit = sorted((row for row in rows if row.unsplit), key=lambda row: (row.paid_on, row.repayment_id))
    for row in unsplit:
        place(loan, row, made, [each for each in rows if each.paid_on <= row.paid_on])
    for entry in made.values():
        credit(entry, loan.carries_fee)
    return [(row, made[row.repayment_id]) for row in rows]


def entry_of(row: Payment) -> Entry:
    return Entry(
        row.paid_on,
        row.fees,
        row.interest,
        row.principal,
        waived_fees=row.waiver if row.waiver_type == "Fee" else 0,
        waived_interest=row.waiver if row.waiver_type == "Interest" else 0,
        waived_principal=row.waiver if row.waiver_type == "Principal" else 0,
    )


def place(loan: Loan, row: Payment, made: dict[str, Entry], so_far: list[Payment]) -> None:
    """Put one unsplit amount where it belongs (convention 11): the later ones of its day are still empty."""
    had = {part: sum(got(made[each.repayment_id], part) for each in so_far) for part in PARTS}
    scheduled_so_far = dict.fromkeys(PARTS, 0)
    left, entry = row.amount, made[row.repayment_id]
    for installment in loan.installments:
        for part in PARTS:
            scheduled_so_far[part] += getattr(installment, part)
            placed = min(left, max(0, scheduled_so_far[part] - had[part]))
            setattr(entry, part, getattr(entry, part) + placed)
            had[part] += placed
            left -= placed
    entry.principal += left


def got(entry: Entry, part: str) -> int:
    """Paid and waived of one part."""
    return int(getattr(entry, part) + getattr(entry, f"waived_{part}"))


def credit(entry: Entry, carries_fee: bool) -> None:
    entry.credited_waiver = entry.waived_interest + entry.waived_principal
    entry.credited = entry.interest + entry.principal
    if carries_fee:
        entry.credited_waiver += entry.waived_fees
        entry.credited += entry.fees
    entry.credited += entry.credited_waiver


def credited_by(rows: Iterable[tuple[Payment, Entry]], last: date) -> int:
    """Credited by rows dated on or before ``last``."""
    return sum(entry.credited for _, entry in rows if entry.paid_on <= last)


# --- Days ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Days:
    """How days are counted: the policy and its holidays."""

    policy: Policy
    holidays: frozenset[date]

    def is_business(self, day: date) -> bool:
        return day.isoweekday() not in self.policy.weekend and day not in self.holidays

    def overdue(self, installment: Installment, day: date) -> bool:
        """The overdue test is on the calendar, whatever the count of days past due (2.4)."""
        return installment.due_date < day or (self.policy.inclusive and installment.due_date == day)

    def past_due(self, due_date: date, day: date) -> int:
        """DPD on ``day`` of an overdue installment due on ``due_date`` (2.4)."""
        first = due_date if self.policy.inclusive else due_date + timedelta(days=1)
        days = (day - first).days + 1
        if self.policy.calendar == "calendar":
            return days
        return sum(self.is_business(first + timedelta(days=n)) for n in range(days))

    def roll_start(self, day: date) -> date:
        """D-7 (convention 14): on the business calendar the latest business day with 7 of them after it."""
        if self.policy.calendar == "calendar":
            return day - timedelta(days=self.policy.roll_days)
        held, back = 0, day
        while not (held == self.policy.roll_days and self.is_business(back)):
            held += self.is_business(back)
            back -= timedelta(days=1)
        return back


def within(value: date, day: date, days: int) -> bool:
    """In the window of ``days`` days back from ``day``: (D-n, D]."""
    return day - timedelta(days=days) < value <= day


# --- A loan on a day (2.3-2.6) ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stand:
    """How a loan stands at the end of one day, from events up to that day."""

    on_book: bool
    reopened: bool
    dpd: int
    arrears: int
    total: int
    overpaid: int
    parts: dict[str, int]
    credited: int
    rows: list[tuple[Payment, Entry]]

    def past(self, days: int) -> bool:
        return self.on_book and self.dpd > days

    @property
    def early(self) -> bool:
        return self.on_book and 1 <= self.dpd <= 6


def stand(loan: Loan, day: date, days: Days) -> Stand:
    rows = entries(loan, day)
    credited = sum(entry.credited for _, entry in rows)
    total = max(0, loan.total_due - credited)
    reopened = is_reopened(loan, day, total, days.policy)
    closing = closing_date(loan, days.policy)
    closed = closing is not None and closing <= day and not reopened
    on_book = loan.disbursed <= day and total > days.policy.tolerance_minor and not closed
    dpd, arrears = lateness(loan, day, credited, days) if on_book else (0, 0)
    parts = outstanding_parts(loan, rows)
    return Stand(
        on_book, reopened, dpd, arrears, total, max(0, credited - loan.total_due), parts, credited, rows
    )


def settled(installment: Installment, credited: int, policy: Policy) -> bool:
    return installment.cum_due - credited <= policy.tolerance_minor


def lateness(loan: Loan, day: date, credited: int, days: Days) -> tuple[int, int]:
    """DPD, counted from the oldest overdue unsettled installment, and the amount in arrears."""
    overdue = [each for each in loan.installments if days.overdue(each, day)]
    unsettled = [each for each in overdue if not settled(each, credited, days.policy)]
    if not unsettled:
        return 0, 0
    return days.past_due(unsettled[0].due_date, day), max(0, overdue[-1].cum_due - credited)


def outstanding_parts(loan: Loan, rows: list[tuple[Payment, Entry]]) -> dict[str, int]:
    """Scheduled less paid less waived by part; surpluses pay the other parts in order (2.5)."""
    left = {}
    for part in PARTS:
        counted = part != "fees" or loan.carries_fee
        had = sum(got(entry, part) for _, entry in rows) if counted else 0
        left[part] = sum(getattr(each, part) for each in loan.installments) - had
    pool = sum(max(0, -amount) for amount in left.values())
    for part in PARTS:
        left[part] = max(0, left[part])
        paid = min(pool, left[part])
        left[part] -= paid
        pool -= paid
    return left


def closing_date(loan: Loan, policy: Policy) -> date | None:
    """The day the lender closed the loan, told or inferred (2.6, convention 8)."""
    if loan.closed_date is not None or loan.status not in policy.final_statuses:
        return loan.closed_date
    lasting = [payment.paid_on for payment in loan.payments if not payment.is_reversed]
    if lasting:
        return max(lasting)
    if loan.maturity_date is not None:
        return loan.maturity_date
    if loan.term_days is not None:
        return loan.disbursed + timedelta(days=loan.term_days)
    return loan.installments[-1].due_date


def is_reopened(loan: Loan, day: date, total: int, policy: Policy) -> bool:
    """A loan the lender closed before ``day``, standing open again as a payment behind it was reversed."""
    closing = closing_date(loan, policy)
    if (
        closing is None
        or closing > day
        or loan.status == tables.WRITTEN_OFF
        or total <= policy.tolerance_minor
    ):
        return False
    return any(payment.paid_on <= closing and payment.reversed_by(day) for payment in loan.payments)


def max_dpd_ever(loan: Loan, day: date, days: Days, every_day: bool) -> int:
    """The worst DPD of any day so far, each as it stood.

    Between two events DPD only grows, so the last days before the next event are enough, unless every day is
    asked for.
    """
    last_days = every if every_day else before_events
    return max((stand(loan, each, days).dpd for each in last_days(loan, day, days.policy)), default=0)


def every(loan: Loan, day: date, _: Policy) -> Iterator[date]:
    for n in range((day - loan.disbursed).days + 1):
        yield loan.disbursed + timedelta(days=n)


def before_events(loan: Loan, day: date, policy: Policy) -> Iterator[date]:
    events = {payment.paid_on for payment in loan.payments}
    events |= {payment.reversal_date for payment in loan.payments if payment.reversal_date}
    closing = closing_date(loan, policy)
    events |= {closing} if closing else set()
    for event in sorted(events):
        if loan.disbursed < event <= day:
            yield event - timedelta(days=1)
    if loan.disbursed <= day:
        yield day


def first_missed(loan: Loan, day: date, rows: list[tuple[Payment, Entry]], policy: Policy) -> bool | None:
    """Whether the first installment was missed; null until decided (2.7)."""
    if not loan.installments:
        return None
    first = loan.installments[0]
    last = first.due_date + timedelta(days=policy.first_payment_grace_days)
    if not last < day:
        return None
    by_then = [(row, entry) for row, entry in rows if entry.paid_on <= last]
    if first.amount - sum(entry.credited_waiver for _, entry in by_then) <= 0:
        return False
    if policy.share_scaled == 0:
        return sum(entry.cash for _, entry in by_then) == 0
    share = Fraction(policy.first_payment_share)
    return credited_by(by_then, last) < share * first.amount - policy.tolerance_minor


def bucket(dpd: int) -> str:
    for last, name in ((0, "0"), (6, "1-6"), (30, "7-30"), (60, "31-60"), (90, "61-90")):
        if dpd <= last:
            return name
    return "90+"


def closed_as(loan: Loan, on_book: bool, day: date, policy: Policy) -> str | None:
    if on_book:
        return None
    closing = closing_date(loan, policy)
    written_off = loan.status == tables.WRITTEN_OFF and closing is not None and closing <= day
    return "written_off" if written_off else "paid"


def loan_row(loan: Loan, day: date, days: Days, every_day: bool) -> dict[str, Any]:
    """The columns of loan_state, money in minor units."""
    now = stand(loan, day, days)
    missed = first_missed(loan, day, now.rows, days.policy)
    cash_days = [entry.paid_on for _, entry in now.rows if entry.cash]
    unsettled = [each for each in loan.installments if not settled(each, now.credited, days.policy)]
    ahead = [each.due_date for each in unsettled if each.due_date > day and now.on_book]
    return {
        "disbursement_date": loan.disbursed,
        "schedule_source": loan.source,
        "on_book": now.on_book,
        "closed_as": closed_as(loan, now.on_book, day, days.policy),
        "current_dpd": now.dpd,
        "dpd_bucket": bucket(now.dpd),
        "max_dpd_ever": max_dpd_ever(loan, day, days, every_day),
        "first_payment_missed": missed,
        "first_payment_due_date": loan.installments[0].due_date if loan.installments else None,
        "first_payment_received_date": min(cash_days, default=None),
        "last_payment_date": max(cash_days, default=None),
        "next_payment_due": min(ahead, default=None),
        "principal_outstanding": now.parts["principal"],
        "interest_outstanding": now.parts["interest"],
        "fees_outstanding": now.parts["fees"],
        "total_outstanding": now.total,
        "arrears_amount": now.arrears,
        "overpaid": now.overpaid,
        "total_principal_paid": sum(entry.principal for _, entry in now.rows),
        "total_interest_paid": sum(entry.interest for _, entry in now.rows),
        "total_fees_paid": sum(entry.fees for _, entry in now.rows),
        "fimr_tagged": missed is True,
        "early_indicator_tagged": now.early,
    }


def loan_rows(facts: Facts, day: date, days: Days, every_day: bool) -> dict[str, dict[str, Any]]:
    loans = [loan for loan in facts.loans.values() if loan.disbursed <= day]
    found = {loan.loan_id: loan_row(loan, day, days, every_day) for loan in loans}
    largest: dict[str, int] = {}
    for loan in loans:
        row = found[loan.loan_id]
        if row["on_book"]:
            largest[loan.officer_id] = max(largest.get(loan.officer_id, 0), row["total_outstanding"])
    for loan in loans:
        row = found[loan.loan_id]
        row["loan_risk_score"] = loan_risk(row, largest[loan.officer_id]) if row["on_book"] else None
    return found


def loan_risk(row: dict[str, Any], officers_largest: int) -> Fraction:
    return (
        Fraction(50 * min(row["current_dpd"], 90), 90)
        + Fraction(25 * row["total_outstanding"], officers_largest)
        + (15 if row["first_payment_missed"] else 0)
        + Fraction(10 * min(row["max_dpd_ever"], 90), 90)
    )


# --- Measures (section 4) -----------------------------------------------------------------------------------


def measured(policy: Policy) -> list[str]:
    """The names of all measures under a policy."""
    named = [names for (metric, nth), names in LATER.items() if nth in policy.revisions.get(metric, {})]
    return [*MEASURES, *(name for names in named for name in names)]


def age_measures(loan: Loan, day: date, now: Stand, policy: Policy) -> Measures:
    """Days since disbursement and since the last money that counts, of loans on the book (convention 38)."""
    if not now.on_book or 2 not in policy.revisions.get("risk_score", {}):
        return {}
    paid = [entry.paid_on for _, entry in now.rows if entry.cash]
    return {
        "loan_age_days": (day - loan.disbursed).days,
        "days_since_repayment": (day - max([loan.disbursed, *paid])).days,
    }


def book_measures(loan: Loan, now: Stand) -> Measures:
    """What stands on the book."""
    if not now.on_book:
        return {}
    found = {"total_portfolio": now.total, "principal_portfolio": now.parts["principal"], "active_loans": 1}
    if now.past(15):
        found |= {"overdue_15d_amount": now.total, "overdue_15d_count": 1}
    if now.early:
        found["dpd_1to6_balance"] = now.total
    return found | {f"par{x}_principal": now.parts["principal"] for x in PAR_DAYS if now.past(x)}


def first_payment_measures(loan: Loan, day: date, now: Stand, policy: Policy) -> Measures:
    missed = first_missed(loan, day, now.rows, policy)
    if missed is None:
        return {}
    found = {"all_time_decided_count": 1, "all_time_first_miss_count": int(missed)}
    if within(loan.disbursed, day, policy.cohort_days):
        found |= {"disbursed_count": 1, "first_miss_count": int(missed)}
    return found


def amount_due(loan: Loan, day: date, now: Stand, policy: Policy) -> int:
    """Falling due in the days ahead, less what has been paid ahead."""
    if not now.on_book:
        return 0
    total = 0
    for each in loan.installments:
        if day < each.due_date <= day + timedelta(days=policy.due_days):
            total += max(0, each.cum_due - max(now.credited, each.cum_due - each.amount))
    return total


def roll_measures(loan: Loan, day: date, now: Stand, days: Days) -> Measures:
    before = stand(loan, days.roll_start(day), days)
    if not before.early:
        return {}
    moved = now.on_book and 7 <= now.dpd <= 30
    return {"prev_dpd_1to6_balance": before.total, "moved_to_7to30": before.total if moved else 0}


def fee_measures(loan: Loan, day: date, now: Stand, policy: Policy) -> Measures:
    if not within(loan.disbursed, day, policy.frr_days):
        return {}
    fallen_due = sum(each.fees for each in loan.installments if each.due_date <= day)
    if not loan.carries_fee:
        fallen_due = loan.fee_amount
    due = max(0, fallen_due - sum(entry.waived_fees for _, entry in now.rows))
    return {"fees_due": due, "fees_collected": min(sum(entry.fees for _, entry in now.rows), due)}


def on_time_measures(loan: Loan, day: date, now: Stand, policy: Policy) -> Measures:
    closing = closing_date(loan, policy)
    due = on_time = 0
    for each in loan.installments:
        if within(each.due_date, day, policy.flow_days):
            if closing is not None and each.due_date > closing and not now.reopened:
                continue
            due += 1
            on_time += settled(each, credited_by(now.rows, each.due_date), policy)
    return {"due_installments": due, "on_time_installments": on_time}


def latest_15th(day: date) -> date:
    return day.replace(day=15) if day.day >= 15 else (day.replace(day=1) - timedelta(days=1)).replace(day=15)


def par15(loan: Loan, day: date, days: Days) -> int:
    then = stand(loan, day, days)
    return then.total if then.past(15) else 0


def reference_channels(officer_id: str, facts: Facts, used: set[str], policy: Policy) -> set[str]:
    """The channels that count as pure for this officer; none where there is no reference (convention 18)."""
    primary = facts.officers.get(officer_id, {}).get("primary_channel")
    if primary is not None and primary in used:
        return {primary}
    return set(policy.pure_channels) & used


def channel_measures(loan: Loan, day: date, facts: Facts, used: set[str], policy: Policy) -> Measures:
    reference = reference_channels(loan.officer_id, facts, used, policy)
    if not reference or not within(loan.disbursed, day, policy.cohort_days):
        return {}
    return {"channel_known_count": 1, "pure_channel_count": int(loan.channel in reference)}


def channels_used(facts: Facts, day: date) -> set[str]:
    return {
        loan.channel for loan in facts.loans.values() if loan.channel is not None and loan.disbursed <= day
    }


def flow_measures(loan: Loan, day: date, policy: Policy) -> Measures:
    """Over the loan's repayment rows alone (convention 15)."""
    found = dict.fromkeys(MEASURES, 0)
    for row in loan.payments:
        if within(row.paid_on, day, policy.flow_days):
            found["total_entries"] += 1
            found["backdated_count"] += row.is_backdated
        undone_on = row.reversal_date or row.paid_on
        if row.is_reversed and row.paid_on <= day and within(undone_on, day, policy.flow_days):
            found["reversals_count"] += 1
    for row, entry in entries(loan, day):
        if day.replace(day=1) <= row.paid_on:
            found["interest_collected"] += entry.interest
            found["total_fees_collected"] += entry.fees
        if within(row.paid_on, day, policy.flow_days):
            found["yield_30d"] += entry.interest + entry.fees
        if within(row.paid_on, day, policy.waiver_days) and row.waiver_type != "Penalty":
            found["waivers_amount"] += row.waiver
        if within(row.paid_on, day, policy.float_gap_window_days):
            found["float_gap_count"] += has_float_gap(row, policy)
    return found


def has_float_gap(row: Payment, policy: Policy) -> bool:
    """Cash recorded later than allowed, in the lender's days."""
    if row.method not in policy.cash_methods or row.created_at is None or not row.amount:
        return False
    recorded = row.created_at.astimezone(ZoneInfo(policy.time_zone)).date()
    return (recorded - row.paid_on).days > policy.float_gap_days


def loan_measures(loan: Loan, day: date, facts: Facts, used: set[str], days: Days) -> list[Measures]:
    """Everything one loan adds to its cell, PAR15 of the 15th aside."""
    policy = days.policy
    if loan.disbursed > day:
        return [flow_measures(loan, day, policy)]
    now = stand(loan, day, days)
    return [
        {"total_disbursed_count": 1, "total_disbursed_amount": loan.amount},
        {"amount_due_7d": amount_due(loan, day, now, policy)},
        book_measures(loan, now),
        age_measures(loan, day, now, policy),
        first_payment_measures(loan, day, now, policy),
        roll_measures(loan, day, now, days),
        fee_measures(loan, day, now, policy),
        on_time_measures(loan, day, now, policy),
        channel_measures(loan, day, facts, used, policy),
        flow_measures(loan, day, policy),
    ]


def cell_measures(facts: Facts, day: date, days: Days, frozen: Sequence[Row]) -> dict[CellKey, Measures]:
    """Sums per (officer, region, branch)."""
    cells: dict[CellKey, Measures] = {}
    names = measured(days.policy)
    used, active = channels_used(facts, day), set()
    for loan in facts.loans.values():
        parts = loan_measures(loan, day, facts, used, days)
        add(cells, loan.cell, parts, names)
        cohort = loan.disbursed <= day and within(loan.disbursed, day, days.policy.cohort_days)
        if cohort or any(part.get("active_loans") for part in parts):
            active.add(loan.cell)
    add_mid_month(cells, facts, latest_15th(day), days, frozen)
    for key, sums in cells.items():
        sums["total_officers"] = int(key in active)
        sums["float_gap_officers"] = int(key in active and sums["float_gap_count"] > 0)
    return cells


def add_mid_month(
    cells: dict[CellKey, Measures], facts: Facts, mid: date, days: Days, frozen: Sequence[Row]
) -> None:
    """PAR15 of the latest 15th: the frozen set whole where there is one, else as computed for that day."""
    rows = [row for row in frozen if row["snapshot_date"] == mid]
    for row in rows:
        key = (row["officer_id"], row["region"], row["branch"])
        add(cells, key, [{"par15_mid_month": minor(row["par15_exposure"])}], measured(days.policy))
    if not rows:
        for loan in facts.loans.values():
            add(cells, loan.cell, [{"par15_mid_month": par15(loan, mid, days)}], measured(days.policy))


def add(
    cells: dict[CellKey, Measures], key: CellKey, parts: Iterable[Measures], names: Sequence[str]
) -> None:
    sums = cells.setdefault(key, dict.fromkeys(names, 0))
    for part in parts:
        for name, value in part.items():
            sums[name] += value


def summed(cells: Mapping[CellKey, Measures], policy: Policy) -> Measures:
    """The measures of a group of cells: sums, and officers counted once."""
    total = {name: sum(cell[name] for cell in cells.values()) for name in measured(policy)}
    for name in DISTINCT:
        total[name] = len({officer for (officer, _, _), cell in cells.items() if cell[name]})
    return total


# --- Metrics (section 5) ------------------------------------------------------------------------------------


def ratio(above: int, below: int) -> Fraction | None:
    """No data is not zero: an empty denominator gives null."""
    return Fraction(above, below) if below else None


def clamp(value: Fraction) -> Fraction:
    return min(Fraction(1), max(Fraction(0), value))


def penalty(weight: int, value: Fraction | None) -> Fraction:
    """No evidence, no penalty."""
    return Fraction(0) if value is None else weight * clamp(value)


def short_of_one(value: Fraction | None) -> Fraction | None:
    return None if value is None else 1 - value


def exact_ratios(m: Measures) -> dict[str, Fraction | None]:
    total_yield = m["interest_collected"] + m["total_fees_collected"]
    porr = ratio(m["overdue_15d_amount"], m["total_portfolio"])
    return {
        "fimr": ratio(m["first_miss_count"], m["disbursed_count"]),
        "all_time_fimr": ratio(m["all_time_first_miss_count"], m["all_time_decided_count"]),
        "d06_slippage": ratio(m["dpd_1to6_balance"], m["amount_due_7d"]),
        "roll": ratio(m["moved_to_7to30"], m["prev_dpd_1to6_balance"]),
        "frr": ratio(m["fees_collected"], m["fees_due"]),
        "ayr": ratio(total_yield, m["par15_mid_month"]),
        "ayr_30d": ratio(m["yield_30d"], m["overdue_15d_amount"]),
        "porr": porr,
        "par15_ratio": porr,
        **{f"par{x}": ratio(m[f"par{x}_principal"], m["principal_portfolio"]) for x in PAR_DAYS},
        "on_time_rate": ratio(m["on_time_installments"], m["due_installments"]),
        "channel_purity": ratio(m["pure_channel_count"], m["channel_known_count"]),
        "float_gap_share": ratio(m["float_gap_officers"], m["total_officers"]),
    }


def in_force(policy: Policy, metric: str, day: date) -> int:
    """The revision of a metric that counts on a day: the last one that has begun, the first where none has."""
    begun = [nth for nth, begin in policy.revisions.get(metric, {}).items() if begin <= day]
    return max([1, *begun])


def exact_risk(m: Measures, policy: Policy, day: date) -> Fraction | None:
    """The risk score before any rounding."""
    r = exact_ratios(m)
    if r["float_gap_share"] is None:
        return None
    if in_force(policy, "risk_score", day) == 2:
        return second_risk(m, r)
    return (
        100
        - penalty(20, r["porr"])
        - penalty(15, r["fimr"])
        - penalty(10, r["roll"])
        - penalty(10, ratio(m["waivers_amount"], m["amount_due_7d"]))
        - penalty(10, ratio(m["backdated_count"], m["total_entries"]))
        - penalty(10, ratio(m["reversals_count"], m["total_entries"]))
        - penalty(10, short_of_one(r["frr"]))
        - penalty(5, short_of_one(r["channel_purity"]))
        - 10 * r["float_gap_share"]
    )


def second_risk(m: Measures, r: Mapping[str, Fraction | None]) -> Fraction:
    """Revision 2: 100 - 20 PORR - 15 FIMR - 10 Roll - 40 (1 - RDR) - 15 (1 - min(AYR, 1)); no evidence, no penalty."""
    share = ratio(m["days_since_repayment"], m["loan_age_days"])
    rdr = None if share is None else clamp(1 - share / Fraction(1, 4))
    ayr = None if r["ayr"] is None else min(r["ayr"], Fraction(1))
    return (
        100
        - penalty(20, r["porr"])
        - penalty(15, r["fimr"])
        - penalty(10, r["roll"])
        - penalty(40, short_of_one(rdr))
        - penalty(15, short_of_one(ayr))
    )


DQI_WEIGHTS = {1: (40, 35, 25), 2: (50, 35, 15)}


def exact_dqi(m: Measures, policy: Policy, day: date) -> Fraction | None:
    """The disbursement quality index before any rounding: the weights of what is known make one."""
    r, risk = exact_ratios(m), exact_risk(m, policy, day)
    revision = in_force(policy, "dqi", day)
    values = (None if risk is None else risk / 100, r["on_time_rate"], short_of_one(r["fimr"]))
    components = [(Fraction(w, 100), value) for w, value in zip(DQI_WEIGHTS[revision], values, strict=True)]
    known = [(weight, value) for weight, value in components if value is not None]
    if not known:
        return None
    weights = sum((weight for weight, _ in known), Fraction(0))
    mean = sum((weight * value for weight, value in known), Fraction(0)) / weights
    purity = r["channel_purity"] if policy.dqi_uses_channel_purity and revision == 1 else None
    return 100 * mean * (1 if purity is None else purity)


def nine_decimals(value: Fraction) -> Fraction:
    return Fraction(half_away(value * 10**9), 10**9)


def score(value: Fraction | None) -> int | None:
    """A score as shown: nine decimals first, then halves away from zero (1.7)."""
    return None if value is None else half_away(nine_decimals(value))


def low_is_good(value: Fraction | None, green: str, watch: str) -> str:
    if value is None:
        return "n/a"
    return "Green" if value <= Fraction(green) else "Watch" if value <= Fraction(watch) else "Flag"


def high_is_good(value: Fraction | int | None, *steps: tuple[str, str], otherwise: str) -> str:
    if value is None:
        return "n/a"
    return next((name for name, least in steps if value >= Fraction(least)), otherwise)


def bands(r: dict[str, Fraction | None], risk: int | None, dqi: int | None) -> Figures:
    ayr = (("Green", ".5"), ("Watch", ".3"))
    return {
        "fimr_band": low_is_good(r["fimr"], ".03", ".06"),
        "all_time_fimr_band": low_is_good(r["all_time_fimr"], ".03", ".06"),
        "d06_slippage_band": low_is_good(r["d06_slippage"], ".05", ".08"),
        "roll_band": low_is_good(r["roll"], ".25", ".35"),
        "ayr_band": high_is_good(r["ayr"], *ayr, otherwise="Flag"),
        "ayr_30d_band": high_is_good(r["ayr_30d"], *ayr, otherwise="Flag"),
        "risk_score_band": high_is_good(
            risk, ("Green", "80"), ("Watch", "60"), ("Amber", "40"), otherwise="Red"
        ),
        "dqi_band": high_is_good(dqi, ("Green", "75"), ("Watch", "65"), otherwise="Flag"),
    }


def metrics(m: Measures, policy: Policy, day: date) -> Figures:
    """Every metric of a group from its measures on a day, and the bands."""
    r, risk = exact_ratios(m), exact_risk(m, policy, day)
    risk_score, dqi = score(risk), score(exact_dqi(m, policy, day))
    figures: Figures = {name: None if value is None else float(value) for name, value in r.items()}
    return {
        **figures,
        "total_yield": m["interest_collected"] + m["total_fees_collected"],
        "had_float_gap": m["float_gap_count"] > 0,
        "risk_score": risk_score,
        "risk_score_norm": None if risk is None else float(risk / 100),
        "dqi": dqi,
        **bands(r, risk_score, dqi),
    }


def group(cells: Mapping[CellKey, Measures], policy: Policy, day: date) -> Figures:
    sums = summed(cells, policy)
    return {**sums, **metrics(sums, policy, day)}


def split_cells(
    cells: Mapping[CellKey, Measures], key: Callable[[CellKey], Any]
) -> dict[Any, dict[CellKey, Measures]]:
    """The cells of each group, groups in order."""
    names = sorted({key(cell) for cell in cells})
    return {name: {cell: sums for cell, sums in cells.items() if key(cell) == name} for name in names}


# --- Rank ---------------------------------------------------------------------------------------------------


def competition_ranks(values: Mapping[str, Fraction | float]) -> dict[str, int]:
    """1, 2, 2, 4: one more than the number of better ones, the largest being best."""
    return {key: 1 + sum(other > value for other in values.values()) for key, value in values.items()}


def ranks(scores: Mapping[str, tuple[Fraction, Fraction | None]]) -> dict[str, int]:
    """Dense rank of 0.6 rank(risk_score) + 0.4 rank(ayr), of the officers given with both."""
    by_risk = competition_ranks({key: nine_decimals(risk) for key, (risk, _) in scores.items()})
    best = float("inf")
    by_ayr = competition_ranks({key: best if ayr is None else float(ayr) for key, (_, ayr) in scores.items()})
    mixed = {key: 6 * by_risk[key] + 4 * by_ayr[key] for key in scores}
    order = sorted(set(mixed.values()))
    return {key: 1 + order.index(value) for key, value in mixed.items()}


def officer_ranks(officers: Mapping[str, Measures], policy: Policy, day: date) -> dict[str, int]:
    """Ranks of those who have a risk score and enough loans; the others are unranked."""
    scores = {}
    for officer_id, sums in officers.items():
        risk = exact_risk(sums, policy, day)
        if risk is not None and sums["active_loans"] >= policy.min_rank_loans:
            scores[officer_id] = (risk, exact_ratios(sums)["ayr"])
    return ranks(scores)


# --- Groups, findings, the answer ---------------------------------------------------------------------------


def officer_rows(
    cells: Mapping[CellKey, Measures], facts: Facts, policy: Policy, day: date
) -> dict[str, Figures]:
    everyone = sorted({*facts.officers, *(officer for officer, _, _ in cells)})
    own = {who: {key: cell for key, cell in cells.items() if key[0] == who} for who in everyone}
    sums = {who: summed(found, policy) for who, found in own.items()}
    place_of = officer_ranks(sums, policy, day)
    rows: dict[str, Figures] = {}
    for who in everyone:
        home = facts.officers.get(who, {})
        rows[who] = {
            "officer_name": home.get("officer_name"),
            "region": named(home.get("region"), tables.UNKNOWN),
            "branch": named(home.get("branch"), tables.UNKNOWN),
            **sums[who],
            **metrics(sums[who], policy, day),
            "rank": place_of.get(who),
        }
    return rows


def find(facts: Facts, day: date, days: Days) -> dict[str, int]:
    """Odd but usable rows, counted."""
    found = dict.fromkeys(FINDINGS, 0)
    for row in facts.schedule:
        differs = row.get("total_due") is not None and minor(row["total_due"]) != row_total(row)
        found["schedule_total_mismatch"] += differs
        found["due_before_disbursement"] += row["due_date"] < facts.loans[row["loan_id"]].disbursed
    for loan in facts.loans.values():
        ends = [day for day in (loan.maturity_date, loan.closed_date) if day is not None]
        found["end_before_disbursement"] += any(end < loan.disbursed for end in ends)
        for payment in loan.payments:
            found["payment_before_disbursement"] += payment.paid_on < loan.disbursed
            found["reversal_before_payment"] += payment.reversed_early
        principal = sum(each.principal for each in loan.installments)
        final = loan.status in days.policy.final_statuses
        found["principal_mismatch"] += loan.source == "schedule" and principal != loan.amount
        found["unsplit_payment"] += sum(payment.unsplit for payment in loan.payments)
        found["closed_without_date"] += final and loan.closed_date is None
        found["reopened_after_close"] += loan.disbursed <= day and stand(loan, day, days).reopened
    used = channels_used(facts, day)
    for officer in facts.officers.values():
        primary = officer.get("primary_channel")
        found["channel_unknown"] += primary is not None and primary not in used
    return found


def state(
    raw: Raw, as_of: date, policy: Policy = Policy(), *, every_day: bool = True
) -> dict[str, dict[str, Any]]:
    """How every loan disbursed by that day stands at its end."""
    facts = read(raw, policy)
    return loan_rows(facts, as_of, Days(policy, facts.holidays), every_day)


def evaluate(
    raw: Raw,
    as_of: date,
    policy: Policy = Policy(),
    frozen_par15: Sequence[Row] = (),
    *,
    every_day: bool = False,
) -> Answer:
    """Everything about one day. ``every_day`` walks all days for the worst DPD: plainer still, slower."""
    facts = read(raw, policy)
    days = Days(policy, facts.holidays)
    cells = cell_measures(facts, as_of, days, frozen_par15)
    branches = split_cells(cells, lambda cell: cell[1:])
    regions = split_cells(cells, lambda cell: cell[1])
    return Answer(
        quarantine=facts.quarantine,
        findings=find(facts, as_of, days),
        loans=loan_rows(facts, as_of, days, every_day),
        cells=cells,
        officers=officer_rows(cells, facts, policy, as_of),
        branches={name: group(own, policy, as_of) for name, own in branches.items()},
        regions={name: group(own, policy, as_of) for name, own in regions.items()},
        book=group(cells, policy, as_of),
    )
