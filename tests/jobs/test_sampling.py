"""Every hundredth loan is computed twice before anything is published: a difference refuses the run, and is named."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from loanmetrics.engine import loan_state
from loanmetrics.engine.history import by_day
from loanmetrics.engine.timeline import Timeline
from loanmetrics.jobs import sampling, states
from loanmetrics.jobs.sampling import SHARE, hundredth
from tests.jobs.conftest import Cli
from tests.jobs.lender import lender_at
from tests.jobs.small import DAY
from tests.jobs.stored import asked, rows, statuses, told
from tests.jobs.test_gates import COMPUTE, assert_refused

TWICE = "SELECT reconciliation->'computed_twice' FROM metric_calculation_log ORDER BY log_id"
BACKFILL = ("backfill", "--from", "2026-03-01", "--to", str(DAY))


def published_wrongly(monkeypatch: pytest.MonkeyPatch, wrong: dict[str, pl.Expr]) -> None:
    """Loan states go wrong on their way from the engine to the database."""
    named = states.named

    def altered(*words: Any) -> pl.DataFrame:
        return named(*words).with_columns(**wrong)

    monkeypatch.setattr(states, "named", altered)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"principal_outstanding": pl.col("principal_outstanding") + 1},
            "principal_outstanding is 700.01, DuckDB says 700.00",
        ),
        ({"current_dpd": pl.col("current_dpd") + 1}, "current_dpd is 16, DuckDB says 15"),
        (
            {"last_payment_date": pl.col("last_payment_date").dt.offset_by("1d")},
            "last_payment_date is 2026-03-02, DuckDB says 2026-03-01",
        ),
        (
            {"first_payment_missed": pl.lit(None, pl.Boolean)},
            "first_payment_missed is nothing, DuckDB says false",
        ),
        ({"dpd_bucket": pl.lit("0")}, "dpd_bucket is 0, DuckDB says 7-30"),
    ],
    ids=["a cent", "a day late", "a date", "no answer", "a bucket"],
)
def test_a_loan_that_the_second_engine_sees_otherwise_refuses_the_run(
    run: Cli, small: str, home: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, pl.Expr], said: str
) -> None:
    """The first run's turn is the loan with key 1."""
    published_wrongly(monkeypatch, wrong)
    code, out, err = run(small, *COMPUTE)
    assert (code, out) == (4, "")
    assert err.startswith(f"error: the second engine differs: loan L2: {said}\nhint: ")
    assert rows(small) == [[], [], []]
    assert statuses(small)[0][1].startswith(f"the second engine differs: loan L2: {said}")
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_a_fault_in_the_engine_refuses_the_run(run: Cli, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ties out everywhere: all figures are made of the same wrong state."""
    worst = Timeline.worst_dpd
    monkeypatch.setattr(Timeline, "worst_dpd", lambda *words: np.minimum(worst(*words), 5))
    code, _, err = run(small, *COMPUTE)
    assert code == 4
    assert "loan L2: max_dpd_ever is 5, DuckDB says 15" in err


def test_a_fault_in_the_history_refuses_a_backfill(
    run: Cli, small: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = by_day.cells

    def altered(*words: Any) -> pl.DataFrame:
        return cells(*words).with_columns(pl.col("par7_principal") + (pl.col("branch") == "Ikeja"))

    assert run(small, *BACKFILL)[0] == 0
    before = rows(small)
    monkeypatch.setattr(by_day, "cells", altered)
    told(small, "UPDATE repayments SET payment_amount = 1, principal_paid = 1 WHERE repayment_id = 'R2'")
    code, _, err = run(small, *BACKFILL)
    assert code == 4
    assert f"the second engine differs: O1 / West / Ikeja: not its loans' sums on {DAY}" in err
    assert rows(small) == before


def test_a_fault_in_the_loans_of_a_backfill_refuses_it(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrears = loan_state.arrears
    monkeypatch.setattr(loan_state, "arrears", lambda state, stock: arrears(state, stock) + 1)
    code, _, err = run(small, *BACKFILL)
    assert (code, "loan L2: arrears_amount is 700.01, DuckDB says 700.00" in err) == (4, True)


def test_a_dry_run_is_held_to_it_too(
    run: Cli, small: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "SHARE", 1)
    published_wrongly(monkeypatch, {"overpaid": pl.col("overpaid") + 1})
    named = [f"loan L{number}: overpaid is 0.01, DuckDB says 0.00" for number in (1, 2, 3)]
    assert_refused(run, small, f"the second engine differs: {'; '.join(named)}; and 2 loans more", home)


def test_a_run_looks_at_its_share_of_what_it_makes(run: Cli, sample: str, home: Path) -> None:
    """Of the sample's 6,055 loans a hundredth; then of the touched ones only those whose turn it is."""
    assert run(sample, "compute", "--as-of", "2026-06-30")[0] == 0
    touched = [
        f"UPDATE loans SET fee_amount = 1 WHERE loan_id IN (SELECT loan_id FROM loans ORDER BY 1 LIMIT {n})"
        for n in (250, 0)
    ]
    for change in touched:
        told(sample, change)
        assert run(sample, "compute", "--as-of", "2026-06-30")[0] == 0
    whole, all_loans, some, none = (twice for (twice,) in asked(sample, TWICE))
    assert {whole, all_loans} <= {60, 61}
    assert some in (2, 3)
    assert none == 0


def test_in_a_hundred_runs_every_loan_has_its_turn(run: Cli, small: str, home: Path) -> None:
    assert run(small, *COMPUTE)[0] == 0
    with lender_at(small, home) as lender:
        version = lender.version(DAY)
        chosen = [hundredth(lender.lake, version, turn).keys for turn in range(7, 7 + SHARE)]
    assert sorted(key for keys in chosen for key in keys) == list(range(version.next_loan))
    for first in (0, 3, 205):
        for turn in (0, 4, 250):
            keys = hundredth(lender.lake, version, turn, first).keys
            assert keys.start >= first
            assert (keys.start - turn) % SHARE == 0
