"""Bringing a database up to date: numbered SQL files, columns of the catalogue, partitions.

yoyo is slow to import: nothing that runs every few minutes may import this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import psycopg
import yoyo  # type: ignore[import-untyped]
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend  # type: ignore[import-untyped]
from yoyo.connections import parse_uri  # type: ignore[import-untyped]

from loanmetrics.errors import StoreError
from loanmetrics.store import audit
from loanmetrics.store.changes import watch
from loanmetrics.store.ddl import TYPES, add_columns
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.session import connect
from loanmetrics.tables import BRANCH_METRICS, OFFICER_METRICS

FILES = "package:loanmetrics.store:migrations"
LOCK = "hashtext('loanmetrics'), hashtext('migrate')"
OFFICERS_ONLY = ("rank",)

Columns = Sequence[tuple[str, str]]


def migrate(url: str, derived: Columns | None = None, files: str = FILES) -> list[str]:
    """Bring the database up to date and say what was done; nothing, when there is nothing to do.

    A second migration waits for the first. Killed at any point, the next one finishes the job.
    """
    with connect(url, "loanmetrics migrate") as connection, _alone(connection):
        try:
            return [
                *_apply_files(connection, files),
                *_add_derived(connection, _declared() if derived is None else derived),
                *ensure_partitions(connection),
                *_watch(connection),
            ]
        except psycopg.Error as error:
            raise StoreError(f"migration failed: {error.diag.message_primary or error}") from error


def _watch(connection: psycopg.Connection) -> list[str]:
    known = connection.execute("SELECT to_regproc('loanmetrics_watch_changes') IS NOT NULL").fetchone()
    return watch(connection) if known == (True,) else []


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo on a session of ours, so that a file is applied and marked as applied in one transaction.

    As it comes, yoyo commits the two apart and leaves its lock row behind when killed. Its log wants a
    user and a host name, which a container may not have.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = connection
        super().__init__(parse_uri("postgresql+psycopg:"), yoyo.default_migration_table)

    def connect(self, dburi: object) -> psycopg.Connection:
        return self._session

    def copy(self) -> AbstractContextManager["_Backend"]:
        return nullcontext(self)

    def lock(self, timeout: float = 10) -> AbstractContextManager[None]:
        return nullcontext()

    def log_migration(self, migration: Any, operation: str) -> None:
        pass

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            super().apply_one(migration, force, mark)
            if _chain_stands(self._session):
                _tell(self._session, {"migration": migration.id})


def missing(connection: psycopg.Connection) -> list[str]:
    """What ``migrate`` would do: files not applied, columns of the catalogue not there."""
    backend = _Backend(connection)
    waiting = [migration.id for migration in backend.to_apply(yoyo.read_migrations(FILES))]
    for table in (OFFICER_METRICS.name, BRANCH_METRICS.name):
        present = _columns(connection, table)
        wanted = [
            name for name, _ in _declared() if table == OFFICER_METRICS.name or name not in OFFICERS_ONLY
        ]
        waiting += [f"{table}.{name}" for name in wanted if name not in present]
    return waiting


def _apply_files(connection: psycopg.Connection, files: str) -> list[str]:
    backend = _Backend(connection)
    waiting = backend.to_apply(yoyo.read_migrations(files))
    for migration in waiting:
        backend.apply_one(migration)
    return [migration.id for migration in waiting]


@contextmanager
def _alone(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute(f"SELECT pg_advisory_lock({LOCK})")
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute(f"SELECT pg_advisory_unlock({LOCK})")


def _declared() -> Columns:
    from loanmetrics.engine.catalogue import derived_columns

    return derived_columns()


def _add_derived(connection: psycopg.Connection, derived: Columns) -> list[str]:
    shared = [column for column in derived if column[0] not in OFFICERS_ONLY]
    return [
        *_add_missing(connection, OFFICER_METRICS.name, derived),
        *_add_missing(connection, BRANCH_METRICS.name, shared),
    ]


def _add_missing(connection: psycopg.Connection, table: str, columns: Columns) -> list[str]:
    present = _columns(connection, table)
    for name, kind in columns:
        if present.get(name, TYPES[kind]) != TYPES[kind]:
            raise StoreError(
                f"column {table}.{name} is {present[name]}, the catalogue declares {TYPES[kind]}",
                "a metric that changes its kind needs a new name, or a numbered migration",
            )
    missing = [column for column in columns if column[0] not in present]
    if missing:
        with connection.transaction():
            connection.execute(add_columns(table, missing))
            if _chain_stands(connection):
                _tell(connection, {"table": table, "columns": [name for name, _ in missing]})
    return [f"{table}.{name}" for name, _ in missing]


def _chain_stands(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT to_regclass('audit_anchors') IS NOT NULL").fetchone()
    return row == (True,)


def _tell(connection: psycopg.Connection, what: Mapping[str, Any]) -> None:
    audit.append(connection, event="migrated", actor=audit.operator(), new_value=what)


def _columns(connection: psycopg.Connection, table: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    )
    return dict(rows.fetchall())
