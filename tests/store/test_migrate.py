import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from loanmetrics.engine.catalogue import derived_columns
from loanmetrics.errors import StoreError
from loanmetrics.store import ddl
from loanmetrics.store import migrate as module
from loanmetrics.store.migrate import migrate
from loanmetrics.store.session import connect
from loanmetrics.tables import TABLES
from loanmetrics.testing import Databases
from tests.store.catalog import BOOKKEEPING, DECLARED, MONTHS, schema

FOLDER = Path(module.__file__).parent / "migrations"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.sql"))]
# A file that has been released is never edited: databases out there have applied it. Add a new one.
RELEASED = {
    "0001.tables": "b276251540561e00",
    "0002.partitions": "191c79e674687b91",
    "0003.audit_append_only": "8b29df99833ab9de",
    "0004.change-log": "73dfc016bb34ef39",
    "0005.restatements": "0845ae9d0f211c29",
    "0006.restatement-causes": "2f150744b1b9329b",
    "0007.audit-and-access": "a0d678898dd762cb",
    "0008.partition-grants": "46001347dbd77736",
    "0009.worker": "fa20a5edb9ee68ab",
    "0010.reassignments": "c8533889694d5215",
}
OLDER = [("active_loans", "bigint"), ("total_portfolio", "money")]


def earlier(folder: Path, names: Sequence[str]) -> str:
    for name in names:
        shutil.copy(FOLDER / f"{name}.sql", folder)
    return str(folder)


def test_released_files_are_never_edited() -> None:
    found = {name: hashlib.sha256((FOLDER / f"{name}.sql").read_bytes()).hexdigest()[:16] for name in NAMES}
    assert found == RELEASED


def test_files_are_plain_ascii_because_they_are_read_in_any_locale() -> None:
    assert all((FOLDER / f"{name}.sql").read_bytes().isascii() for name in NAMES)


def test_the_migrated_schema_is_the_declared_one(databases: Databases) -> None:
    with databases.empty() as migrated, databases.empty() as declared:
        migrate(migrated, derived=())
        with connect(declared) as connection:
            connection.execute(ddl.schema().encode())
        but = BOOKKEEPING + MONTHS
        assert schema(migrated, DECLARED, but) == schema(declared, DECLARED, but)


@pytest.mark.parametrize("released", range(2, len(NAMES) + 1))
def test_an_upgraded_database_equals_a_fresh_one(databases: Databases, tmp_path: Path, released: int) -> None:
    with databases.empty() as upgraded, databases.empty() as fresh:
        migrate(upgraded, derived=OLDER, files=earlier(tmp_path, NAMES[:released]))
        migrate(upgraded)
        migrate(fresh)
        assert schema(upgraded) == schema(fresh)


def test_migrating_again_does_nothing(empty_database: str) -> None:
    first = migrate(empty_database)
    before = schema(empty_database)
    assert first[: len(NAMES)] == NAMES
    assert migrate(empty_database) == []
    assert schema(empty_database) == before


def test_every_catalogue_column_is_there(database: str) -> None:
    with connect(database) as connection:
        officers, branches = (
            {
                column.name
                for column in connection.execute(f"SELECT * FROM {table}".encode()).description or ()
            }
            for table in ("officer_metrics_daily", "branch_metrics_daily")
        )
    names = {name for name, _ in derived_columns()}
    assert names < officers
    assert names - branches == {"rank"}


def test_a_new_metric_adds_its_column(database: str) -> None:
    steps = migrate(database, derived=[*derived_columns(), ("novelty", "ratio")])
    assert steps == ["officer_metrics_daily.novelty", "branch_metrics_daily.novelty"]


def test_a_metric_that_changes_its_kind_is_refused(database: str) -> None:
    with pytest.raises(StoreError, match=r"active_loans is bigint, the catalogue declares numeric\(18,2\)"):
        migrate(database, derived=[("active_loans", "money")])


def test_two_at_once_share_the_work(empty_database: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(migrate, [empty_database, empty_database])
    assert sorted(map(len, (first, second))) == [0, len(first) + len(second)]


def test_a_file_that_fails_leaves_nothing_behind(empty_database: str, tmp_path: Path) -> None:
    files = earlier(tmp_path, NAMES)
    broken = tmp_path / "9999.broken.sql"
    broken.write_text("CREATE TABLE half (n int);\nSELECT 1 / 0;\n")
    with pytest.raises(StoreError, match="migration failed: division by zero"):
        migrate(empty_database, derived=(), files=files)
    assert not any(line.startswith("half") for line in schema(empty_database))
    broken.write_text("CREATE TABLE half (n int);\n")
    assert migrate(empty_database, derived=(), files=files)[0] == "9999.broken"


def test_a_killed_migration_is_finished_by_the_next(empty_database: str) -> None:
    script = (
        "import os, signal, sys\n"
        "from loanmetrics.store import migrate\n"
        "migrate._Backend.mark_one = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "migrate.migrate(sys.argv[1])"
    )
    killed = subprocess.run([sys.executable, "-c", script, empty_database], check=False)
    assert killed.returncode == -9
    assert migrate(empty_database)[: len(NAMES)] == NAMES


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot connect to the database") as error:
        migrate("postgresql://ada:hush@/loans?host=/nowhere")
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


def test_nonsense_is_no_database_url() -> None:
    with pytest.raises(StoreError, match="the database URL cannot be read"):
        migrate("postgresql://[::1/loans")


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_money_is_a_number(database: str, text: str) -> None:
    with connect(database) as connection, pytest.raises(psycopg.Error):
        connection.execute("INSERT INTO gl_balances VALUES ('Ikeja', '2026-01-31', %s::numeric)", [text])


def test_statuses_are_checked(database: str) -> None:
    columns = "loan_id, loan_amount, disbursement_date, status"
    insert = f"INSERT INTO loans ({columns}) VALUES ('L1', 1, '2026-01-31', %s)"
    with connect(database) as connection:
        connection.execute(insert.encode(), [None])
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(insert.encode(), ["Aktive"])


def test_a_run_longer_than_a_thousand_seconds_fits(database: str) -> None:
    with connect(database) as connection:
        row = connection.execute(
            "INSERT INTO metric_calculation_log (run_id, calculation_type, calculation_date, start_time,"
            " status, engine_version, policy_hash, duration_seconds)"
            " VALUES ('r', 'compute', '2026-01-31', now(), 'Failed', '1', 'x', 86400.5)"
            " RETURNING duration_seconds"
        ).fetchone()
    assert row is not None
    assert float(row[0]) == 86400.5


def test_the_view_shows_loans_without_state_too(database: str) -> None:
    with connect(database) as connection:
        connection.execute(
            "INSERT INTO loans (loan_id, loan_amount, disbursement_date) VALUES ('L1', 1, '2026-01-31')"
        )
        rows = connection.execute("SELECT loan_id, current_dpd FROM loans_with_state").fetchall()
    assert rows == [("L1", None)]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_tracking SET actor = 'x'", "DELETE FROM audit_tracking", "TRUNCATE audit_tracking"],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_the_audit_is_append_only(database: str, statement: str, role: str) -> None:
    with connect(database) as connection:
        connection.execute(f"SET session_replication_role = {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(statement.encode())


def test_declared_tables_all_exist(database: str) -> None:
    with connect(database) as connection:
        for name in TABLES:
            connection.execute(f"SELECT FROM {name}".encode())
