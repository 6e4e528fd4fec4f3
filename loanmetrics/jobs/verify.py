"""What is published, looked at again: a second engine on the same facts, the sums, the audit chain, the schema."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import duckdb
import polars as pl
import psycopg

from loanmetrics import referee
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.engine.run import PLACE
from loanmetrics.errors import GateError
from loanmetrics.facts import lake as lakes
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.version import Version
from loanmetrics.jobs import gates, reading, second_opinion
from loanmetrics.jobs.database import opened
from loanmetrics.jobs.drilldown import knowledge, stored_by
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import audit_check, migrate
from loanmetrics.store.publish import read_branches, read_officers
from loanmetrics.store.session import connect

NAMED = 5


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, and what is wrong with it, if anything."""

    name: str
    said: str
    wrong: tuple[str, ...] = ()


def verify(settings: Settings, as_of: date | None) -> list[Check]:
    """Look at everything published of a day, by default the newest; nothing is changed.

    Figures are left alone where the schema is not up to date: they may not be there.
    """
    with opened(settings) as url, connect(url, "loanmetrics verify") as connection:
        schema = _schema(connection)
        figures = [] if schema.wrong else list(_day(settings, connection, as_of))
        return [schema, *figures, _chain(connection)]


def _schema(connection: psycopg.Connection) -> Check:
    waiting = migrate.missing(connection)
    return Check("schema", "up to date" if not waiting else "run: loanmetrics migrate", tuple(waiting))


def _chain(connection: psycopg.Connection) -> Check:
    found = audit_check.verify(connection)
    said = f"{found.rows:,} rows, {found.anchors:,} anchors"
    return Check("audit chain", said, (found.fault.what,) if found.fault else ())


def _day(settings: Settings, connection: psycopg.Connection, as_of: date | None) -> Iterator[Check]:
    day, _ = reading.dated(connection, as_of)
    lake = lake_of(settings, connection)
    version = knowledge(connection, lake, day)
    policy = Policy.from_dict(version.policy)
    catalogue = load(policy, day)
    tables = {"officers": read_officers(connection, day), "branches": read_branches(connection, day)}
    if stored_by(connection, day) != version.run_id:
        yield Check("facts", f"those of {day} are no longer kept: compared with run {version.run_id}")
    cells = _cells(lake, version, day)
    known = Catalogue(
        {name: it for name, it in catalogue.measures.items() if name in cells.columns}, catalogue.metrics
    )
    if alone := [name for name in catalogue.measures if name not in known.measures]:
        yield Check("measures", f"DuckDB does not know {', '.join(alone)}: not compared")
    for name, table in tables.items():
        wrong = second_opinion.measures(name, table, cells, known)
        yield Check(f"{name}, measures", f"{len(table):,} of {day} against DuckDB", tuple(wrong))
        wrong = second_opinion.metrics(name, table, catalogue, policy)
        yield Check(f"{name}, formulas", f"{len(table):,} of {day} against DuckDB", tuple(wrong))
    yield _sums(tables, cells, known)


def _cells(lake: Lake, version: Version, day: date) -> pl.DataFrame:
    with duckdb.connect() as second:
        lake.bring(version, version.files)
        lakes.relate(second, lake.folder, version)
        return referee.cells(second, day, Policy.from_dict(version.policy))


def _sums(tables: dict[str, pl.DataFrame], cells: pl.DataFrame, catalogue: Catalogue) -> Check:
    said = "officers = branches = the book, every measure"
    try:
        gates.ties_out(cells.select(*PLACE, *catalogue.measures), tables, catalogue)
    except GateError as error:
        return Check("sums", said, (error.message,))
    return Check("sums", said)
