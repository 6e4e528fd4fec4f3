"""Looking after the database: bring it up to date, list what ran."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loanmetrics.settings import Settings

RUN_COLUMNS = (
    *("run_id", "calculation_type", "calculation_date", "status", "start_time", "duration_seconds"),
    *("records_processed", "policy_hash", "error_message"),
)


def migrate(settings: "Settings") -> list[str]:
    """Apply what is missing and say what was done."""
    from loanmetrics.settings import connect_url
    from loanmetrics.store import migrate as store

    with connect_url(settings) as url:
        return store.migrate(url)


def runs(settings: "Settings", limit: int) -> list[dict[str, object]]:
    """The newest runs first."""
    from psycopg import sql

    from loanmetrics.settings import connect_url
    from loanmetrics.store.session import connect

    with connect_url(settings) as url, connect(url) as database:
        rows = database.execute(
            sql.SQL(
                f"SELECT {', '.join(RUN_COLUMNS)} FROM metric_calculation_log ORDER BY log_id DESC LIMIT %s"
            ),
            [limit],
        )
        return [dict(zip(RUN_COLUMNS, row, strict=True)) for row in rows]


def server(settings: "Settings") -> str:
    """What answers at the settings' database, or an error that says why nothing does."""
    from loanmetrics.settings import connect_url
    from loanmetrics.store.session import connect

    with connect_url(settings) as url, connect(url) as database:
        return f"PostgreSQL {database.info.server_version // 10_000}, database {database.info.dbname}"
