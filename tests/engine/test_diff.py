"""Worked cases of what changed and why: one lender of two loans, one change at a time."""

from copy import deepcopy
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.diff import diff, figures
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy
from tests import support

DAY = date(2026, 3, 16)
OTHERS = ("L1", "L2")
Told = list[tuple[str | None, str, str, Decimal]]


def day(number: int) -> date:
    return date(2026, 3, number)


def paid(receipt: str, loan: str, on: date, amount: int, **more: Any) -> dict[str, Any]:
    parts = {"payment_amount": amount, "principal_paid": amount, "payment_method": "Cash"}
    return {"repayment_id": receipt, "loan_id": loan, "payment_date": on, **parts, **more}


def lender() -> dict[str, list[dict[str, Any]]]:
    """A and B have a loan of 900 each, three installments of 300 due on 1, 8 and 15 March; A's paid the first one."""
    loans = [
        {
            "loan_id": loan,
            "officer_id": officer,
            "region": "R",
            "branch": branch,
            "loan_amount": 900,
            "disbursement_date": date(2026, 2, 1),
            "status": "Active",
        }
        for loan, officer, branch in (("L1", "A", "X"), ("L2", "B", "Y"))
    ]
    schedule = [
        {"loan_id": loan, "installment_number": k + 1, "due_date": day(1 + 7 * k), "principal_due": 300}
        for loan in OTHERS
        for k in range(3)
    ]
    return {"loans": loans, "loan_schedule": schedule, "repayments": [paid("R1", "L1", day(1), 300)]}


def book(rows: support.Rows, on: date = DAY, policy: Policy | None = None) -> Book:
    made, _ = support.book_of(rows, on, policy or Policy())
    return made


def causes(before: Book, after: Book, by: str, of: str, figure: str) -> Told:
    """Loan, cause, event and effect of one figure's change; money in units."""
    told = figures.figures(diff(before, after), by, [figure]).filter(of=of)
    scale = 100 if dict(load().columns)[figure] == "money" else 1
    rows = told.select("loan_id", "cause", "event", "effect").rows()
    return [(loan, cause, event, effect / scale) for loan, cause, event, effect in rows]


def changed(**tables: Any) -> support.Rows:
    """The lender with one row of a table set otherwise: table={place: {column: value}}."""
    rows = deepcopy(lender())
    for table, edits in tables.items():
        for place, edit in edits.items():
            rows[table][place].update(edit)
    return rows


def with_payment(*payments: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows = deepcopy(lender())
    rows["repayments"] += payments
    return rows


def test_nothing_changed() -> None:
    assert figures.figures(diff(book(lender()), book(lender())), "officer").is_empty()


def test_a_late_payment() -> None:
    after = book(with_payment(paid("R2", "L2", day(14), 300)))
    told = [("L2", "payment_late", "payment R2 of 2026-03-14", Decimal(-300))]
    assert causes(book(lender()), after, "officer", "B", "total_portfolio") == told
    assert causes(book(lender()), after, "branch", "R / Y", "total_portfolio") == told
    assert causes(book(lender()), after, "officer", "A", "total_portfolio") == []


def test_a_payment_of_the_day_is_new() -> None:
    after = book(with_payment(paid("R2", "L2", DAY, 300)))
    told = [("L2", "payment_new", "payment R2 of 2026-03-16", Decimal(-300))]
    assert causes(book(lender()), after, "officer", "B", "total_portfolio") == told


def test_two_payments_each_have_their_own_effect() -> None:
    after = book(with_payment(paid("R2", "L2", day(2), 300), paid("R3", "L2", day(3), 300)))
    assert causes(book(lender()), after, "book", "book", "par7_principal") == [
        ("L2", "payment_late", "payment R3 of 2026-03-03", Decimal(-600)),
        ("L2", "payment_late", "payment R2 of 2026-03-02", Decimal(-300)),
    ]


def test_a_reversal() -> None:
    after = book(changed(repayments={0: {"is_reversed": True, "reversal_date": day(10)}}))
    event = "payment R1 of 2026-03-01 reversed on 2026-03-10"
    assert causes(book(lender()), after, "officer", "A", "total_portfolio") == [
        ("L1", "payment_reversed", event, Decimal(300))
    ]
    assert causes(book(lender()), after, "officer", "A", "first_miss_count") == [
        ("L1", "payment_reversed", event, Decimal(1))
    ]


def test_an_edit_and_a_reversal_are_two_steps() -> None:
    edit = {"payment_amount": 200, "principal_paid": 200, "is_reversed": True, "reversal_date": day(10)}
    assert causes(book(lender()), book(changed(repayments={0: edit})), "officer", "A", "total_portfolio") == [
        ("L1", "payment_reversed", "payment R1 of 2026-03-01 reversed on 2026-03-10", Decimal(200)),
        (
            "L1",
            "payment_edited",
            "payment R1 of 2026-03-01: amount 300.00 -> 200.00, principal 300.00 -> 200.00",
            Decimal(100),
        ),
    ]


def test_a_payment_moved_to_another_loan() -> None:
    after = book(changed(repayments={0: {"loan_id": "L2"}}))
    assert causes(book(lender()), after, "officer", "A", "total_portfolio") == [
        ("L1", "payment_edited", "payment R1 of 2026-03-01 moved to loan L2", Decimal(300))
    ]
    assert causes(book(lender()), after, "officer", "B", "total_portfolio") == [
        ("L2", "payment_edited", "payment R1 of 2026-03-01 moved from loan L1", Decimal(-300))
    ]


def test_a_payment_removed() -> None:
    after = book({**lender(), "repayments": []})
    assert causes(book(lender()), after, "officer", "A", "total_portfolio") == [
        ("L1", "payment_removed", "payment R1 of 2026-03-01", Decimal(300))
    ]


def test_a_loan_reassigned_between_officers_of_different_branches() -> None:
    before, after = book(lender()), book(changed(loans={0: {"officer_id": "B", "branch": "Y"}}))
    event = "officer_id A -> B, branch X -> Y"
    for by, loser, winner in (("officer", "A", "B"), ("branch", "R / X", "R / Y")):
        for of, effect in ((loser, -600), (winner, 600)):
            told = [("L1", "loan_reassigned", event, Decimal(effect))]
            assert causes(before, after, by, of, "total_portfolio") == told
    for by, of in (("region", "R"), ("book", "book")):
        assert causes(before, after, by, of, "total_portfolio") == []
    assert causes(before, after, "book", "book", "total_officers") == [
        (None, "officers_counted", "-A", Decimal(-1))
    ]


def test_a_loan_reassigned_and_then_paid_pays_for_its_new_officer() -> None:
    rows = changed(loans={0: {"officer_id": "B"}})
    after = book({**rows, "repayments": [*rows["repayments"], paid("R2", "L1", day(9), 100)]})
    assert causes(book(lender()), after, "officer", "B", "total_portfolio") == [
        ("L1", "loan_reassigned", "officer_id A -> B", Decimal(600)),
        ("L1", "payment_late", "payment R2 of 2026-03-09", Decimal(-100)),
    ]


def test_a_loan_that_came_and_one_that_went() -> None:
    alone = {name: [row for row in rows if row["loan_id"] != "L1"] for name, rows in lender().items()}
    came = causes(book(alone), book(lender()), "book", "book", "total_portfolio")
    assert came == [
        ("L1", "loan_new", "loan", Decimal(900)),
        ("L1", "payment_late", "payment R1 of 2026-03-01", Decimal(-300)),
    ]
    went = causes(book(lender()), book(alone), "book", "book", "total_portfolio")
    assert went == [("L1", "loan_removed", "loan", Decimal(-600))]


def test_a_loan_edited_and_a_schedule_changed() -> None:
    after = book(changed(loans={1: {"loan_amount": 1000}}, loan_schedule={5: {"principal_due": 400}}))
    assert causes(book(lender()), after, "officer", "B", "total_disbursed_amount") == [
        ("L2", "loan_edited", "amount 900.00 -> 1000.00", Decimal(100))
    ]
    assert causes(book(lender()), after, "officer", "B", "total_portfolio") == [
        ("L2", "schedule_changed", "installments 3", Decimal(100))
    ]


def test_a_row_held_back_and_released() -> None:
    bad = book(changed(repayments={0: {"principal_paid": 299}}))
    event = "payment R1 of 2026-03-01 (split_mismatch)"
    assert causes(book(lender()), bad, "officer", "A", "total_portfolio") == [
        ("L1", "held_back", event, Decimal(300))
    ]
    assert causes(bad, book(lender()), "officer", "A", "total_portfolio") == [
        ("L1", "released", event, Decimal(-300))
    ]


def test_a_loan_and_an_installment_held_back() -> None:
    lost = book(changed(loans={0: {"status": "Lost"}}))
    assert causes(book(lender()), lost, "officer", "A", "total_portfolio") == [
        ("L1", "held_back", "loan (unknown_status)", Decimal(-600))
    ]
    owed = book(changed(loan_schedule={5: {"principal_due": -1}}))
    assert causes(book(lender()), owed, "officer", "B", "total_portfolio") == [
        ("L2", "held_back", "installments 3", Decimal(-300))
    ]


def test_time_alone() -> None:
    before, after = book(lender(), day(8)), book(lender(), day(9))
    told = [("L1", "day_passed", "2026-03-08 -> 2026-03-09", Decimal(600))]
    assert causes(before, after, "officer", "A", "dpd_1to6_balance") == told


def test_another_policy() -> None:
    after = book(lender(), policy=Policy(flow_days=10))
    assert causes(book(lender()), after, "officer", "A", "total_entries") == [
        ("L1", "policy_changed", "flow_days 30 -> 10", Decimal(-1))
    ]


def test_payments_dated_later_tell_when_a_loan_without_a_closing_date_ended() -> None:
    ended = changed(loans={0: {"status": "Closed"}})
    late = {**ended, "repayments": [*ended["repayments"], paid("R2", "L1", DAY + timedelta(30), 1)]}
    assert causes(book(ended), book(late), "officer", "A", "total_portfolio") == [
        ("L1", "dated_later", "1 payments", Decimal(600))
    ]


def test_a_ratio_is_shared_by_its_numerator_and_its_denominator() -> None:
    """FIMR was 1 of 2. L1's payment is reversed: 2 of 2. L3 came, a miss until it was paid: 2 of 3.

    The numerator goes from 1 to 2 over 2, +1/2 per miss; then the denominator from 2 to 3, 2/3 - 1.
    """
    rows = with_payment(paid("R3", "L3", day(1), 10))
    rows["repayments"][0].update(is_reversed=True, reversal_date=day(10))
    rows["loans"].append({**rows["loans"][1], "loan_id": "L3"})
    rows["loan_schedule"].append({**rows["loan_schedule"][3], "loan_id": "L3"})
    told = [row[:2] + row[3:] for row in causes(book(lender()), book(rows), "book", "book", "fimr")]
    assert told == [
        ("L1", "payment_reversed", Decimal("0.5")),
        ("L3", "payment_late", Decimal("-0.5")),
        ("L3", "loan_new", Decimal("0.166666666667")),
    ]


def test_a_score_is_told_unrounded_and_its_rounding_by_name() -> None:
    before, after = book(lender()), book(with_payment(paid("R2", "L2", day(1), 10)))
    told = figures.figures(diff(before, after), "book", ["risk_score"])
    assert told.select("cause", "effect").rows() == [
        ("payment_late", Decimal("7.5")),
        ("rounding", Decimal("-0.5")),
    ]
    assert told["change"].unique().to_list() == [7]


def test_no_evidence_has_no_number() -> None:
    before, after = book(lender(), date(2026, 1, 1)), book(lender())
    told = figures.figures(diff(before, after), "book", ["fimr"])
    assert told.select("before", "after", "change", "cause", "event", "effect").rows() == [
        (None, Decimal("0.5"), None, "no_evidence", "no_disbursals", None)
    ]


def test_an_unknown_figure_is_answered_with_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean fimr"):
        figures.figures(diff(book(lender()), book(lender())), "book", ["fmir"])


def test_effects_on_money_stay_exact_beyond_what_floats_hold() -> None:
    """2**53 + 1 is no float."""
    great = 90_071_992_547_409
    rows = lender()
    rows["loans"] = [{**rows["loans"][0], "loan_amount": 1}]
    assert great * 100 + 93 == 2**53 + 1
    payments = [
        {
            "repayment_id": f"I{n}",
            "loan_id": "L1",
            "payment_date": day(2),
            "payment_amount": Decimal("900719925474.09"),
            "interest_paid": Decimal("900719925474.09"),
        }
        for n in range(101)
    ]
    before, after = book({**rows, "repayments": []}), book({**rows, "repayments": payments})
    told = figures.figures(diff(before, after), "book", ["total_yield"])
    assert told["change"].first() == 101 * 90071992547409
    assert set(told["effect"]) == {Decimal(90071992547409)}
    assert isinstance(told.schema["effect"], pl.Decimal)
