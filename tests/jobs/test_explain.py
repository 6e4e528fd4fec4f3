"""Explanations on a real database, by the command line and in notebooks: figures, causes, loans, payments."""

import json
from pathlib import Path

import polars as pl
import pytest

import loanmetrics as lm
from loanmetrics.engine.catalogue import load
from loanmetrics.errors import UsageError
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import told

COMPUTE = ("compute", "--as-of", str(DAY))
LATE = """
INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, payment_method)
VALUES ('R9', 'L1', '2026-03-05', 50, 50, 'Cash'), ('R10', 'L2', '2026-03-15', 100, 100, 'Cash');
"""


@pytest.fixture
def two_days(run: Cli, small: str) -> str:
    """Published on 8 March; since then a payment came late, one in time, and days passed."""
    assert run(small, "compute", "--as-of", "2026-03-08")[0] == 0
    told(small, LATE)
    assert run(small, *COMPUTE)[0] == 0
    return small


def test_a_score_is_told_by_its_terms(run: Cli, two_days: str) -> None:
    code, out, err = run(two_days, "explain", "O1", "risk_score")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"Risk score of O1 as of {DAY}: ")
    rows = [line.split() for line in lines]
    costs = {
        row[0]: (float(row[1]), int(row[2]))
        for row in rows
        if len(row) > 3 and row[:1] in (["porr"], ["fimr"])
    }
    assert costs == {"porr": (0, 20), "fimr": (5, 15)}
    assert "--loan ID" in err


def test_a_ratio_is_told_down_to_its_loans(run: Cli, two_days: str) -> None:
    code, out, _ = run(two_days, "explain", "O1", "par7")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["par7_principal", "2,050.00"] in lines
    assert ["principal_portfolio", "2,050.00"] in lines
    assert [line[0] for line in lines if line and line[0] in ("L1", "L2", "L3")] == ["L1", "L2", "L3"]


def test_from_one_day_to_another(run: Cli, two_days: str) -> None:
    code, out, err = run(two_days, "explain", "O1", "par7", "--from", "2026-03-08")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    start = lines.index(["on", "2026-03-08", "0.00"])
    stop = next(place for place, line in enumerate(lines) if line[:2] == ["on", str(DAY)] and place > start)
    moved = {line[0]: line[1] for line in lines[start + 1 : stop]}
    assert moved == {"rolled_worse": "+1,450.00", "fell_behind": "+600.00"}


def test_old_evidence_that_left_its_window_is_told_as_such(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text("cohort_days = 42\n")
    for day in ("2026-03-08", str(DAY)):
        assert run(small, "compute", "--as-of", day, "--policy", "short.toml")[0] == 0
    code, out, _ = run(small, "explain", "O1", "fimr", "--from", "2026-03-08")
    assert code == 0
    # L1, the only one that missed, was disbursed 42 days before: nobody paid anything.
    assert "-33.33 % of the change of -33.33 % is evidence that grew old and left the window" in out
    code, out, _ = run(small, "explain", "O1", "par7", "--from", "2026-03-08")
    assert (code, "grew old" in out) == (0, False)


def test_every_cause_goes_to_a_file(run: Cli, two_days: str, tmp_path: Path) -> None:
    file = tmp_path / "causes.json"
    words = ("explain", "O1", "porr", "--from", "2026-03-08", "--to", str(DAY), "--output", str(file))
    assert run(two_days, *words)[0] == 0
    rows = [row for row in json.loads(file.read_text()) if row["figure"] == "total_portfolio"]
    assert [(row["loan_id"], row["cause"], float(row["effect"])) for row in rows] == [
        ("L2", "paid", -100.0),
        ("L1", "payment_late", -50.0),
    ]
    assert {float(row["change"]) for row in rows} == {-150.0}


def test_a_loan_is_told_by_its_payments(run: Cli, two_days: str) -> None:
    code, out, _ = run(two_days, "explain", "O1", "par7", "--loan", "L2")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert f"loan L2, disbursed 2026-02-03, on {DAY}: 8 days past due, owes 600.00" in out
    assert [line[0] for line in lines if line and line[0] in ("R2", "R10")] == ["R2", "R10"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("O9", "porr"), "error: unknown officer: O9"),
        (("O1", "prr"), "error: unknown metric: prr"),
        (("O1", "porr", "--from", str(DAY)), f"error: {DAY} is not before {DAY}"),
        (
            ("O1", "porr", "--as-of", "2026-03-09", "--to", "2026-03-10"),
            "error: --as-of and --to name two days",
        ),
    ],
)
def test_what_cannot_be_explained(run: Cli, two_days: str, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(two_days, "explain", *words)
    assert (code, out) == (2, "")
    assert err.startswith(said)


def test_every_metric_of_the_sample_in_a_notebook() -> None:
    book = lm.Book.sample()
    officer = lm.compute(book, "risk_score").collect().drop_nulls()["officer_id"][0]
    for name in load().metrics:
        made = lm.explain(book, name, officer_id=officer)
        published = lm.compute(book, name).filter(pl.col("officer_id") == officer).collect()[name][0]
        assert made.value == published, name
        for measure in load().measures_of(name):
            [value] = made.made_of.filter(name=measure)["value"]
            if load().measures[measure].kind == "sum":
                assert made.loans[measure].sum() == value, measure
        assert name in repr(made)
        assert "<table" in made._repr_html_()


def test_the_terms_of_a_score_sum_to_it() -> None:
    made = lm.explain(lm.Book.sample(), "risk_score", branch="Ikeja")
    assert made.value is None or round(100 - made.terms["lost"].sum()) == made.value


def test_between_two_days_in_a_notebook() -> None:
    book = lm.Book.sample()
    before = book.on(support.SAMPLE_DAY.replace(day=1))
    made = lm.rollforward(before, book, "par30", "overdue_15d_amount", by="book").collect()
    assert set(made["figure"]) == {"par30", "overdue_15d_amount"}
    for _, rows in made.group_by("figure"):
        assert rows["effect"].sum() == rows["change"][0]
    with pytest.raises(UsageError, match="a rank depends on every officer"):
        lm.rollforward(before, book, "rank")
    assert lm.statement(book, made.drop_nulls("loan_id")["loan_id"][0]).loan["loan_id"]
