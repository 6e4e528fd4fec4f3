"""The engine gives exactly what the oracle gives, on the sample and on generated books that reach every rule.

LOANMETRICS_EXAMPLES=5000 pytest tests/laws/test_oracle.py looks at that many books, other ones each time.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, seed, settings

from loanmetrics.engine import findings, run
from loanmetrics.engine.book import Book
from loanmetrics.policy import Policy
from loanmetrics.tables import UNASSIGNED, WRITTEN_OFF
from tests import laws, oracle, support
from tests.laws import sample
from tests.strategies import BREAKS, RUN, Case, cases

MORE = int(os.environ.get("LOANMETRICS_EXAMPLES", "0"))
RUNS = 1 if MORE else 14
SAMPLE_DAYS = (
    date(2020, 1, 1),
    date(2025, 8, 31),
    date(2025, 12, 14),
    date(2026, 6, 15),
    support.SAMPLE_DAY,
)
REVISED_DAYS = (date(2025, 8, 31), date(2026, 2, 28))
REVISED = Policy(revisions={"risk_score": {2: date(2025, 8, 31)}, "dqi": {2: date(2026, 2, 28)}})
OTHER_LENDER = Policy(
    time_zone="Africa/Lagos",
    calendar="business",
    dpd_count="inclusive",
    arrears_tolerance=Decimal(50),
    first_payment_share=Decimal("0.75"),
    first_payment_grace_days=3,
    min_rank_loans=20,
)


# --- The sample ---------------------------------------------------------------------------------------------


def test_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, intake = support.prepared(sample.tables(), Policy())
    usable = sample.usable()
    monkeypatch.setattr(oracle, "read", lambda *_: usable)
    views = [(day, Policy()) for day in SAMPLE_DAYS] + [(day, REVISED) for day in REVISED_DAYS]
    views.append((date(2026, 3, 1), OTHER_LENDER))
    for day, policy in views:
        theirs = oracle.evaluate(sample.rows(), day, policy)
        found = laws.differences(Book(facts, day, policy), intake, theirs)
        assert not found, f"{day}\n" + "\n".join(found[:20])


# --- Generated books ----------------------------------------------------------------------------------------


def test_generated_books() -> None:
    reached: Counter[str] = Counter()
    for number in range(RUNS):
        _agree(number, reached)
    never = [rule for rule, times in reached.items() if not times]
    assert not never, f"no generated book reaches: {', '.join(never)}"


def _agree(number: int, reached: Counter[str]) -> None:
    @settings(
        max_examples=MORE or RUN,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(cases())
    def agree(case: Case) -> None:
        answer = laws.assert_agreed(case.rows, case.as_of, case.policy, case.frozen, every_day=True)
        reached.update(rules(case, answer))  # zeros too, so that no rule is forgotten

    (agree if MORE else seed(number)(agree))()


def test_a_loan_of_tomorrow_is_not_reopened_today() -> None:
    today, row = date(2026, 3, 16), {"loan_id": "L"}
    loan = {"loan_amount": Decimal(1), "loan_term_days": 7, "closed_date": today}
    payment = {"repayment_id": "P", "payment_amount": Decimal(1), "is_reversed": True}
    rows = {
        "loans": [row | loan | {"disbursement_date": today + timedelta(days=1)}],
        "repayments": [row | payment | {"payment_date": today}],
    }
    book, _ = support.book_of(rows, today, Policy())
    found = run.each_shard(book, findings.of_shard)
    assert found[0]["reopened_after_close"] == oracle.evaluate(rows, today).findings["reopened_after_close"]


def test_a_loan_of_too_much_interest_is_held_back() -> None:
    today = date(2026, 3, 16)
    dates = {"disbursement_date": today, "loan_term_days": 366}
    money = {"loan_amount": Decimal("1000000000000.00"), "interest_rate": Decimal(1)}
    answer = laws.assert_agreed({"loans": [{"loan_id": "L", **dates, **money}]}, today, Policy())
    assert answer.quarantine == {("loans", "interest_too_large"): 1}


# --- Which rules a book reaches -----------------------------------------------------------------------------

Reached = Mapping[str, bool]


@dataclass(frozen=True)
class View:
    """One loan on the day, as the oracle sees it."""

    case: Case
    loan: oracle.Loan
    now: oracle.Stand
    row: Mapping[str, Any] | None
    days: oracle.Days

    @property
    def day(self) -> date:
        return self.case.as_of

    @property
    def policy(self) -> Policy:
        return self.case.policy

    def stricter(self, **changes: Any) -> oracle.Stand:
        return oracle.stand(self.loan, self.day, replace_policy(self.days, changes))


def replace_policy(days: oracle.Days, changes: Mapping[str, Any]) -> oracle.Days:
    import msgspec

    return replace(days, policy=msgspec.structs.replace(days.policy, **changes))


def rules(case: Case, answer: oracle.Answer) -> Counter[str]:
    """How often one book reaches each rule."""
    facts = oracle.read(case.rows, case.policy)
    days = oracle.Days(case.policy, facts.holidays)
    found: Counter[str] = Counter()
    for loan in facts.loans.values():
        row = answer.loans.get(loan.loan_id)
        view = View(case, loan, oracle.stand(loan, case.as_of, days), row, days)
        for each in (of_contract, of_balances, of_closing, of_lateness, of_first_payment, of_entries):
            _count(found, each(view))
        for payment in loan.payments:
            for ask in (of_reversal, of_payment, of_payment_windows):
                _count(found, ask(view, payment))
        _count(found, of_dues(view))
    for every in (of_rows, of_groups, of_ranks):
        _count(found, every(case, answer))
    return found


def _count(found: Counter[str], reached: Reached) -> None:
    for rule, yes in reached.items():
        found[rule] += yes


def window(name: str, value: date, view: View, days: int) -> dict[str, bool]:
    back = (view.day - value).days
    return {
        f"{name}: as-of day": back == 0,
        f"{name}: first day in": back == days - 1,
        f"{name}: last day out": back == days,
    }


def of_contract(view: View) -> Reached:
    loan, policy = view.loan, view.policy
    implied = loan.source == "implied"
    interest = sum(each.interest for each in loan.installments)
    dates = [each.due_date for each in loan.installments]
    return {
        "implied installment": implied,
        "implied installment with interest": implied and interest > 0,
        "nothing due at all": not loan.installments,
        "due on one day": len(set(dates)) < len(dates),
        "schedule without a fee": not implied and not loan.carries_fee,
        "not yet disbursed": loan.disbursed > view.day,
        "no officer": loan.officer_id == UNASSIGNED,
        "status null": loan.status is None,
        **window("cohort", loan.disbursed, view, policy.cohort_days),
        **window("fee window", loan.disbursed, view, policy.frr_days),
    }


def of_balances(view: View) -> Reached:
    loan, now = view.loan, view.now
    fees_paid = sum(entry.fees for _, entry in now.rows)
    by_part = {
        part: sum(getattr(each, part) for each in loan.installments)
        - sum(oracle.got(entry, part) for _, entry in now.rows)
        for part in oracle.PARTS
    }
    return {
        "overpaid": now.overpaid > 0,
        "surplus of one part pays another": min(by_part.values()) < 0 < now.total,
        "fees paid beside the schedule": fees_paid > 0 and not loan.carries_fee,
        "tolerance closes the loan": 0 < now.total <= view.policy.tolerance_minor,
        "tolerance settles": view.now.on_book and view.stricter(arrears_tolerance=Decimal(0)).dpd > now.dpd,
    }


def of_closing(view: View) -> Reached:
    loan, now, policy = view.loan, view.now, view.policy
    closing = oracle.closing_date(loan, policy)
    inferred = loan.closed_date is None and closing is not None
    written_off, paid = loan.status == WRITTEN_OFF, any(not each.is_reversed for each in loan.payments)
    closed = closing is not None and closing <= view.day
    undone = any(
        closing is not None and each.paid_on <= closing <= view.day and each.reversed_by(view.day)
        for each in loan.payments
    )
    return {
        "closes today": closing == view.day,
        "closes tomorrow or later": closing is not None and closing > view.day,
        "closed with a balance": closed and now.total > policy.tolerance_minor and not now.on_book,
        "closed without date": inferred and not written_off,
        "written off on a date": written_off and loan.closed_date is not None and closed,
        "written off without date": written_off and inferred,
        "closing from the last payment": inferred and paid,
        "closing from maturity": inferred and not paid and loan.maturity_date is not None,
        "closing from the term": inferred and not paid and loan.maturity_date is None,
        "reopened": now.reopened,
        "reopened on the book": now.reopened and now.on_book,
        "written off and not reopened": written_off and undone,
        "paid off though reversed": undone and now.total == 0,
    }


def of_lateness(view: View) -> Reached:
    now, policy, days = view.now, view.policy, view.days
    dues = {each.due_date for each in view.loan.installments}
    plain = view.stricter(calendar="calendar").dpd
    workdays = oracle.stand(view.loan, view.day, oracle.Days(policy, frozenset())).dpd
    return {
        **{f"bucket {name}": now.on_book and oracle.bucket(now.dpd) == name for name in BUCKETS},
        **{f"DPD {dpd}": now.dpd == dpd for dpd in (1, 6, 7, 15, 16, 30, 31, 60, 61, 90, 91)},
        "due today": now.on_book and view.day in dues,
        "due today and late": now.on_book and policy.inclusive and view.day in dues and now.dpd == 1,
        "business days": policy.calendar == "business" and 0 < now.dpd < plain,
        "overdue without a business day": policy.calendar == "business" and now.dpd == 0 < plain,
        "a holiday shortens": policy.calendar == "business" and now.dpd < workdays,
        "a business day's roll": now.on_book and days.roll_start(view.day) != fixed_roll(view),
        "was worse": view.row is not None and now.on_book and view.row["max_dpd_ever"] > now.dpd,
    }


BUCKETS = ("0", "1-6", "7-30", "31-60", "61-90", "90+")


def fixed_roll(view: View) -> date:
    return view.day - timedelta(days=view.policy.roll_days)


def of_first_payment(view: View) -> Reached:
    loan, policy, day = view.loan, view.policy, view.day
    missed = oracle.first_missed(loan, day, view.now.rows, policy)
    if not loan.installments:
        return {}
    last = loan.installments[0].due_date + timedelta(days=policy.first_payment_grace_days)
    waived = sum(entry.credited_waiver for _, entry in view.now.rows if entry.paid_on <= last)
    cash = sum(entry.cash for _, entry in view.now.rows if entry.paid_on <= last)
    paid = oracle.credited_by(view.now.rows, last)
    undone = any(each.paid_on <= last < day and each.reversed_by(day) for each in loan.payments)
    return {
        "first installment undecided": missed is None,
        "decided tomorrow": last == day,
        "decided today": last == day - timedelta(days=1),
        "first installment missed": missed is True,
        "first installment kept": missed is False,
        "first installment waived": missed is False and waived >= loan.installments[0].amount,
        "share reached": policy.share_scaled > 0 and missed is False and cash > 0,
        "share not reached": policy.share_scaled > 0 and missed is True and paid > 0,
        "grace used": missed is False
        and not any(
            entry.cash and entry.paid_on <= loan.installments[0].due_date for _, entry in view.now.rows
        )
        and cash > 0,
        "verdict reopened by a reversal": missed is True and undone,
    }


def of_entries(view: View) -> Reached:
    on_days = [each.paid_on for each in view.loan.payments if each.counts(view.day)]
    unsplit = [each for each, _ in view.now.rows if each.unsplit]
    principal = sum(each.principal for each in view.loan.installments)
    placed = sum(entry.principal for row, entry in view.now.rows if row.unsplit)
    return {
        "two payments on one day": len(set(on_days)) < len(on_days),
        "unsplit": bool(unsplit),
        "two unsplit payments": len(unsplit) > 1,
        "unsplit over several parts": any(
            min(entry.fees, entry.interest, entry.principal) > 0
            for row, entry in view.now.rows
            if row.unsplit
        ),
        "unsplit beyond the schedule": placed > principal,
        "unsplit after split": any(
            other.paid_on < row.paid_on and entry.cash
            for row in unsplit
            for other, entry in view.now.rows
            if not other.unsplit
        ),
    }


def of_reversal(view: View, row: oracle.Payment) -> Reached:
    if not row.is_reversed:
        return {"a date without a reversal": row.reversal_date is not None}
    closing, on = oracle.closing_date(view.loan, view.policy), row.reversal_date
    return {
        "reversed": row.reversed_by(view.day),
        "reversed today": on == view.day,
        "reversed tomorrow": on == view.day + timedelta(days=1),
        "reversed later": on is not None and row.counts(view.day),
        "reversed without a date": on is None,
        "reversed before it was paid": on is not None and on < row.paid_on,
        "reversed on its day": on == row.paid_on,
        "reversed after closing": closing is not None and on is not None and row.paid_on <= closing < on,
        "reversed, paid after closing": closing is not None and closing < row.paid_on,
        **window("reversals", on or row.paid_on, view, view.policy.flow_days),
    }


def of_payment(view: View, row: oracle.Payment) -> Reached:
    counts, kind = row.counts(view.day), row.waiver_type
    return {
        "paid before disbursement": counts and row.paid_on < view.loan.disbursed,
        "backdated": row.is_backdated and row.paid_on <= view.day,
        "paid tomorrow or later": row.paid_on > view.day,
        "penalty paid": counts and row.penalty > 0,
        **{f"waiver of {name}": counts and row.waiver > 0 and kind == name for name in KINDS},
        "fee waiver beside the schedule": counts
        and row.waiver > 0
        and kind == "Fee"
        and not view.loan.carries_fee,
        "waiver alone": counts and row.waiver > 0 and row.amount == 0,
        "float gap": counts and oracle.has_float_gap(row, view.policy),
        "recorded on another day elsewhere": row.created_at is not None
        and row.created_at.astimezone(ZoneInfo(view.policy.time_zone)).date() != row.created_at.date(),
    }


KINDS = ("Interest", "Fee", "Principal", "Penalty")


def of_payment_windows(view: View, row: oracle.Payment) -> Reached:
    policy, first = view.policy, view.day.replace(day=1)
    earning = row.counts(view.day) and row.interest + row.fees > 0
    return {
        **window("entries", row.paid_on, view, policy.flow_days),
        **(window("waivers", row.paid_on, view, policy.waiver_days) if row.waiver else {}),
        **(window("float gap", row.paid_on, view, policy.float_gap_window_days) if row.method else {}),
        "month: first day in": earning and row.paid_on == first,
        "month: last day out": earning and row.paid_on == first - timedelta(days=1),
    }


def of_dues(view: View) -> Reached:
    loan, policy, now, day = view.loan, view.policy, view.now, view.day
    before = oracle.stand(loan, view.days.roll_start(day), view.days)
    middle = oracle.stand(loan, oracle.latest_15th(day), view.days)
    ahead = [(each, (each.due_date - day).days) for each in loan.installments if now.on_book]
    closing = oracle.closing_date(loan, policy)
    recent = [each for each in loan.installments if oracle.within(each.due_date, day, policy.flow_days)]
    on_time = [oracle.settled(each, oracle.credited_by(now.rows, each.due_date), policy) for each in recent]
    found: dict[str, bool] = {}
    for each in loan.installments:
        for rule, yes in window("due installments", each.due_date, view, policy.flow_days).items():
            found[rule] = found.get(rule, False) or yes
    return found | {
        "due tomorrow": any(n == 1 for _, n in ahead),
        "due ahead: last day in": any(n == policy.due_days for _, n in ahead),
        "due ahead: first day out": any(n == policy.due_days + 1 for _, n in ahead),
        "paid ahead in part": any(
            n > 0 and each.cum_due - each.amount < now.credited < each.cum_due for each, n in ahead
        ),
        "on time": any(on_time),
        "not on time": not all(on_time),
        "paid ahead of several": any(a and b for a, b in pairwise(on_time)),
        "due after closing": closing is not None and any(each.due_date > closing for each in recent),
        "rolled": before.early and now.on_book and 7 <= now.dpd <= 30,
        "rolled past 30": before.early and now.dpd > 30,
        "cured": before.early and now.on_book and now.dpd == 0,
        "early, then off the book": before.early and not now.on_book,
        "PAR15 on the 15th": middle.past(15),
        "PAR15 of the 15th gone since": middle.past(15) and not now.past(15),
        "DPD 15 on the 15th": middle.dpd == 15,
    }


def of_rows(case: Case, answer: oracle.Answer) -> Reached:
    snapshots = [row for row in case.frozen if row["snapshot_date"] == oracle.latest_15th(case.as_of)]
    cells = {(row["officer_id"], row["region"], row["branch"]) for row in snapshots}
    loans = [row for row in case.rows["loans"] if row["officer_id"] and row["region"] and row["branch"]]
    return {
        **{f"held {table} {rule}": answer.quarantine.get((table, rule), 0) > 0 for table, rule in BREAKS},
        **{f"finding {name}": count > 0 for name, count in answer.findings.items()},
        "PAR15 frozen": bool(snapshots),
        "PAR15 frozen for another day only": bool(case.frozen) and not snapshots,
        "PAR15 frozen without a loan": any(
            cell not in {(row["officer_id"], row["region"], row["branch"]) for row in loans} for cell in cells
        ),
        "as of a 15th": case.as_of.day == 15,
        "as of a 14th": case.as_of.day == 14,
        "as of a month's end": (case.as_of + timedelta(days=1)).day == 1,
        "as of a month's first": case.as_of.day == 1,
    }


def of_groups(case: Case, answer: oracle.Answer) -> Reached:
    """Every metric with and without evidence, every band, and what a group of cells adds."""
    groups = [*answer.officers.values(), *answer.branches.values(), answer.book]
    metrics = oracle.metrics(dict.fromkeys(oracle.measured(case.policy), 0), case.policy, case.as_of)
    found = {
        f"{name} is null": any(row[name] is None for row in groups) for name in metrics if nullable(name)
    }
    for name in metrics:
        found[f"{name} is known"] = any(row[name] not in (None, "n/a", 0) for row in groups)
    workplaces = Counter(officer for officer, _, _ in answer.cells)
    return found | {
        "an officer in two branches": max(workplaces.values(), default=0) > 1,
        "an officer counted once": answer.book["total_officers"]
        != sum(cell["total_officers"] for cell in answer.cells.values()),
        "unknown branch": ("Unknown", "Unknown") in answer.branches,
        "an idle officer": any(row["total_disbursed_count"] == 0 for row in answer.officers.values()),
        "a cell without active loan has a gap": any(
            cell["float_gap_count"] > 0 == cell["total_officers"] for cell in answer.cells.values()
        ),
        "no reference channel": any(
            row["disbursed_count"] and not row["channel_known_count"] for row in groups
        ),
        "pure and impure": any(0 < purity < 1 for purity in numbers(groups, "channel_purity")),
        "slippage above one": any(value > 1 for value in numbers(groups, "d06_slippage")),
        "purity left out of dqi": not case.policy.dqi_uses_channel_purity,
    }


def nullable(name: str) -> bool:
    return not name.endswith("_band") and name not in ("total_yield", "had_float_gap")


def numbers(rows: list[oracle.Figures], name: str) -> Iterator[float]:
    for row in rows:
        value = row[name]
        if isinstance(value, float | int):
            yield value


def of_ranks(case: Case, answer: oracle.Answer) -> Reached:
    ranks = [row["rank"] for row in answer.officers.values()]
    known = [rank for rank in ranks if rank is not None]
    return {
        "ranked": bool(known),
        "two ranks": len(set(known)) > 1,
        "a tie of ranks": len(set(known)) < len(known),
        "unranked for few loans": any(
            row["rank"] is None and row["risk_score"] is not None for row in answer.officers.values()
        ),
    }
