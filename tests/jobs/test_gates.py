"""A gate that refuses: nothing is published, the log says why, the exit code is 4."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loanmetrics.engine import results
from loanmetrics.engine import run as engine
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import states
from loanmetrics.errors import GateError
from loanmetrics.facts import extract, writing
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs import gates
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, rows, statuses, told

Fault = Callable[[list[bytes]], list[bytes]]
COMPUTE = ("compute", "--as-of", str(DAY))
CATALOGUE = load()


def assert_refused(run: Cli, url: str, reason: str, home: Path) -> None:
    """Both kinds of run refuse, and leave nothing behind but the log's row."""
    before = rows(url)
    for words in ((*COMPUTE, "--dry-run"), COMPUTE):
        code, out, err = run(url, *words)
        assert (code, out) == (4, "")
        assert err.startswith(f"error: {reason}")
    assert rows(url) == before
    status, told_why = statuses(url)[-1]
    assert status == "Failed"
    assert told_why.startswith(reason)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def lose_a_row(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def repeat_a_row(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def alter_an_amount(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"200.00", b"200.01"), *lines[1:]]


FAULTS: list[tuple[Fault, str]] = [
    (lose_a_row, "repayments: rows read 3, the source says 4"),
    (repeat_a_row, "repayments: rows read 5, the source says 4"),
    (alter_an_amount, "repayments: sum read 140,001, the source says 140,000"),
]


def test_a_copy_that_is_not_its_source_is_refused(
    run: Cli, small: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relate = extract._relate
    for fault, reason in FAULTS:

        def after_damage(connection: Any, folder: Path, *words: Any, fault: Fault = fault) -> None:
            [copy] = [path for path in folder.glob("repayments-*.csv") if path.stat().st_size]
            copy.write_bytes(b"".join(fault(copy.read_bytes().splitlines(keepends=True))))
            relate(connection, folder, *words)

        monkeypatch.setattr(extract, "_relate", after_damage)
        assert_refused(run, small, reason, home)


def test_facts_that_lost_a_row_are_refused(
    run: Cli, small: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = writing.write

    def and_lose(connection: Any, lake: Lake, *others: Any, **more: Any) -> Version:
        version = write(connection, lake, *others, **more)
        [file] = lake.folder.glob("schedule-*.parquet")
        pl.read_parquet(file).head(-1).write_parquet(file)
        return version

    monkeypatch.setattr("loanmetrics.jobs.sync.write", and_lose)
    assert_refused(run, small, "loan_schedule: 15 rows read, 14 kept and 0 held back", home)


def test_too_many_rows_held_back_are_refused(run: Cli, small: str, home: Path) -> None:
    assert run(small, *COMPUTE)[0] == 0
    told(small, "UPDATE repayments SET principal_paid = 1 WHERE repayment_id = 'R2'")
    told(small, "DELETE FROM loans WHERE loan_id = 'L3'")
    for file in home.rglob("*.*"):
        file.unlink()
    held_back = "loan_schedule: 3 of 15 rows held back (orphan 3)"
    assert_refused(run, small, held_back, home)


def test_the_share_that_may_be_held_back_is_the_lenders(run: Cli, small: str, tmp_path: Path) -> None:
    told(small, "UPDATE repayments SET principal_paid = 1 WHERE repayment_id = 'R2'")
    code, _, err = run(small, *COMPUTE)
    assert code == 4
    assert err == (
        "error: repayments: 1 of 4 rows held back (split_mismatch 1)\n"
        "hint: Policy.max_quarantine_share is 0.01\n"
    )
    (tmp_path / "policy.toml").write_text("max_quarantine_share = 0.25")
    code, out, _ = run(small, *COMPUTE, "--policy", "policy.toml")
    assert code == 0
    assert "held back  repayments.split_mismatch     1" in out


def test_branches_that_are_not_the_book_are_refused(
    run: Cli, small: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    branches = results.branches
    monkeypatch.setattr(results, "branches", lambda *words: branches(*words).head(1))
    assert_refused(run, small, "total_portfolio: branches sum to", home)


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    cells = engine.cells(book, CATALOGUE)
    return {
        "cells": cells,
        "officers": results.officers(cells, book, CATALOGUE),
        "branches": results.branches(cells, book, CATALOGUE),
        "loans": states(book),
    }


@pytest.mark.parametrize("name", list(CATALOGUE.measures))
@pytest.mark.parametrize("grouping", ["officers", "branches"])
def test_one_unit_too_many_is_named(tables: dict[str, pl.DataFrame], grouping: str, name: str) -> None:
    sound = {group: tables[group] for group in ("officers", "branches")}
    assert gates.ties_out(tables["cells"], sound, CATALOGUE)[name] == tables["cells"][name].sum()
    off = tables[grouping].with_columns(pl.col(name) + (pl.int_range(pl.len()) == 3))
    with pytest.raises(GateError, match=f"^{name}: {grouping} sum to "):
        gates.ties_out(tables["cells"], {**sound, grouping: off}, CATALOGUE)


SETTLED = pl.col("total_outstanding") == 0
FIRST_SETTLED = SETTLED & (SETTLED.cum_sum() == 1)
LOAN_FAULTS = [
    (lambda loans: loans.with_columns(pl.col("total_outstanding") + 1), "total_portfolio"),
    (lambda loans: loans.with_columns(pl.col("on_book") | FIRST_SETTLED), "active_loans"),
    (lambda loans: loans.filter(~FIRST_SETTLED), "total_disbursed_count"),
]


@pytest.mark.parametrize(("fault", "figure"), LOAN_FAULTS)
def test_loans_that_are_not_the_figures_are_named(
    tables: dict[str, pl.DataFrame], fault: Callable[[pl.DataFrame], pl.DataFrame], figure: str
) -> None:
    gates.loans_match(tables["cells"], [tables["loans"].lazy()])
    with pytest.raises(GateError, match=f"^{figure}: loan state says "):
        gates.loans_match(tables["cells"], [fault(tables["loans"]).lazy()])


def ledger_in_log(url: str) -> Any:
    [(told,)] = asked(
        url, "SELECT reconciliation->'gl_balances' FROM metric_calculation_log ORDER BY log_id DESC LIMIT 1"
    )
    return told


def newest_run(url: str) -> str:
    [(run_id,)] = asked(url, "SELECT run_id FROM metric_calculation_log ORDER BY log_id DESC LIMIT 1")
    return str(run_id)


def owed(url: str) -> dict[str, int]:
    """Principal by branch, as published."""
    query = f"SELECT branch, principal_portfolio FROM branch_metrics_daily WHERE calculation_date = '{DAY}'"
    return {branch: int(principal * 100) for branch, principal in asked(url, query)}


def post(url: str, **principal: int) -> None:
    for branch, amount in principal.items():
        told(url, f"INSERT INTO gl_balances VALUES ('{branch}', '{DAY}', {amount} / 100.0)")


def test_without_a_ledger_nothing_is_held_to_it(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("gl_required = true")
    told(small, f"INSERT INTO gl_balances VALUES ('Ikeja', '{DAY}'::date - 1, 5)")
    assert run(small, *COMPUTE, "--policy", "strict.toml")[0] == 0
    assert ledger_in_log(small) is None


def test_a_ledger_that_agrees_is_logged(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("gl_required = true")
    assert run(small, *COMPUTE)[0] == 0
    principal = owed(small)
    post(small, **principal)
    assert run(small, *COMPUTE, "--policy", "strict.toml")[0] == 0
    total = sum(principal.values())
    assert ledger_in_log(small) == [{"day": str(DAY), "ours": total, "theirs": total, "breaks": []}]


def test_branches_that_differ_from_the_ledger_are_named(run: Cli, small: str, tmp_path: Path) -> None:
    assert run(small, *COMPUTE)[0] == 0
    principal = owed(small)
    ikeja, yaba = principal["Ikeja"], principal["Yaba"]
    post(small, Ikeja=ikeja - 150, Kano=7)
    code, out, _ = run(small, *COMPUTE)
    assert (code, "gl_difference" in out) == (0, True)
    for told_of in (out, run(small, "runs", newest_run(small))[1]):
        assert [
            line.split() for line in told_of.partition("the general ledger differs:")[2].splitlines()[1:5]
        ] == [
            ["day", "branch", "ours", "theirs", "difference"],
            [str(DAY), "Ikeja", f"{ikeja / 100:,.2f}", f"{(ikeja - 150) / 100:,.2f}", "1.50"],
            [str(DAY), "Kano", "-", "0.07", "-0.07"],
            [str(DAY), "Yaba", f"{yaba / 100:,.2f}", "-", f"{yaba / 100:,.2f}"],
        ]
    [day] = ledger_in_log(small)
    assert day["breaks"] == [
        {"branch": "Ikeja", "ours": ikeja, "theirs": ikeja - 150, "difference": 150},
        {"branch": "Kano", "ours": None, "theirs": 7, "difference": -7},
        {"branch": "Yaba", "ours": yaba, "theirs": None, "difference": yaba},
    ]
    post(small, Yaba=yaba)
    (tmp_path / "lenient.toml").write_text("gl_tolerance = 1.49\ngl_required = true")
    code, _, err = run(small, *COMPUTE, "--policy", "lenient.toml")
    assert code == 4
    named = f"Ikeja {ikeja / 100:,.2f} against {(ikeja - 150) / 100:,.2f}\n"
    assert err.startswith(f"error: principal is not the ledger's on {DAY}: {named}")
    (tmp_path / "lenient.toml").write_text("gl_tolerance = 1.50\ngl_required = true")
    assert run(small, *COMPUTE, "--policy", "lenient.toml")[0] == 0
    assert ledger_in_log(small)[0]["breaks"] == []


def test_a_backfill_is_held_to_the_ledger_day_by_day(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("gl_required = true")
    assert run(small, *COMPUTE)[0] == 0
    post(small, **owed(small))
    stretch = ("backfill", "--from", "2026-03-10", "--to", str(DAY), "--policy", "strict.toml")
    assert run(small, *stretch)[0] == 0
    assert [day["day"] for day in ledger_in_log(small)] == [str(DAY)]
    told(small, "INSERT INTO gl_balances VALUES ('Ikeja', '2026-03-12', 1)")
    code, out, _ = run(small, *stretch[:-2])
    assert (code, "2026-03-12  Ikeja " in out, "2026-03-12  Yaba " in out) == (0, True, True)
    code, _, err = run(small, *stretch)
    assert (code, "principal is not the ledger's on 2026-03-12: Ikeja" in err) == (4, True)
    assert statuses(small)[-1][0] == "Failed"


def test_a_ledger_row_that_breaks_a_rule_is_held_back(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("gl_required = true\nmax_quarantine_share = 1.0")
    told(small, f"INSERT INTO gl_balances VALUES ('Ikeja', '{DAY}', 9999999999999)")
    code, out, _ = run(small, *COMPUTE, "--policy", "strict.toml")
    assert (code, "gl_balances.amount_too_large" in out) == (0, True)
