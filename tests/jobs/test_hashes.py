"""Runs that find what changed by content: in the database itself, or in one that may only be read."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from loanmetrics.testing import Databases
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, statuses, told

COMPUTE = ("compute", "--as-of", str(DAY))
BACKFILL = ("backfill", "--from", "2026-03-10", "--to", str(DAY))
PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
STAMPS = ("calculation_date", "run_id", "calculated_at")
HASHED = "read what changed, by content hash\n"


def figures(url: str) -> list[pl.DataFrame]:
    with connect(url) as connection:
        return [table.drop(STAMPS) for table in stored(connection, DAY)]


def assert_same_figures(url: str, other: str) -> None:
    assert len(figures(url)[0]) > 0
    for one, another in zip(figures(url), figures(other), strict=True):
        assert_frame_equal(one, another, check_exact=True)


def test_a_run_says_how_it_found_what_changed(by_hashes: Cli, small: str) -> None:
    told(small, "DROP TRIGGER loanmetrics_log_update ON repayments")
    assert by_hashes(small, *COMPUTE)[1].endswith("read everything (first run)\n")
    assert by_hashes(small, *COMPUTE)[1].endswith(HASHED)
    before = figures(small)
    told(small, PAID)
    assert by_hashes(small, *COMPUTE)[1].endswith(HASHED)
    assert not before[0].equals(figures(small)[0])
    partial = figures(small)
    assert by_hashes(small, *COMPUTE, "--full")[1].endswith("read everything (asked for)\n")
    for one, another in zip(partial, figures(small), strict=True):
        assert_frame_equal(one, another, check_exact=True)
    lacking = "SELECT FROM loanmetrics_watched() WHERE trouble IS NOT NULL"
    assert len(asked(small, lacking)) == 1, "no triggers are made"


def test_only_the_newest_sums_are_kept(by_hashes: Cli, small: str, home: Path) -> None:
    for amount in (10, 20, 30):
        told(small, f"UPDATE repayments SET payment_amount = {amount}, principal_paid = {amount}")
        assert by_hashes(small, *COMPUTE)[0] == 0
    told(small, f"DELETE FROM {LOG} WHERE status <> 'Completed'")
    assert by_hashes(small, *COMPUTE)[0] == 0
    leaves = len(asked(small, "SELECT FROM pg_inherits WHERE inhparent IN ('loans'::regclass,"
        " 'loan_schedule'::regclass, 'repayments'::regclass)"))  # fmt: skip
    assert len(list(home.glob("facts/*/leaves/*"))) == leaves


def test_detection_may_change_from_run_to_run(run: Cli, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(small, *COMPUTE)[0] == 0
    for detection, reason in (("hashes", "the last run took no hashes"), ("triggers", "no mark")):
        monkeypatch.setenv("LOANMETRICS_CHANGE_DETECTION", detection)
        assert run(small, *COMPUTE)[1].endswith(f"read everything ({reason})\n")
        assert "read what changed" in run(small, *COMPUTE)[1]


def test_a_source_that_may_only_be_read(
    by_hashes: Cli,
    databases: Databases,
    small: str,
    reader: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lender's database is left as it is; what is ours stands in another."""
    with databases.migrated() as ours:
        monkeypatch.setenv("LOANMETRICS_SOURCE_URL", reader)
        for words in (COMPUTE, BACKFILL, COMPUTE):
            assert by_hashes(ours, *words)[0] == 0
            told(small, PAID)
        assert by_hashes(ours, *COMPUTE)[1].endswith(HASHED)
        assert asked(ours, "SELECT count(*) FROM loans") == asked(small, f"SELECT count(*) FROM {LOG}")
        assert len(asked(ours, "SELECT FROM par15_snapshots")) > 0
        monkeypatch.delenv("LOANMETRICS_SOURCE_URL")
        monkeypatch.setenv("LOANMETRICS_HOME", str(tmp_path / "other"))
        assert by_hashes(small, *BACKFILL)[0] == 0
        assert_same_figures(ours, small)


def test_a_source_of_its_own_needs_hashes(run: Cli, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANMETRICS_SOURCE_URL", small)
    code, _, err = run(small, *COMPUTE)
    assert (code, err.splitlines()[1]) == (2, 'hint: set change_detection = "hashes"')
    assert statuses(small) == []


def test_a_source_that_may_not_be_read_is_one_line(
    by_hashes: Cli, databases: Databases, small: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = reader.rpartition("%3D")[2]
    told(small, f"REVOKE SELECT ON repayments FROM {role}")
    monkeypatch.setenv("LOANMETRICS_SOURCE_URL", reader)
    with databases.migrated() as ours:
        code, out, err = by_hashes(ours, *COMPUTE)
        assert (code, out) == (1, "")
        assert err.startswith("error: the database failed: InsufficientPrivilege 42501\n")
