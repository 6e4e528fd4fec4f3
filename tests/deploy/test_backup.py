"""A backup is brought back on another server: figures, audit chain and facts are what they were, and runs go on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from loanmetrics.jobs import members
from loanmetrics.jobs.compute import compute, known_at
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.embedded import find_binaries
from tests.jobs.small import DAY
from tests.jobs.stored import DERIVED, Row, asked, told
from tests.surroundings import surroundings

FOLDER = Path(__file__).parents[2] / "deploy" / "backup"
KEPT = (
    *DERIVED,
    "loans",
    "repayments",
    "team_members",
    "audit_tracking",
    "audit_anchors",
    "metric_calculation_log",
)
PAYMENT = (
    "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid)"
    " VALUES ('after', 'L1', '2026-03-02', 300, 300)"
)
PROGRAMS = find_binaries()
Script = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.skipif(
    not all((PROGRAMS / name).exists() for name in ("pg_dump", "pg_restore", "psql")),
    reason=f"{PROGRAMS} has no pg_dump, pg_restore and psql",
)


@pytest.fixture
def spare(elsewhere: str) -> Iterator[str]:
    """An empty database of the other server."""
    with psycopg.connect(elsewhere, autocommit=True) as admin:
        admin.execute("CREATE DATABASE spare")
        yield elsewhere.replace("/postgres?", "/spare?")
        admin.execute("DROP DATABASE spare WITH (FORCE)")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run a shipped script as its head says."""
    command = tmp_path / "bin" / "loanmetrics"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m loanmetrics.cli "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}:{PROGRAMS}:{os.environ['PATH']}"

    def call(name: str, url: str, home: Path, folder: Path) -> subprocess.CompletedProcess[str]:
        given = {"LOANMETRICS_DATABASE_URL": url, "LOANMETRICS_HOME": str(home), "PATH": path}
        ours = {**surroundings(), **given, "PYTHONPATH": str(FOLDER.parents[1])}
        return subprocess.run(
            [FOLDER / name, folder], env=ours, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return call


def held(url: str) -> dict[str, list[Row]]:
    return {table: asked(url, f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1") for table in KEPT}


@pytest.fixture
def lender(small: str, home: Path) -> Settings:
    """Published figures, a team, a chain."""
    settings = Settings(database_url=small, home=home)
    members.add(settings, "ada@example.com", "Ada", "auditor", "correct horse battery staple")
    compute(settings, DAY, Policy())
    return settings


@pytest.fixture
def backup(lender: Settings, script: Script, tmp_path: Path) -> Path:
    done = script("backup.sh", str(lender.database_url), lender.home, tmp_path / "backups")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_all_is_back_and_runs_go_on(
    lender: Settings, backup: Path, script: Script, spare: str, tmp_path: Path
) -> None:
    before, old = held(str(lender.database_url)), str(lender.database_url)
    told(old, "DELETE FROM repayments")
    restored = Settings(database_url=spare, home=tmp_path / "new home")
    done = script("restore.sh", spare, restored.home, backup)
    assert (done.returncode, "the audit chain holds" in done.stdout) == (0, True), done.stderr
    assert held(spare) == before

    [(run_id,)] = asked(spare, "SELECT run_id FROM metric_calculation_log")
    known = known_at(restored, DAY, run_id).changes
    assert known is not None and known.is_empty()
    first = compute(restored, DAY, Policy())
    assert (first.reason, first.changed) == ("another server", 0)
    told(spare, PAYMENT)
    second = compute(restored, DAY, Policy())
    assert second.reason is None and second.changed > 0
    assert compute(restored, DAY, Policy(), full=True).changed == 0


def test_a_backup_that_was_touched_is_refused(
    backup: Path, script: Script, spare: str, tmp_path: Path
) -> None:
    content = bytearray((backup / "facts").read_bytes())
    content[len(content) // 2] ^= 1
    (backup / "facts").write_bytes(content)
    done = script("restore.sh", spare, tmp_path / "new home", backup)
    assert done.returncode != 0 and "facts" in done.stderr + done.stdout
    assert asked(spare, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_restored_chain_that_is_not_the_one_noted_down_is_found(
    backup: Path, script: Script, spare: str, tmp_path: Path
) -> None:
    (backup / "chain").write_text(f"it ends at 1:{'0' * 64}\n")
    sums = subprocess.run(
        ["sha256sum", "chain", "database", "facts"], cwd=backup, capture_output=True, text=True, check=True
    ).stdout
    (backup / "checksums").write_text(sums)
    done = script("restore.sh", spare, tmp_path / "new home", backup)
    assert (done.returncode, "the audit chain is broken" in done.stderr) == (1, True)


def test_a_database_whose_chain_is_broken_is_not_backed_up(
    lender: Settings, script: Script, tmp_path: Path
) -> None:
    told(
        str(lender.database_url),
        "ALTER TABLE audit_tracking DISABLE TRIGGER audit_tracking_append_only;"
        "UPDATE audit_tracking SET actor = 'member:99' WHERE audit_id = 1",
    )
    done = script("backup.sh", str(lender.database_url), lender.home, tmp_path / "backups")
    assert done.returncode == 1
    assert list((tmp_path / "backups").iterdir()) == []


def test_nobody_else_can_read_a_backup(backup: Path) -> None:
    assert not any(path.stat().st_mode & 0o077 for path in (backup, *backup.iterdir()))
