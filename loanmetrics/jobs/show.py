"""Published figures, filtered and sorted for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import polars as pl

from loanmetrics.engine.beside import names, read
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.explain import costliest
from loanmetrics.errors import UsageError, unknown
from loanmetrics.export import About
from loanmetrics.jobs.beside import By, with_revisions
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.reading import dated
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store.publish import read_branches, read_officers
from loanmetrics.store.reading import Stamp
from loanmetrics.store.session import connect
from loanmetrics.tables import UNASSIGNED

__all__ = ("WHY", "Choice", "Shown", "branches", "called", "officers", "read")

WHY = "why"


@dataclass(frozen=True)
class Choice:
    """Which rows, in which order; ``revisions`` adds figures by other revisions of their formulas."""

    branch: str | None = None
    band: str | None = None
    sort: str | None = None
    worst: int | None = None
    revisions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """Rows, and what they are. ``passed_over``: how many scores as low are not among the worst."""

    rows: pl.DataFrame
    about: About
    passed_over: int = 0


def called(choice: Choice) -> list[str]:
    """The columns that other revisions add."""
    return [name for columns in names(choice.revisions).values() for name in columns.values()]


def officers(settings: Settings, as_of: date | None, choice: Choice, *, why: bool = False) -> Shown:
    """Officer rows of a day, the newest published by default; ``why`` adds what costs each risk score most."""
    rows, stamp = _read(settings, "officer", as_of, choice)
    found = _chosen(rows, choice, ["officer_id"])
    if why:
        catalogue = load(stamp.policy(), rows["calculation_date"][0])
        found = found.with_columns(costliest(found, "risk_score", catalogue).alias(WHY))
    return Shown(found, _about("Officers", rows, stamp, choice), _passed_over(rows, found, choice))


def branches(settings: Settings, as_of: date | None, choice: Choice) -> Shown:
    """Branch rows of a day, the newest published by default."""
    rows, stamp = _read(settings, "branch", as_of, choice)
    return Shown(_chosen(rows, choice, ["region", "branch"]), _about("Branches", rows, stamp, choice))


def _about(title: str, rows: pl.DataFrame, stamp: Stamp, choice: Choice) -> About:
    given = {"branch": choice.branch, "risk_band": choice.band, "worst": choice.worst}
    return About(
        title,
        run_id=stamp.run_id,
        known_at=stamp.run_id,
        as_of=rows["calculation_date"][0],
        calculated_at=stamp.calculated_at,
        filters={name: value for name, value in given.items() if value is not None},
        policy_hash=stamp.policy().hash,
    )


def _read(settings: Settings, by: By, as_of: date | None, choice: Choice) -> tuple[pl.DataFrame, Stamp]:
    """The rows, and the run that they come from."""
    with opened(settings) as url, connect(url, "loanmetrics show") as connection:
        rows = (read_officers if by == "officer" else read_branches)(connection, as_of)
        if rows.is_empty():
            day, hint = (f" for {as_of}", f" --as-of {as_of}") if as_of else ("", "")
            raise UsageError(f"nothing is published{day}", f"run: loanmetrics compute{hint}")
        shown = rows["calculation_date"][0]
        _, stamp = dated(connection, shown)
        if choice.revisions:
            lake = lake_of(settings, connection)
            rows = with_revisions(connection, lake, rows, by, stamp.policy(), choice.revisions)
        return rows, stamp


def _chosen(rows: pl.DataFrame, choice: Choice, key: list[str]) -> pl.DataFrame:
    sort, worst = choice.sort, choice.worst
    for name, value in (("branch", choice.branch), ("risk_band", choice.band)):
        if value is not None:
            if value not in (known := rows[name].unique().drop_nulls().to_list()):
                raise unknown(name.replace("_", " "), value, known)
            rows = rows.filter(pl.col(name) == value)
    rows = rows.sort(key, maintain_order=True)
    if worst is not None:
        rows = to_look_at(rows).sort("risk_score", nulls_last=True, maintain_order=True).head(worst)
    return _sorted(rows, sort) if sort else rows


def to_look_at(rows: pl.DataFrame) -> pl.DataFrame:
    """Those rows that name somebody whose score can be held to others': no row without an owner, none without a rank.

    Of a lender so small that nobody has a rank, everybody.
    """
    if "rank" not in rows.columns:
        return rows
    owned = rows.filter(pl.col("officer_id") != UNASSIGNED)
    ranked = owned.filter(pl.col("rank").is_not_null())
    return owned if ranked.is_empty() else ranked


def _passed_over(rows: pl.DataFrame, found: pl.DataFrame, choice: Choice) -> int:
    if choice.worst is None or found.is_empty():
        return 0
    lower = _chosen(rows, replace(choice, worst=None), ["officer_id"]).filter(
        pl.col("risk_score") < found["risk_score"].max()
    )
    return len(lower.join(found, on="officer_id", how="anti"))


def _sorted(rows: pl.DataFrame, sort: str) -> pl.DataFrame:
    names = [name.strip() for name in sort.split(",")]
    plain = [name.lstrip("-") for name in names]
    for name in plain:
        if name not in rows.columns:
            raise unknown("column", name, rows.columns)
    falling = [name.startswith("-") for name in names]
    return rows.sort(plain, descending=falling, nulls_last=True, maintain_order=True)
