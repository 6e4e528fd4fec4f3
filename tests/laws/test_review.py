"""Review rules find exactly what a loop over every loan and payment finds, and show the same evidence."""

from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.review.hits import hits
from loanmetrics.engine.review.rule import rules
from loanmetrics.engine.review.tally import review
from loanmetrics.engine.run import GROUPS
from loanmetrics.policy import Policy
from tests import oracle, support
from tests.laws.sample import usable
from tests.strategies import TABLES, Case, Rows, fixed

RULES = tuple(rules())
CASES = fixed(36)
EVIDENCE = ("amount", "seen_on", "days", "dpd_before", "dpd_after", "arrears", "other_repayment_ids")
CHANGES: list[dict[str, Any]] = [
    {"review_days": 400, "review_token_share": Decimal(1), "review_month_end_days": 10},
    {"review_backdated_days": 0, "review_duplicate_days": 7, "review_token_share": Decimal("0.5")},
    {"review_days": 10, "review_duplicate_days": 0, "review_month_end_days": 1},
    {"review_days": 120, "review_token_share": Decimal("0.9"), "review_duplicate_days": 30},
]


@dataclass(frozen=True)
class Look:
    """One opportunity; ``evidence`` only of a hit."""

    loan: oracle.Loan
    payment: oracle.Payment
    evidence: dict[str, Any] | None


Looks = Iterator[Look]


def brings_cash(payment: oracle.Payment) -> bool:
    return payment.unsplit or payment.fees + payment.interest + payment.principal > 0


def reviewed(loan: oracle.Loan, day: date, days: oracle.Days) -> list[oracle.Payment]:
    inside = [it for it in loan.payments if oracle.within(it.paid_on, day, days.policy.review_days)]
    return sorted(filter(brings_cash, inside), key=in_order)


def in_order(payment: oracle.Payment) -> tuple[date, str]:
    return payment.paid_on, payment.repayment_id


def month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def backdated(loan: oracle.Loan, day: date, days: oracle.Days) -> Looks:
    for payment in reviewed(loan, day, days):
        created = payment.created_at
        recorded = created and created.astimezone(ZoneInfo(days.policy.time_zone)).date()
        lag = (recorded - payment.paid_on).days if recorded else None
        if recorded is None and not payment.is_backdated:
            continue
        late = lag is not None and lag > days.policy.review_backdated_days
        found = {"amount": payment.amount, "seen_on": recorded, "days": lag}
        yield Look(loan, payment, found if late or payment.is_backdated else None)


def duplicate(loan: oracle.Loan, day: date, days: oracle.Days) -> Looks:
    standing = sorted((it for it in loan.payments if it.counts(day) and brings_cash(it)), key=in_order)
    for place, payment in enumerate(standing):
        if not oracle.within(payment.paid_on, day, days.policy.review_days):
            continue
        before = [
            it
            for it in standing[:place]
            if it.amount == payment.amount
            and (payment.paid_on - it.paid_on).days <= days.policy.review_duplicate_days
        ]
        found = before and {
            "amount": payment.amount,
            "seen_on": before[-1].paid_on,
            "days": (payment.paid_on - before[-1].paid_on).days,
            "other_repayment_ids": before[-1].repayment_id,
        }
        yield Look(loan, payment, found or None)


def reversed_after_month_end(loan: oracle.Loan, day: date, days: oracle.Days) -> Looks:
    for payment in reviewed(loan, day, days):
        end, undone = month_end(payment.paid_on), payment.reversal_date if payment.is_reversed else None
        if end < day:
            found = undone and end < undone <= day
            evidence = {"amount": payment.amount, "seen_on": undone, "days": ((undone or end) - end).days}
            yield Look(loan, payment, evidence if found else None)


def month_end_token(loan: oracle.Loan, day: date, days: oracle.Days) -> Looks:
    inside = [it for it in reviewed(loan, day, days) if it.counts(it.paid_on)]
    for on, together in groupby(inside, lambda it: it.paid_on):
        if (month_end(on) - on).days >= days.policy.review_month_end_days:
            continue
        paid = list(together)
        before, after = oracle.stand(loan, on - timedelta(1), days), oracle.stand(loan, on, days)
        if before.arrears <= 0:
            continue
        credited = sum(entry.credited for _, entry in after.rows if entry.paid_on == on)
        little = credited <= Fraction(days.policy.review_token_share) * before.arrears
        found = {
            "amount": credited,
            "seen_on": on,
            "days": before.dpd - after.dpd,
            "dpd_before": before.dpd,
            "dpd_after": after.dpd,
            "arrears": before.arrears,
            "other_repayment_ids": ", ".join(it.repayment_id for it in paid[1:]) or None,
        }
        yield Look(loan, paid[0], found if little and after.on_book and after.dpd < before.dpd else None)


PLAIN: dict[str, Callable[[oracle.Loan, date, oracle.Days], Looks]] = {
    it.__name__: it for it in (backdated, duplicate, month_end_token, reversed_after_month_end)
}


def told(facts: oracle.Facts, day: date, days: oracle.Days) -> dict[str, list[Look]]:
    return {
        name: [look for loan in facts.loans.values() for look in plain(loan, day, days)]
        for name, plain in PLAIN.items()
    }


def assert_alike(book: Book, facts: oracle.Facts) -> Counter[str]:
    """The engine's rates and hits are the loop's; how many hits there were."""
    looks = told(facts, book.as_of, oracle.Days(book.policy, facts.holidays))
    seen: Counter[str] = Counter()
    table, found = review(book, RULES), hits(book, RULES)
    for rule in RULES:
        count = Counter(look.loan.officer_id for look in looks[rule])
        hit = Counter(look.loan.officer_id for look in looks[rule] if look.evidence)
        loans = Counter(
            officer for officer, _ in {(it.loan.officer_id, it.loan.loan_id) for it in looks[rule]}
        )
        rows = table.filter(rule=rule).select("officer_id", "opportunities", "hits", "loans").rows()
        assert {row[0]: row[1:] for row in rows} == {it: (count[it], hit[it], loans[it]) for it in count}
        mine = {
            (look.loan.loan_id, look.payment.repayment_id, look.payment.paid_on): look.evidence
            for look in looks[rule]
            if look.evidence
        }
        theirs = {
            (row["loan_id"], row["repayment_id"], row["payment_date"]): {
                name: row[name] for name in EVIDENCE if row[name] is not None
            }
            for row in found.filter(rule=rule).iter_rows(named=True)
        }
        assert theirs == {
            key: {name: value for name, value in evidence.items() if value is not None}
            for key, evidence in mine.items()
        }
        seen[rule] += len(mine)
    assert found["seen"].null_count() == 0
    return seen


def gamed(rows: Rows) -> Rows:
    """The rows with some payments entered twice."""
    again = [
        row
        | {
            "repayment_id": f"again-{row['repayment_id']}",
            "payment_date": row["payment_date"] + timedelta(place % 2),
        }
        for place, row in enumerate(rows["repayments"])
        if place % 3 == 0 and row.get("payment_date")
    ]
    return {**rows, "repayments": [*rows["repayments"], *again]}


def far_behind(seed: int, as_of: date) -> Rows:
    """Weekly loans that owe much and pay little, about the ends of months; some of it waived, some of it undone."""
    dice = Random(seed)
    rows: Rows = {name: [] for name in TABLES}
    for loan in map(str, range(20)):
        start = as_of - timedelta(dice.randrange(60, 140))
        own = {"loan_id": loan, "officer_id": dice.choice("AB"), "loan_amount": Decimal(12)}
        rows["loans"].append({**own, "disbursement_date": start})
        for number in range(12):
            due = {"installment_number": number, "due_date": start + timedelta(7 * number + 7)}
            rows["loan_schedule"].append({"loan_id": loan, **due, "principal_due": Decimal(1)})
        for _ in range(dice.randrange(1, 7)):
            day = month_end(start + timedelta(dice.randrange(30, 60))) + timedelta(dice.randrange(-4, 2))
            undone = {"is_reversed": True, "reversal_date": day + timedelta(dice.randrange(4))}
            marks: dict[str, Any] = dice.choice([{}, {}, {"waiver_amount": Decimal("0.5")}, undone])
            amount = Decimal(dice.choice(["1", "0.5", "2", "0.25"]))
            payment = {"repayment_id": f"{dice.random()}", "payment_date": day, "payment_amount": amount}
            rows["repayments"].append({"loan_id": loan, **payment, **marks})
    return rows


def made(case: Case, number: int) -> tuple[Book, oracle.Facts]:
    policy = msgspec.structs.replace(case.policy, **CHANGES[number % len(CHANGES)])
    rows = gamed(case.rows) if number % 3 else case.rows
    book, _ = support.book_of(rows, case.as_of, policy)
    return Book(support.shuffled(book.facts, number), book.as_of, policy), oracle.read(rows, policy)


def test_generated_books_and_every_rule_is_met() -> None:
    seen: Counter[str] = Counter(dict.fromkeys(RULES, 0))
    for number, case in enumerate(CASES):
        seen.update(assert_alike(*made(case, number)))
    for number, change in enumerate(CHANGES):
        case = Case(far_behind(number, date(2026, 6, 15)), date(2026, 6, 15), Policy(**change))
        seen.update(assert_alike(*made(case, number)))
    assert set(seen) == set(PLAIN)
    assert min(seen.values()) > 4, seen


@pytest.fixture(scope="module")
def sample() -> Book:
    return Book(support.sample_facts(), support.SAMPLE_DAY)


def test_the_sample(sample: Book) -> None:
    seen = assert_alike(sample, usable())
    assert sum(seen.values()) > 10


def test_shards_and_groups_add_up(sample: Book) -> None:
    other = Book(support.resharded(sample.facts, 700), sample.as_of)
    whole, found = review(sample, RULES), hits(sample, RULES)
    assert review(other, RULES).equals(whole)
    assert hits(other, RULES).equals(found)
    counted = ["opportunities", "hits"]
    book = review(sample, RULES, GROUPS["book"]).sort("rule").select("rule", *counted)
    for by in ("officer", "branch", "region"):
        parts = review(sample, RULES, GROUPS[by]).group_by("rule").agg(pl.col(counted).sum()).sort("rule")
        assert parts.equals(book)
    assert (
        found.group_by("rule").len("hits").sort("rule").rows()
        == book.filter(pl.col("hits") > 0).select("rule", pl.col("hits").cast(pl.UInt32)).rows()
    )


def test_an_empty_book_has_nothing_to_review(sample: Book) -> None:
    book, _ = support.book_of({}, sample.as_of, Policy())
    assert review(book, RULES).is_empty()
    assert hits(book, RULES).is_empty()
    early = Book(sample.facts, date(2020, 1, 1))
    assert review(early, RULES).is_empty()
    assert hits(early, RULES).is_empty()
