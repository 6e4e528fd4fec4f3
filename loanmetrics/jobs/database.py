"""Looking after the database: bring it up to date, list what ran, say plainly what is wrong with it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loanmetrics.errors import StoreError
from loanmetrics.tables import TABLES

if TYPE_CHECKING:
    from loanmetrics.settings import Settings

RUN_COLUMNS = {
    "run_id": "run_id",
    "kind": "calculation_type",
    "as_of": "calculation_date",
    "status": "status",
    "took": "duration_seconds",
    "rows": "records_processed",
}


@contextmanager
def opened(settings: "Settings") -> Iterator[str]:
    """The database to work on. One's own private server needs no ceremony: a new one gets its tables here."""
    from loanmetrics.settings import connect_url

    with connect_url(settings) as url:
        if not settings.database_url and _is_new(url):
            from loanmetrics.store import migrate as store

            store.migrate(url)
        yield url


def _is_new(url: str) -> bool:
    """Whether a database holds nothing of ours."""
    from loanmetrics.store.session import connect

    with connect(url) as database:
        found = database.execute("SELECT to_regclass('metric_calculation_log') IS NULL").fetchone()
    return found == (True,)


def migrate(settings: "Settings") -> list[str]:
    """Apply what is missing and say what was done: files and partitions by name, new columns by table."""
    from loanmetrics.settings import connect_url
    from loanmetrics.store import migrate as store

    with connect_url(settings) as url:
        done = store.migrate(url)
    columns = Counter(name.split(".")[0] for name in done if name.split(".")[0] in TABLES and "." in name)
    others = [name for name in done if name.split(".")[0] not in columns]
    return [*others, *(f"{table}: {count} columns" for table, count in columns.items())]


def runs(settings: "Settings", limit: int) -> tuple[list[dict[str, object]], list[str]]:
    """The newest runs first, and why each failed; a run id begins with when it started, UTC."""
    from loanmetrics.store.runs import recent
    from loanmetrics.store.session import connect

    with opened(settings) as url, connect(url) as database:
        found = recent(database, limit)
    rows = [{name: run[column] for name, column in RUN_COLUMNS.items()} for run in found]
    return rows, [run["error_message"] or "" for run in found]


def server(settings: "Settings") -> str:
    """What answers at the settings' database, or an error that says why nothing does."""
    from loanmetrics.settings import connect_url
    from loanmetrics.store.session import connect

    with connect_url(settings) as url, connect(url) as database:
        return f"PostgreSQL {database.info.server_version // 10_000}, database {database.info.dbname}"


def plainly(error: Exception) -> StoreError:
    """What the database driver's error means for the user; rows it quotes are left out."""
    from psycopg import errors

    from loanmetrics.store.runs import reason

    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedFunction):
        return StoreError("the database is not up to date", "loanmetrics migrate")
    return StoreError(f"the database failed: {reason(error)}")
