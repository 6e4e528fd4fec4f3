"""Databases with a book in them, made once per worker and copied for each test, and the command line over them."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from loanmetrics import cli
from loanmetrics.facts.sources import find
from loanmetrics.jobs.compute import compute
from loanmetrics.jobs.load import load_sources
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.testing import Databases
from tests import support
from tests.jobs.small import SMALL_BOOK
from tests.jobs.stored import told
from tests.surroundings import surroundings

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def published_sample(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sample, loaded and published for its day; to be copied, not used."""
    with databases.migrated() as url:
        load_sources(url, find([support.SAMPLE]), Policy(), report=None, progress=lambda *_: None)
        home = tmp_path_factory.mktemp("home")
        compute(Settings(database_url=url, home=home), support.SAMPLE_DAY, Policy())
        yield url


@pytest.fixture(scope="session")
def small_book(databases: Databases) -> Iterator[str]:
    """A book of five loans, nothing published; to be copied, not used."""
    with databases.migrated() as url:
        with psycopg.connect(url) as connection:
            connection.execute(SMALL_BOOK)
        yield url


@pytest.fixture
def sample(databases: Databases, published_sample: str) -> Iterator[str]:
    """The sample in a database of the test's own, published for its day."""
    with databases._copy_of(str(conninfo_to_dict(published_sample)["dbname"])) as url:
        yield url


@pytest.fixture
def small(databases: Databases, small_book: str) -> Iterator[str]:
    """The small book in a database of the test's own, nothing published."""
    with databases._copy_of(str(conninfo_to_dict(small_book)["dbname"])) as url:
        yield url


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> Cli:
    """Run the command line on a database, in this process: exit code, stdout, stderr."""
    for name in os.environ.keys() - surroundings().keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOANMETRICS_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def call(database: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("LOANMETRICS_DATABASE_URL", database)
        monkeypatch.setattr(sys, "argv", ["loanmetrics", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *capfd.readouterr()

    return call


@pytest.fixture
def by_hashes(run: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("LOANMETRICS_CHANGE_DETECTION", "hashes")
    return run


@pytest.fixture
def reader(small: str) -> Iterator[str]:
    """The URL of the small book for a role that may read the lender's tables and nothing else."""
    role = str(conninfo_to_dict(small)["dbname"]) + "_reads"
    told(small, f"CREATE ROLE {role}")
    tables = "loans, loan_schedule, repayments, officers, holidays, gl_balances"
    told(small, f"GRANT SELECT ON {tables} TO {role}")
    yield f"{small}&options=-c%20role%3D{role}"
    told(small, f"DROP OWNED BY {role}")
    told(small, f"DROP ROLE {role}")
