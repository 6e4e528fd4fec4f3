"""What rows held back could change at most: no figure ever changes by more once they are put right."""

from pathlib import Path

import polars as pl
import pytest

from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.run import cells, group
from loanmetrics.engine.stake import BOOKWIDE, BOUNDS, CONDITIONS, DAYS, LOANS, OFFICERS, bounded_by
from loanmetrics.engine.state import channels, open_shard
from loanmetrics.facts.version import Version
from loanmetrics.jobs.days import book_of
from loanmetrics.jobs.held_back import held_back
from loanmetrics.policy import Policy
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.lender import Lender, lender_at
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, told

CATALOGUE = load()
LENIENT = Policy.from_toml("max_quarantine_share = 1.0")
# Each spoils a row in a column that its figures do not need, so that what is put right is known.
SPOILT = {
    "loans": "UPDATE loans SET closed_date = '9999-12-31' WHERE closed_date IS NULL AND {}",
    "installments": "UPDATE loan_schedule SET due_date = '1899-12-31' WHERE installment_number <= 2 AND {}",
    "all installments": "UPDATE loan_schedule SET due_date = '1899-12-31' WHERE {}",
    "payments": "UPDATE repayments SET reversal_date = '0001-01-01' WHERE NOT coalesce(is_reversed, false) AND {}",
    "a receipt twice": (
        "INSERT INTO repayments SELECT repayment_id, loan_id, payment_date + 40, payment_amount, principal_paid"
        " FROM repayments WHERE payment_date < '2026-05-20' AND {}"
    ),
    "a loan twice": (
        "INSERT INTO loans (loan_id, officer_id, region, branch, loan_amount, disbursement_date, maturity_date)"
        " SELECT loan_id, 'O0001', region, branch, loan_amount * 3, disbursement_date + 400, maturity_date"
        " FROM loans WHERE {}"
    ),
}


def by_officer(book: Book) -> dict[str, dict[str, int]]:
    rows = group(cells(book, CATALOGUE), ("officer_id",), CATALOGUE).to_dicts()
    return {row.pop("officer_id"): row for row in rows}


def whole(book: Book) -> dict[str, int]:
    return group(cells(book, CATALOGUE), (), CATALOGUE).row(0, named=True)


def newest(lender: Lender) -> Version:
    return lender.version(support.SAMPLE_DAY)


@pytest.mark.parametrize("which", SPOILT)
def test_no_figure_changes_by_more_than_its_bound(sample: str, home: Path, which: str) -> None:
    with lender_at(sample, home) as lender:
        lender.compute(support.SAMPLE_DAY, LENIENT)
        truth = book_of(lender.lake, newest(lender), support.SAMPLE_DAY)
        told(sample, SPOILT[which].format("hashtext(loan_id) % 29 = 0"))
        lender.compute(support.SAMPLE_DAY, LENIENT)
        found = held_back(lender.lake, newest(lender))
        spoilt = book_of(lender.lake, newest(lender), support.SAMPLE_DAY)
    assert len(found.officers) > 5
    before, after = whole(truth), whole(spoilt)
    changed = {name: abs(after[name] - before[name]) for name in CATALOGUE.measures}
    bounds = {name: found.bound(CATALOGUE, name) for name in changed}
    assert [name for name, bound in bounds.items() if bound is not None and changed[name] > bound] == []
    assert {name for name, bound in bounds.items() if bound is None} == {
        "channel_known_count",
        "pure_channel_count",
    }
    _assert_officers_bounded(by_officer(truth), by_officer(spoilt), found.officers)


def _assert_officers_bounded(
    truth: dict[str, dict[str, int]], spoilt: dict[str, dict[str, int]], officers: pl.DataFrame
) -> None:
    """Of officers who are not named nothing changes."""
    bounds = {row["officer_id"]: {**row, OFFICERS: 1} for row in officers.to_dicts()}
    nothing = dict.fromkeys((OFFICERS, *officers.columns[1:]), 0)
    for name, measure in CATALOGUE.measures.items():
        by = bounded_by(measure)
        for officer in truth.keys() | spoilt.keys():
            change = abs(truth.get(officer, {}).get(name, 0) - spoilt.get(officer, {}).get(name, 0))
            assert by is None or change <= bounds.get(officer, nothing)[by], (officer, name)


def test_every_column_of_a_loan_is_bounded_or_a_condition() -> None:
    """Whoever adds one has to say which."""
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    frame = open_shard(book.facts.shards[0], book, channels(book)).frame()
    assert {*frame.columns} - {"cell"} == {*BOUNDS, *CONDITIONS, *BOOKWIDE, *DAYS}


def test_a_bound_follows_from_what_a_measure_reads() -> None:
    by = {name: bounded_by(measure) for name, measure in CATALOGUE.measures.items()}
    assert by["total_portfolio"] == by["par90_principal"] == by["total_disbursed_amount"] == "owed"
    assert by["yield_30d"] == by["waivers_amount"] == by["fees_collected"] == "paid"
    assert (by["active_loans"], by["first_miss_count"], by["total_entries"]) == (LOANS, LOANS, "entries")
    assert (by["due_installments"], by["total_officers"]) == ("installments", OFFICERS)
    assert by["pure_channel_count"] is None


REPORT = """\
held back, with all the money that these rows speak of:
table_name  rule            rows   money
repayments  split_mismatch     1  200.00

they could change these figures of the book by so much at most:
"""


def test_a_run_tells_what_it_held_back(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "lenient.toml").write_text("max_quarantine_share = 1.0")
    told(small, "UPDATE repayments SET principal_paid = 1 WHERE repayment_id = 'R2'")
    assert run(small, "compute", "--as-of", str(DAY), "--policy", "lenient.toml")[0] == 0
    [(run_id,)] = asked(small, f"SELECT run_id FROM {LOG}")
    code, out, err = run(small, "runs", run_id)
    assert (code, err) == (0, "")
    assert REPORT in out
    lines = [line.split() for line in out.splitlines()]
    for line in (
        "measure published at_most",
        "total_portfolio 3,300.00 900.00",
        "active_loans 5 1",
        "yield_30d 0.00 200.00",
        "total_entries 3 1",
        "due_installments 15 4",
        "total_officers 2 1",
        "officer_id loans installments entries owed paid",
        "O1 1 4 1 900.00 200.00",
    ):
        assert line.split() in lines
    assert not any(line[:1] == ["not"] for line in lines)


def test_what_cannot_be_bounded_is_said(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "lenient.toml").write_text("max_quarantine_share = 1.0")
    told(small, "UPDATE repayments SET fees_paid = -1 WHERE repayment_id = 'R2'")
    told(small, "INSERT INTO holidays VALUES ('0001-01-01')")
    assert run(small, "compute", "--as-of", str(DAY), "--policy", "lenient.toml")[0] == 0
    [(run_id,)] = asked(small, f"SELECT run_id FROM {LOG}")
    _, out, _ = run(small, "runs", run_id)
    assert "\nnot bounded, 1 rows without a sound amount: figures of their loans\n" in out
    assert "\nnot bounded, 1 holidays: days past due, where business days count\n" in out


def test_a_run_that_held_nothing_back_has_nothing_to_tell(run: Cli, small: str) -> None:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    [(run_id,)] = asked(small, f"SELECT run_id FROM {LOG}")
    code, out, err = run(small, "runs", run_id)
    assert (code, err, out.count("\n")) == (0, "", 3)
    assert out.endswith("loans computed twice: 1\n")


def test_a_run_nobody_knows(run: Cli, small: str) -> None:
    assert run(small, "runs", "yesterday") == (
        1,
        "",
        "error: there is no run yesterday\nhint: loanmetrics runs\n",
    )


def test_a_run_that_failed_says_why(run: Cli, small: str) -> None:
    told(small, "UPDATE repayments SET principal_paid = 1 WHERE repayment_id = 'R2'")
    assert run(small, "compute", "--as-of", str(DAY))[0] == 4
    [(run_id,)] = asked(small, f"SELECT run_id FROM {LOG}")
    code, out, err = run(small, "runs", run_id)
    assert (code, err) == (0, "its facts are no longer kept: what it held back cannot be told\n")
    assert "repayments: 1 of 4 rows held back (split_mismatch 1)" in out
