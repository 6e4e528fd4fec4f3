"""Published figures, filtered and sorted for people."""

from collections.abc import Callable
from datetime import date

import polars as pl
import psycopg

from loanmetrics.engine.catalogue import load
from loanmetrics.engine.explain import costliest
from loanmetrics.errors import UsageError, unknown
from loanmetrics.jobs.database import opened
from loanmetrics.settings import Settings
from loanmetrics.store.publish import read_branches, read_officers
from loanmetrics.store.session import connect

Read = Callable[[psycopg.Connection, date | None], pl.DataFrame]


def officers(
    settings: Settings,
    as_of: date | None,
    branch: str | None,
    band: str | None,
    sort: str | None,
    worst: int | None,
) -> pl.DataFrame:
    """Officer rows of a day, the newest published by default."""
    return _chosen(_read(settings, read_officers, as_of), branch, band, sort, ["officer_id"], worst)


def branches(
    settings: Settings,
    as_of: date | None,
    branch: str | None,
    band: str | None,
    sort: str | None,
    worst: int | None,
) -> pl.DataFrame:
    """Branch rows of a day, the newest published by default."""
    return _chosen(_read(settings, read_branches, as_of), branch, band, sort, ["region", "branch"], worst)


def reasons(frame: pl.DataFrame) -> pl.DataFrame:
    """The two terms that cost each officer's risk score most."""
    return frame.select("officer_id").with_columns(costliest(frame, "risk_score", load()))


def _read(settings: Settings, read: Read, as_of: date | None) -> pl.DataFrame:
    with opened(settings) as url, connect(url, "loanmetrics show") as connection:
        rows = read(connection, as_of)
    if rows.is_empty():
        day = f" for {as_of}" if as_of else ""
        raise UsageError(
            f"nothing is published{day}", f"run: loanmetrics compute{f' --as-of {as_of}' if as_of else ''}"
        )
    return rows


def _chosen(
    rows: pl.DataFrame,
    branch: str | None,
    band: str | None,
    sort: str | None,
    key: list[str],
    worst: int | None,
) -> pl.DataFrame:
    for name, value in (("branch", branch), ("risk_band", band)):
        if value is not None:
            if value not in (known := rows[name].unique().drop_nulls().to_list()):
                raise unknown(name.replace("_", " "), value, known)
            rows = rows.filter(pl.col(name) == value)
    rows = rows.sort(key, maintain_order=True)
    if worst is not None:
        rows = rows.sort("risk_score", nulls_last=True, maintain_order=True).head(worst)
    return _sorted(rows, sort) if sort else rows


def _sorted(rows: pl.DataFrame, sort: str) -> pl.DataFrame:
    names = [name.strip() for name in sort.split(",")]
    plain = [name.lstrip("-") for name in names]
    for name in plain:
        if name not in rows.columns:
            raise unknown("column", name, rows.columns)
    falling = [name.startswith("-") for name in names]
    return rows.sort(plain, descending=falling, nulls_last=True, maintain_order=True)
