"""Disks that are full: a run says so in a line, what was published stands, and with room the next one goes through."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.embedded.account import server_account
from tests.faults import doom, standing
from tests.faults.postgres import Postgres
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import rows, statuses, told

COMPUTE = ("compute", "--as-of", str(DAY))
PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
# The first file that is too long is a copy of a table; one of the facts, and then the log of the failure too.
LONGEST = (512, 2000)


def full(url: str, home: Path, *command: str, longest: int) -> subprocess.CompletedProcess[str]:
    """A run that can make no file longer than this."""
    return subprocess.run(
        [*doom.COMMAND, *command],
        env=doom.environment(database_url=url, home=str(home)),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest)),
    )


@pytest.fixture
def published(small: str, home: Path) -> str:
    """Figures, while a payment made since waits for the next run."""
    compute(Settings(database_url=small, home=home), DAY, Policy())
    told(small, PAID)
    return small


def test_facts_that_cannot_be_written(run: Cli, published: str, home: Path) -> None:
    before = rows(published)
    for longest in LONGEST:
        done = full(published, home, *COMPUTE, "--full", longest=longest)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert done.stderr == "error: input or output: File too large\n"
        assert rows(published) == before
        standing.readable(home / "facts")
        assert standing.strays(home / "facts") == []
    assert {status for status, _ in statuses(published)[1:]} == {"Failed"}
    assert run(published, *COMPUTE)[0] == 0
    assert rows(published) != before


@contextmanager
def tiny_disk(folder: Path, size: str, owner: int | None = None) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can make a small file system; the limit of file sizes is tested everywhere")
    try:
        if owner is not None:
            shutil.chown(folder, owner)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass
    return ballast


def test_a_home_without_room(run: Cli, published: str, home: Path) -> None:
    before = rows(published)
    facts = shutil.move(home / "facts", home / "moved")
    with tiny_disk(home / "facts", "512k") as disk:
        shutil.copytree(facts, disk, dirs_exist_ok=True)
        ballast = fill(disk)
        code, out, err = run(published, *COMPUTE)
        assert (code, out) == (1, "")
        assert err.startswith("error: ") and err.endswith(": No space left on device\n"), err
        assert rows(published) == before
        ballast.unlink()
        assert run(published, *COMPUTE)[0] == 0
        assert standing.strays(disk) == []
    assert rows(published) != before


def test_a_database_without_room(run: Cli, postgres: Postgres, lender: str) -> None:
    place = Path(postgres.cluster.place) / "full"
    with tiny_disk(place, "64k", server_account().uid) as disk:
        with psycopg.connect(lender, autocommit=True) as owner:
            owner.execute(f"CREATE TABLESPACE tiny LOCATION '{disk}'".encode())
            owner.execute("ALTER TABLE branch_metrics_daily SET TABLESPACE tiny")
        ballast = fill(disk)
        code, _, err = run(lender, *COMPUTE)
        assert (code, err.splitlines()[0]) == (1, "error: the database failed: DiskFull 53100")
        assert rows(lender) == [[], [], []]
        ballast.unlink()
        assert run(lender, *COMPUTE)[0] == 0
        with psycopg.connect(lender, autocommit=True) as owner:
            owner.execute("ALTER TABLE branch_metrics_daily SET TABLESPACE pg_default")
            owner.execute("DROP TABLESPACE tiny")
    assert statuses(lender) == [("Failed", "DiskFull 53100"), ("Completed", None)]
