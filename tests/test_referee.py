"""Referee, engine and oracle share no code and must agree on every figure, on real life and on nonsense."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics import referee
from loanmetrics.engine import run
from loanmetrics.engine.book import Book, Facts
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import states
from loanmetrics.policy import Policy
from tests import oracle, support

KEY = ["officer_id", "region", "branch"]
SHARDED = ("loans", "schedule", "repayments")
SINGLE = ("cells", "officers", "channels", "methods", "holidays", "par15")
START = date(2026, 1, 1)
LENDERS = {
    "default": Policy(),
    "inclusive": Policy(
        dpd_count="inclusive", arrears_tolerance=Decimal("50.00"), first_payment_grace_days=3
    ),
    "business days": Policy(calendar="business", time_zone="Africa/Lagos"),
    "business days inclusive": Policy(calendar="business", dpd_count="inclusive", weekend=(7,)),
    "share": Policy(first_payment_share=Decimal("0.75"), arrears_tolerance=Decimal(1)),
    "names": Policy(
        final_statuses=("Defaulted",), cash_methods=("Cash", "Transfer"), pure_channels=("Agent", "Direct")
    ),
    "second revision": Policy(revisions={"risk_score": {2: date(2026, 6, 1)}}),
    "windows": Policy(
        cohort_days=200,
        frr_days=77,
        flow_days=61,
        roll_days=11,
        due_days=20,
        waiver_days=100,
        float_gap_window_days=50,
        float_gap_days=0,
    ),
}


@contextmanager
def _asked(facts: Facts) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for name in SHARDED:
            whole = pl.concat([getattr(shard, name).collect() for shard in facts.shards])
            connection.register(name, whole.to_arrow())
        for name in SINGLE:
            connection.register(name, getattr(facts, name).to_arrow())
        yield connection


def _assert_agreed(facts: Facts, as_of: date, policy: Policy) -> None:
    book = Book(facts, as_of, policy)
    with _asked(facts) as connection:
        theirs = referee.cells(connection, as_of, policy)
        theirs_by_loan = referee.loans(connection, as_of, policy)
    _assert_same(run.cells(book), theirs, KEY)
    _assert_same(states(book).select(theirs_by_loan.columns), theirs_by_loan, ["loan_id"])


def _assert_same(ours: pl.DataFrame, theirs: pl.DataFrame, key: list[str]) -> None:
    same = {"check_dtypes": False, "check_exact": True, "check_column_order": False}
    assert_frame_equal(ours.sort(key), theirs.sort(key), **same)


@pytest.mark.parametrize("policy", LENDERS.values(), ids=LENDERS)
@pytest.mark.parametrize("as_of", [date(2026, 2, 14), support.SAMPLE_DAY], ids=str)
def test_the_sample(as_of: date, policy: Policy) -> None:
    _assert_agreed(support.sample_facts(), as_of, policy)


def test_every_measure_of_the_catalogue_is_made_by_the_referee_too() -> None:
    with _asked(support.sample_facts()) as connection:
        cells = referee.cells(connection, support.SAMPLE_DAY, Policy())
    assert set(load().measures) - set(cells.columns) == set(), "loanmetrics/referee.sql: cell_measures"


@pytest.mark.parametrize("seed", range(30))
def test_a_book_of_nonsense(seed: int) -> None:
    dice = Random(seed)
    policy, as_of, rows = _policy(dice), _day(dice, START, 0, 110), _rows(dice)
    facts, _ = support.prepared(support.frames(rows), policy)
    _assert_agreed(facts, as_of, policy)
    with _asked(facts) as connection:
        cells = referee.cells(connection, as_of, policy).to_dicts()
    names = oracle.measured(policy)
    found = {tuple(row[name] for name in KEY): {name: row[name] for name in names} for row in cells}
    assert found == oracle.evaluate(rows, as_of, policy).cells


def test_a_frozen_15th_is_used_whole() -> None:
    facts = support.sample_facts()
    rows = {
        "snapshot_day": [(date(2026, 6, 15) - date(1970, 1, 1)).days] * 2,
        "officer_id": ["gone", "O0001"],
    }
    rows |= {"region": ["Lagos"] * 2}
    rows |= {"branch": ["Ikeja"] * 2, "exposure": [700, 1], "loans": [1, 1]}
    types = {"snapshot_day": pl.Int32, "exposure": pl.Int64, "loans": pl.Int64}
    with _asked(facts) as connection:
        connection.register("par15", pl.DataFrame(rows, schema_overrides=types).to_arrow())
        cells = referee.cells(connection, date(2026, 6, 20), Policy())
    assert cells["par15_mid_month"].sum() == 701
    assert cells.filter(officer_id="gone").select("total_officers", "par15_mid_month").row(0) == (0, 700)


def _rows(dice: Random) -> dict[str, list[dict[str, Any]]]:
    loans = [_loan(dice, number) for number in range(dice.randint(1, 25))]
    return {
        "loans": loans,
        "loan_schedule": [row for loan in loans if dice.random() < 0.8 for row in _installments(dice, loan)],
        "repayments": [
            _repayment(dice, loan, number) for loan in loans for number in range(dice.randint(0, 6))
        ],
        "officers": [
            {"officer_id": name, "primary_channel": dice.choice([None, "Agent", "Nowhere"])} for name in "ABD"
        ],
        "holidays": [{"holiday_date": day} for day in {_day(dice, START, 0, 80) for _ in range(6)}],
    }


def _day(dice: Random, start: date, low: int, high: int) -> date:
    return start + timedelta(dice.randint(low, high))


def _money(dice: Random) -> Decimal:
    return dice.choice([0, 0, 1, 5, 10, 33, 100]) + dice.choice(
        [Decimal(0), Decimal("0.01"), Decimal("0.50")]
    )


def _loan(dice: Random, number: int) -> dict[str, Any]:
    disbursed = _day(dice, START, 0, 60)
    return {
        "loan_id": f"L{number}",
        "officer_id": dice.choice([None, *"ABC"]),
        "region": dice.choice([None, "R"]),
        "branch": dice.choice([None, "X", "Y"]),
        "loan_amount": 1 + _money(dice),
        "disbursement_date": disbursed,
        "maturity_date": dice.choice([None, _day(dice, disbursed, 0, 60)]),
        "loan_term_days": dice.choice([None, 7, 45]),
        "interest_rate": dice.choice([None, Decimal("0.15"), Decimal("1.234567")]),
        "fee_amount": dice.choice([None, Decimal(7)]),
        "channel": dice.choice([None, "Direct", "Agent", "Web"]),
        "status": dice.choice([None, "Active", "Closed", "Defaulted", "Written Off"]),
        "closed_date": dice.choice([None, None, _day(dice, disbursed, 0, 60)]),
    }


def _installments(dice: Random, loan: dict[str, Any]) -> list[dict[str, Any]]:
    with_fee = dice.random() < 0.6
    return [
        {
            "loan_id": loan["loan_id"],
            "installment_number": number,
            "due_date": _day(dice, loan["disbursement_date"], -2, 50),
            "principal_due": _money(dice),
            "interest_due": dice.choice([None, _money(dice)]),
            "fee_due": _money(dice) if with_fee else None,
        }
        for number in range(dice.randint(1, 5))
    ]


def _repayment(dice: Random, loan: dict[str, Any], number: int) -> dict[str, Any]:
    paid_on = _day(dice, loan["disbursement_date"], -3, 60)
    parts = [_money(dice) for _ in range(4)] if dice.random() < 0.6 else [None] * 4
    entered = datetime(paid_on.year, paid_on.month, paid_on.day, dice.choice([0, 12, 23]), 30, tzinfo=UTC)
    return {
        "repayment_id": f"P{dice.randint(0, 9)}-{loan['loan_id']}-{number}",
        "loan_id": loan["loan_id"],
        "payment_date": paid_on,
        "payment_amount": sum(part for part in parts if part is not None) or _money(dice),
        **dict(zip(("principal_paid", "interest_paid", "fees_paid", "penalty_paid"), parts, strict=True)),
        "payment_method": dice.choice([None, "Cash", "Transfer"]),
        "is_backdated": dice.choice([None, True, False]),
        "is_reversed": dice.choice([None, False, False, True]),
        "reversal_date": dice.choice([None, _day(dice, paid_on, -2, 20)]),
        "waiver_amount": dice.choice([None, _money(dice)]),
        "waiver_type": dice.choice([None, "Interest", "Fee", "Principal", "Penalty"]),
        "created_at": dice.choice([None, entered + timedelta(dice.randint(-1, 4))]),
    }


def _policy(dice: Random) -> Policy:
    return Policy(
        time_zone=dice.choice(["UTC", "Africa/Lagos", "America/New_York"]),
        arrears_tolerance=Decimal(dice.choice(["0", "0", "0.5", "10"])),
        dpd_count=dice.choice(["exclusive", "inclusive"]),
        calendar=dice.choice(["calendar", "business"]),
        weekend=dice.choice([(6, 7), (), (5,)]),
        final_statuses=dice.choice([("Closed", "Written Off"), (), ("Defaulted",)]),
        first_payment_grace_days=dice.choice([0, 3]),
        first_payment_share=Decimal(dice.choice(["0", "0.5", "1"])),
        cohort_days=dice.choice([90, 20]),
        frr_days=dice.choice([365, 30]),
        flow_days=dice.choice([30, 10]),
        roll_days=dice.choice([7, 3]),
        due_days=dice.choice([7, 20]),
        waiver_days=dice.choice([7, 40]),
        float_gap_window_days=dice.choice([7, 30]),
        float_gap_days=dice.choice([0, 1]),
        cash_methods=dice.choice([("Cash",), ("Cash", "Transfer"), ()]),
        pure_channels=dice.choice([("Direct",), ("Web", "Agent"), ()]),
        revisions=dice.choice([{}, {"risk_score": {2: date(2026, 3, 1)}}]),
    )
