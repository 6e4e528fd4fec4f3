"""Where a notebook's book comes from: a folder, frames, a facts folder, an object store or a database."""

import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loanmetrics.engine.book import Facts
from loanmetrics.errors import DataError, StoreError, UsageError
from loanmetrics.facts import lake, prepare, raw
from loanmetrics.facts.remote import Remote
from loanmetrics.facts.version import CURRENT
from loanmetrics.policy import Policy
from loanmetrics.settings import FACTS, STORE, bare_address, default_home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Source = str | Path | Mapping[str, Any]


def facts_of(source: Source, policy: Policy) -> Facts:
    """The newest facts of a source, under a policy."""
    if isinstance(source, Mapping):
        return _from_raw(lambda connection: raw.from_frames(connection, source), policy)
    if str(source).startswith(("postgresql://", "postgres://")):
        return _from_database(str(source), policy)
    kept = _lake(source)
    if kept is not None:
        return kept.facts(kept.current)
    folder = Path(source)
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is no folder", "give a folder, frames by table name, or a postgresql:// URL"
        )
    return _from_raw(lambda connection: raw.from_folder(connection, folder, policy), policy)


def known(source: Source, run_id: str, as_of: date, policy: Policy | None) -> tuple[Facts, date, Policy]:
    """What an earlier run of a facts folder knew."""
    kept = None if isinstance(source, Mapping) else _lake(source)
    if kept is None:
        raise UsageError("known_at is for a facts folder, which keeps what earlier runs knew")
    version = kept.version(run_id)
    return kept.facts(version), as_of, policy or Policy.from_dict(version.policy)


def _lake(source: str | Path) -> lake.Lake | None:
    """The facts folder that a source names, if it does; what lies in a store comes into the user's data folder."""
    if re.match(STORE, str(source)):
        remote = Remote.at(bare_address(str(source)))
        return lake.Lake(default_home() / FACTS / remote.folder, remote)
    return lake.Lake(Path(source)) if (Path(source) / CURRENT).is_file() else None


def _from_raw(relate: Callable[["DuckDBPyConnection"], Any], policy: Policy) -> Facts:
    connection = raw.connect(time_zone=policy.time_zone)
    try:
        relate(connection)
        prepare.prepare(connection, policy)
        return lake.in_memory(connection)
    except raw.connection_error() as error:
        raise DataError(f"the tables cannot be read: {str(error).splitlines()[0]}") from None


def _from_database(url: str, policy: Policy) -> Facts:
    import psycopg

    from loanmetrics.facts.extract import extract, snapshot
    from loanmetrics.store.session import connect

    connect(url, "loanmetrics notebook").close()  # says plainly why it cannot
    try:
        with tempfile.TemporaryDirectory(prefix="loanmetrics-") as folder, snapshot(url) as held:
            return _from_raw(lambda connection: extract(held, connection, Path(folder)), policy)
    except psycopg.Error as error:
        why = error.diag.message_primary or type(error).__name__
        raise StoreError(f"the database cannot be read: {why}", "loanmetrics migrate") from None


@cache
def sample_folder() -> Path:
    """Where the synthetic lender's tables are."""
    installed = Path(str(files("loanmetrics"))) / "sample"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "data" / "sample"
