"""A day from source to published, on a real server."""

from datetime import date
from pathlib import Path

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

import loanmetrics as lm
from loanmetrics.engine import loans, results
from loanmetrics.engine import run as engine
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.frames import fetch
from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from loanmetrics.tables import LOAN_STATE
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import DERIVED, LOG, asked, rows, statuses, told

PAST = date(2025, 12, 31)
STAMPS = ("calculation_date", "run_id", "calculated_at")


def of_engine(day: date, policy: Policy | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Officers and branches of the sample, straight from its files."""
    book, catalogue = Book(support.sample_facts(), day, policy or Policy()), load()
    cells = engine.cells(book, catalogue)
    return results.officers(cells, book, catalogue), results.branches(cells, book, catalogue)


def published(url: str, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    with connect(url) as connection:
        return stored(connection, day)


def assert_published(url: str, expected: tuple[pl.DataFrame, pl.DataFrame], day: date) -> None:
    for found, wanted in zip(published(url, day), expected, strict=True):
        assert_frame_equal(found.select(wanted.columns), wanted, check_exact=True)
        assert set(found.columns) == {*wanted.columns, *STAMPS}


def published_loans(url: str) -> pl.DataFrame:
    everything = psycopg.sql.SQL("true")
    with connect(url) as connection:
        return fetch(connection, LOAN_STATE.name, everything, [], ["loan_id"]).select(LOAN_STATE.names)


def test_figures_from_the_database_are_those_from_the_files(sample: str) -> None:
    assert_published(sample, of_engine(support.SAMPLE_DAY), support.SAMPLE_DAY)
    states = loans.states(Book(support.sample_facts(), support.SAMPLE_DAY))
    expected = states.select(LOAN_STATE.names).sort("loan_id")
    assert_frame_equal(published_loans(sample), expected, check_exact=True, check_dtypes=False)


def test_shards_and_readers_do_not_matter(sample: str, home: Path) -> None:
    before = rows(sample)
    settings = Settings(database_url=sample, home=home, shard_loans=1000, readers=3)
    assert compute(settings, support.SAMPLE_DAY, Policy()).changed == 0
    assert rows(sample) == before


def test_a_rerun_changes_nothing(run: Cli, sample: str, home: Path) -> None:
    before = rows(sample)
    code, out, err = run(sample, "compute", "--as-of", str(support.SAMPLE_DAY))
    assert (code, err) == (0, "")
    assert "published 44 officers and 13 branches" in out
    assert rows(sample) == before
    assert statuses(sample) == [("Completed", None)] * 2
    assert asked(sample, f"SELECT records_updated FROM {LOG} ORDER BY log_id")[1] == (0,)
    [facts] = (home / "facts").iterdir()
    [(newest,)] = asked(sample, f"SELECT run_id FROM {LOG} ORDER BY log_id DESC LIMIT 1")
    assert Lake(facts).current.run_id == newest


def test_the_log_says_what_was_read_and_under_which_rules(sample: str) -> None:
    [(processed, policy, book, source)] = asked(
        sample,
        "SELECT records_processed, policy_hash, reconciliation->'book', reconciliation->'source_rows'"
        f" FROM {LOG}",
    )
    assert policy == Policy().hash
    assert processed == sum(source.values())
    assert source["loans"] == asked(sample, "SELECT count(*) FROM loans")[0][0]
    assert book["total_portfolio"] == published(sample, support.SAMPLE_DAY)[0]["total_portfolio"].sum()


def test_a_payment_changes_its_loan_its_branch_and_its_officer(sample: str, home: Path) -> None:
    day = support.SAMPLE_DAY
    [(loan, officer, region, branch)] = asked(
        sample,
        "SELECT loan_id, officer_id, region, branch FROM loans JOIN loan_state USING (loan_id)"
        " WHERE current_dpd > 90 ORDER BY total_outstanding DESC, loan_id LIMIT 1",
    )
    officers, _ = published(sample, day)
    owed = published_loans(sample)
    told(
        sample,
        "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid)"
        f" VALUES ('late', '{loan}', '{day}', 1, 1)",
    )
    made = compute(Settings(database_url=sample, home=home), day, Policy())

    paid = published_loans(sample)
    changed = paid.join(owed, on=paid.columns, how="anti", nulls_equal=True)
    assert changed["loan_id"].to_list() == [loan]
    fell = owed.join(changed, on="loan_id")
    assert (fell["total_outstanding"] - fell["total_outstanding_right"]).to_list() == [100]

    officers_now, branches_now = published(sample, day)
    fresh = branches_now.filter(pl.col("run_id") == made.run_id)
    assert fresh.select("region", "branch").rows() == [(region, branch)]
    others = pl.col("officer_id") != officer
    assert_frame_equal(
        officers_now.filter(others).drop("rank", *STAMPS), officers.filter(others).drop("rank", *STAMPS)
    )
    rewritten = set(officers_now.filter(run_id=made.run_id)["officer_id"])
    ranks = officers.join(officers_now, on="officer_id", nulls_equal=True).filter(
        pl.col("rank").ne_missing(pl.col("rank_right"))
    )
    assert rewritten == {officer, *ranks["officer_id"]}
    assert made.changed == len(rewritten) + 2


def test_a_past_day_leaves_the_newest_alone(run: Cli, sample: str) -> None:
    newest = f"FROM {DERIVED[0]} WHERE calculation_date = '{support.SAMPLE_DAY}'"
    before = (rows(sample, "loan_state"), asked(sample, f"SELECT xmin::text, ctid::text {newest}"))
    assert run(sample, "compute", "--as-of", str(PAST))[0] == 0
    assert_published(sample, of_engine(PAST), PAST)
    assert (rows(sample, "loan_state"), asked(sample, f"SELECT xmin::text, ctid::text {newest}")) == before
    assert run(sample, "show", "officers", "--as-of", str(PAST))[0] == 0


def test_loan_state_moves_on_with_the_newest_day(small: str, home: Path) -> None:
    settings = Settings(database_url=small, home=home)
    days_late = "SELECT current_dpd FROM loan_state WHERE loan_id = 'L1'"
    for day, late in ((date(2026, 3, 2), 1), (DAY, 15), (date(2026, 3, 10), 15)):
        compute(settings, day, Policy())
        assert asked(small, days_late) == [(late,)]


def test_an_empty_book_has_no_figures(run: Cli, database: str) -> None:
    code, out, err = run(database, "compute", "--as-of", str(DAY))
    assert (code, err) == (0, "")
    assert "published 0 officers and 0 branches from 0 loans" in out
    assert statuses(database) == [("Completed", None)]
    code, _, err = run(database, "show", "officers")
    assert (code, err) == (2, "error: nothing is published\nhint: run: loanmetrics compute\n")


def test_a_book_that_was_emptied_takes_its_figures_along(run: Cli, small: str) -> None:
    compute_it = ("compute", "--as-of", str(DAY))
    assert run(small, *compute_it)[0] == 0
    told(small, "TRUNCATE officers, loans, loan_schedule, repayments")
    assert run(small, *compute_it)[0] == 0
    assert rows(small) == [[], [], []]


def test_facts_of_old_runs_go_and_other_files_stay(run: Cli, small: str, home: Path) -> None:
    """Runs of the last 35 days are kept, and the last of each month end; a run that died leaves nothing for long."""
    compute_it = ("compute", "--as-of", str(DAY))
    assert run(small, *compute_it)[0] == 0
    [folder] = (home / "facts").iterdir()
    (folder / "notes").mkdir()
    (folder / "loans-of-a-run-that-died.parquet").touch()
    told(small, f"UPDATE {LOG} SET start_time = start_time - interval '36 days'")
    told(small, "UPDATE loans SET status = 'Closed' WHERE loan_id = 'L1'")
    for day in (DAY, date(2026, 2, 28), DAY):
        assert run(small, "compute", "--as-of", str(day))[0] == 0
    runs = [run_id for (run_id,) in asked(small, f"SELECT run_id FROM {LOG} ORDER BY log_id")]
    told(small, f"UPDATE {LOG} SET start_time = start_time - interval '36 days'")
    assert run(small, *compute_it)[0] == 0
    assert {path.stem for path in (folder / "manifests").iterdir()} >= {runs[2], runs[3]}
    assert not (folder / "manifests" / f"{runs[0]}.json").exists()
    assert not (folder / "loans-of-a-run-that-died.parquet").exists()
    assert (folder / "notes").is_dir()
    assert Lake(folder).holds(runs[2])


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_the_first_command_in_a_new_home_works(run: Cli, small: str, words: tuple[str, ...]) -> None:
    code, out, err = run(small, "compute", "--as-of", str(DAY), *words)
    assert (code, err) == (0, "")
    assert "3 officers and 2 branches from 5 loans" in out


def test_the_plan_names_steps_and_measures_and_touches_nothing(run: Cli, small: str) -> None:
    code, out, err = run(small, "compute", "--explain")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[:8]] == [
        *("extract", "prepare", "timeline", "state", "measures", "figures", "gates", "publish")
    ]
    assert "AGGREGATE" in out
    assert all(name in out for name in load().measures if name != "float_gap_officers")
    assert statuses(small) == []


def test_a_day_is_known_again_as_an_earlier_run_knew_it(run: Cli, small: str, tmp_path: Path) -> None:
    compute_it = ("compute", "--as-of", str(DAY))
    assert run(small, *compute_it)[0] == 0
    first = published(small, DAY)
    told(small, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L1'")
    told(small, "DELETE FROM repayments WHERE loan_id = 'L2'")
    assert run(small, *compute_it)[0] == 0
    [(earlier,), (later,)] = asked(small, f"SELECT run_id FROM {LOG} ORDER BY log_id")
    before = rows(small)
    for run_id, known in ((earlier, first), (later, published(small, DAY))):
        changes = tmp_path / "changes.parquet"
        assert run(small, *compute_it, "--known-at", run_id, "--output", str(changes))[0] == 0
        difference = pl.read_parquet(changes)
        assert (len(difference) == 0) == (run_id == later)
        assert_as_known(difference, known, published(small, DAY))
    assert rows(small) == before
    code, out, err = run(small, *compute_it, "--known-at", "yesterday")
    assert (code, out) == (4, "") or code == 1
    assert err.startswith("error: the facts of run yesterday are not kept here")


def assert_as_known(
    difference: pl.DataFrame, known: tuple[pl.DataFrame, pl.DataFrame], now: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    """What differs is what differed between the two publications, figure by figure."""
    wanted = 0
    for before, after in zip(known, now, strict=True):
        figures = [name for name in after.columns if name not in STAMPS]
        for name in figures:
            wanted += int(before[name].ne_missing(after[name]).sum())
    assert len(difference) == wanted


def test_many_small_versions_are_made_into_one(run: Cli, small: str, home: Path) -> None:
    compute_it = ("compute", "--as-of", str(DAY))
    for paid in range(1, 13):
        told(
            small,
            f"UPDATE repayments SET payment_amount = {paid}, principal_paid = {paid} WHERE loan_id = 'L{paid % 4 + 2}'",
        )
        assert run(small, *compute_it)[0] == 0
    [folder] = (home / "facts").iterdir()
    newest = Lake(folder).current
    assert len(newest.shards) < 8
    assert newest.next_loan == 5 + 11
    book, catalogue = lm.Book.scan(small, as_of=DAY), load()
    cells = engine.cells(book, catalogue)
    assert_published(
        small, (results.officers(cells, book, catalogue), results.branches(cells, book, catalogue)), DAY
    )
    assert_frame_equal(
        published_loans(small),
        loans.states(book).select(LOAN_STATE.names).sort("loan_id"),
        check_exact=True,
        check_dtypes=False,
    )
