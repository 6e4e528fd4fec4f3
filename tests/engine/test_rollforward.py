"""From one day's figures to another's: every kind of thing that becomes of a loan, on books that fit in the head."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from loanmetrics.engine import run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import derived_columns, load
from loanmetrics.engine.diff.figures import figures
from loanmetrics.engine.mix import mix_and_rate, ratio_of
from loanmetrics.engine.rollforward import MOVES, is_stock, rollforward
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy
from tests import support
from tests.engine.test_diff import day, lender, paid, with_payment

CATALOGUE = load()
RATIO = ("overdue_15d_amount", "total_portfolio")
PORTFOLIO, LATE = "total_portfolio", "par7_principal"


def book(rows: support.Rows, on: date, policy: Policy = Policy()) -> Book:
    made, _ = support.book_of(rows, on, policy)
    return made


def moves(
    rows: support.Rows, first: date, last: date, figure: str, of: str = "B", policy: Policy = Policy()
) -> dict[str, Decimal]:
    """What each cause did to a figure of an officer; money in units. Closing less opening is their sum."""
    after = book(rows, last, policy)
    made = rollforward(Book(after.facts, first, after.policy), after)
    told = figures(made, "officer", [figure]).filter(of=of)
    scale = 100 if dict(derived_columns())[figure] == "money" else 1
    by_cause = told.group_by("cause").agg(pl.col("effect").sum())
    found = {cause: effect / scale for cause, effect in by_cause.iter_rows()}
    assert sum(found.values()) * scale == sum(told["change"].unique())
    return found


def with_loan(**edit: Any) -> support.Rows:
    rows = lender()
    rows["loans"][1].update(edit)
    return rows


def test_a_loan_falls_behind_and_then_rolls() -> None:
    assert moves(lender(), day(1), day(5), "par1_principal") == {"fell_behind": 900}
    assert moves(lender(), day(5), day(12), LATE) == {"rolled_worse": 900}
    assert moves(lender(), day(5), day(12), "dpd_1to6_balance") == {"rolled_worse": -900}


def test_a_payment_within_arrears() -> None:
    rows = with_payment(paid("R2", "L2", day(14), 200))
    assert moves(rows, day(12), day(16), LATE) == {"paid": -200}
    assert moves(rows, day(12), day(16), PORTFOLIO) == {"paid": -200}


def test_a_loan_is_cured_or_improves() -> None:
    rows = with_payment(paid("R2", "L2", day(20), 900 - 1), paid("R3", "L2", day(21), 1))
    assert moves(rows, day(12), day(21), LATE) == {"paid_off": -900}
    rows = with_payment(paid("R2", "L2", day(14), 600))
    assert moves(rows, day(12), day(14), LATE) == {"cured": -900}
    rows = with_payment(paid("R2", "L2", day(12), 300))
    assert moves(rows, day(10), day(12), LATE) == {"improved": -900}
    assert moves(rows, day(10), day(12), "dpd_1to6_balance") == {"improved": 600}


def test_a_loan_leaves_the_book() -> None:
    rows = with_payment(paid("R2", "L2", day(12), 900))
    assert moves(rows, day(10), day(16), PORTFOLIO) == {"paid_off": -900}
    lost = with_loan(status="Written Off", closed_date=day(14))
    assert moves(lost, day(10), day(16), PORTFOLIO) == {"written_off": -900}
    assert moves(lost, day(10), day(16), LATE) == {"written_off": -900}


def test_a_loan_comes_back() -> None:
    undone = {**paid("R2", "L2", day(1), 900), "is_reversed": True, "reversal_date": day(10)}
    assert moves(with_payment(undone), day(8), day(12), PORTFOLIO) == {"reopened": 900}


def test_a_loan_owes_more_again() -> None:
    undone = {**paid("R2", "L2", day(1), 100), "is_reversed": True, "reversal_date": day(10)}
    assert moves(with_payment(undone), day(8), day(12), PORTFOLIO) == {"grew": 100}


def test_a_loan_is_disbursed() -> None:
    rows = with_loan(disbursement_date=day(10))
    assert moves(rows, day(8), day(12), PORTFOLIO) == {"disbursed": 900}
    assert moves(rows, day(8), day(12), "total_disbursed_count") == {"disbursed": 1}


SECOND = Policy(revisions={"risk_score": {2: day(10)}})


def test_a_loan_ages_and_is_paid() -> None:
    since = "days_since_repayment"
    assert moves(lender(), day(8), day(12), "loan_age_days", policy=SECOND) == {"aged": 4}
    rows = with_payment(paid("R2", "L2", day(11), 100))
    before = moves(rows, day(8), day(10), since, policy=SECOND)
    assert before == {"aged": 2}
    assert list(moves(rows, day(10), day(12), since, policy=SECOND)) == ["paid"]
    gone = with_payment(paid("R2", "L2", day(12), 900))
    assert list(moves(gone, day(10), day(16), "loan_age_days", policy=SECOND)) == ["paid_off"]


def test_a_score_whose_definition_changes_on_the_way_says_so() -> None:
    told = moves(lender(), day(8), day(12), "risk_score", policy=SECOND)
    assert told["definition_changed"] < -30
    assert "definition_changed" not in moves(lender(), day(10), day(12), "risk_score", policy=SECOND)


def test_windows_move_on() -> None:
    rows = with_payment(paid("R2", "L2", day(2), 10))
    assert moves(rows, day(1), day(2), "total_entries") == {"came_to_count": 1}
    assert moves(rows, day(2), date(2026, 4, 15), "total_entries") == {"ceased_to_count": -1}


def test_what_is_known_otherwise_comes_first() -> None:
    before = book(lender(), day(12))
    after = book(with_payment(paid("R2", "L2", day(11), 100), paid("R3", "L2", day(15), 50)), day(16))
    told = figures(rollforward(before, after), "officer", [PORTFOLIO]).filter(of="B")
    assert told.select("cause", "effect").rows() == [
        ("payment_late", Decimal(-10_000)),
        ("paid", Decimal(-5_000)),
    ]


def test_a_reassigned_loan_leaves_one_officer_for_another() -> None:
    before, after = book(lender(), day(12)), book(with_loan(officer_id="A"), day(16))
    for officers in ((), ("A",), ("B",)):
        told = figures(rollforward(before, after, officers), "officer", [LATE])
        rows = told.select("of", "cause", "effect").filter(cause="loan_reassigned").rows()
        assert set(rows) == {("A", "loan_reassigned", 90_000), ("B", "loan_reassigned", -90_000)}


def test_days_go_forward() -> None:
    made = book(lender(), day(12))
    with pytest.raises(UsageError, match="2026-03-12 is not before 2026-03-12"):
        rollforward(made, made)


def test_every_measure_is_a_stock_or_looks_at_some_days() -> None:
    stocks = {name for name in CATALOGUE.measures if is_stock(CATALOGUE, name)}
    assert stocks == {
        *(
            "total_portfolio",
            "principal_portfolio",
            "active_loans",
            "overdue_15d_amount",
            "overdue_15d_count",
        ),
        *(f"par{days}_principal" for days in (1, 7, 15, 30, 60, 90)),
        "dpd_1to6_balance",
    }
    assert all(prose.endswith(".") for prose in MOVES.values())


def test_mix_and_rate_sum_to_the_change_of_the_ratio() -> None:
    """X 300 of 900 late, Y nothing of 100; then X 300 of 300, Y 50 of 200; Z comes."""
    schema = ("region", "branch", "overdue_15d_amount", "total_portfolio")
    before = pl.DataFrame([("R", "X", 300, 900), ("R", "Y", 0, 100)], schema, orient="row")
    after = pl.DataFrame(
        [("R", "X", 300, 300), ("R", "Y", 50, 200), ("R", "Z", 0, 500)], schema, orient="row"
    )
    parts = mix_and_rate(before, after, RATIO, ("region", "branch"))
    told = {part.name: (part.rate, part.mix) for part in parts}
    assert told == {
        "R / X": (Fraction(3, 10) * Fraction(2, 3), Fraction(-6, 10) * (Fraction(1, 3) - Fraction(3, 10))),
        "R / Y": (Fraction(2, 10) * Fraction(1, 4), Fraction(1, 10) * (0 - Fraction(3, 10))),
        "R / Z": (0, Fraction(5, 10) * (0 - Fraction(3, 10))),
    }
    change = Fraction(350, 1000) - Fraction(300, 1000)
    assert sum(part.rate + part.mix for part in parts) == change


def test_which_metrics_are_ratios() -> None:
    assert ratio_of(CATALOGUE.metric("porr"), CATALOGUE) == RATIO
    assert ratio_of(CATALOGUE.metric("fimr"), CATALOGUE) == ("first_miss_count", "disbursed_count")
    assert {name for name, metric in CATALOGUE.metrics.items() if ratio_of(metric, CATALOGUE) is None} == {
        *("risk_score", "risk_score_norm", "dqi", "total_yield", "ayr", "had_float_gap"),
    }


def test_no_split_of_a_ratio_that_is_null() -> None:
    cells = run.cells(book(lender(), day(12)))
    assert mix_and_rate(cells, cells, RATIO, ("branch",)) == []
    assert mix_and_rate(cells, cells.clear(), RATIO, ("branch",)) == []
