"""Publishing: a run's figures become visible in one transaction, together with its Completed row.

Only what changed is written. A row whose figures stay the same keeps the run_id and calculated_at under
which they were first published, so that a repeated run writes nothing; the log says which run was last.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl
import psycopg
from psycopg import sql

from loanmetrics.engine.catalogue import later_columns
from loanmetrics.steps import step
from loanmetrics.store.frames import DTYPES, check_columns, column_types, columns, copy_in, fetch
from loanmetrics.store.loan_states import replace_loans
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.runs import Outcome, Run, complete
from loanmetrics.tables import (
    BRANCH_METRICS,
    DPD_TRANSITIONS,
    LOAN_STATE,
    OFFICER_METRICS,
    PAR15_SNAPSHOTS,
    RUN_STAMPS,
    TABLES,
)

STAMPS = tuple(column.name for column in RUN_STAMPS)
INCOMING = "incoming"
MERGE_STEPS = (
    "DELETE FROM {table} old WHERE old.{scope} BETWEEN %(first)s AND %(last)s"
    " AND NOT EXISTS (SELECT FROM incoming new WHERE {same_key})",
    "UPDATE {table} old SET {sets} FROM incoming new"
    " WHERE {same_key} AND (ROW({old_values}) IS DISTINCT FROM ROW({new_values}) OR {outdated})",
    "INSERT INTO {table} ({all}) SELECT {all} FROM incoming new"
    " WHERE NOT EXISTS (SELECT FROM {table} old WHERE {same_key})",
)
# What a past day said before it says something else: the figures that change, and no others.
RESTATE = """
    INSERT INTO restatements
        (table_name, row_key, calculation_date, before, after, before_run_id, run_id, restated_at)
    SELECT {name}, concat_ws(' / ', {key}), old.calculation_date, figures.before,
        CASE WHEN new.run_id IS NOT NULL THEN figures.after END,
        old.run_id, %(run_id)s, %(restated_at)s
    FROM {table} old LEFT JOIN incoming new ON {same_key}
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(was.key, was.value) AS before, jsonb_object_agg(was.key, now.value) AS after
        FROM jsonb_each(to_jsonb(old) - %(stamps)s::text[]) was
        LEFT JOIN jsonb_each(to_jsonb(new)) now USING (key)
        WHERE was.value IS DISTINCT FROM now.value
    ) figures
    WHERE old.calculation_date BETWEEN %(first)s AND %(last)s AND figures.before IS NOT NULL
    ORDER BY old.calculation_date, 2
"""
# A row keeps its stamps while they are true: the run that made it had the same policy, engine and revisions.
OUTDATED = sql.SQL(
    "old.run_id NOT IN (SELECT made.run_id FROM metric_calculation_log made, metric_calculation_log this"
    " WHERE this.run_id = new.run_id AND (made.policy_hash, made.engine_version, made.metric_revisions)"
    " IS NOT DISTINCT FROM (this.policy_hash, this.engine_version, this.metric_revisions))"
)
# Statistics follow by themselves after small changes, and never for a partitioned parent.
ANALYZE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Published:
    """How many rows a publication touched (inserted, updated or deleted), by table."""

    changed: dict[str, int]

    @property
    def total(self) -> int:
        """All rows touched."""
        return sum(self.changed.values())


def publish(
    connection: psycopg.Connection,
    run: Run,
    officers: pl.DataFrame,
    branches: pl.DataFrame,
    loan_states: Sequence[pl.LazyFrame] | None = None,
    *,
    touched: pl.Series | None = None,
    transitions: pl.DataFrame | None = None,
    par15: pl.DataFrame | None = None,
    outcome: Outcome | None = None,
    along: Callable[[], None] = lambda: None,
    first: date | None = None,
    restate: bool = False,
) -> Published:
    """Write a day's figures and complete the run, all or nothing.

    With ``first``, those of all days from it to the run's; the frames then say which row is of which day.
    ``restate``: what is published already is kept beside what replaces it.

    ``loan_states`` are given when the day is the newest: all loans, or those of ``touched`` that still stand;
    ``transitions`` replace those of the day; ``par15`` is frozen unless that day is frozen already; ``along``
    is done in the same transaction.
    """
    step("make room")
    _make_room(connection, run, first or run.day, loan_states, transitions)
    changed: dict[str, int] = {}
    with connection.transaction():
        connection.execute("SET LOCAL work_mem = '128MB'")
        scope = Scope("calculation_date", first or run.day, run.day)
        restating = run if restate else None
        for table, figures in ((OFFICER_METRICS.name, officers), (BRANCH_METRICS.name, branches)):
            changed[table] = _merge(connection, table, _stamped(figures, run), scope, restating)
        if transitions is not None:
            scope = replace(scope, column="transition_date")
            changed[DPD_TRANSITIONS.name] = _merge(connection, DPD_TRANSITIONS.name, transitions, scope)
        if par15 is not None:
            step(f"publish {PAR15_SNAPSHOTS.name}")
            changed[PAR15_SNAPSHOTS.name] = _freeze(connection, par15, run)
        if loan_states is not None:
            step(f"publish {LOAN_STATE.name}")
            changed[LOAN_STATE.name] = replace_loans(connection, loan_states, touched)
        done = Published(changed)
        along()
        complete(connection, run, outcome, done.total)
        step("commit")
    whole = None if touched is not None else loan_states
    if whole is not None and changed[LOAN_STATE.name] > ANALYZE_SHARE * _count(whole):
        step("analyze")
        with suppress(psycopg.Error):
            _analyze(connection)
    return done


def _make_room(
    connection: psycopg.Connection,
    run: Run,
    first: date,
    loan_states: Sequence[pl.LazyFrame] | None,
    transitions: pl.DataFrame | None,
) -> None:
    """Partitions come before the transaction: making one locks readers out until it commits."""
    if loan_states is not None:
        days = pl.concat(loan_states).select(pl.col("disbursement_date").unique()).collect()
        ensure_partitions(connection, [LOAN_STATE.name], days["disbursement_date"])
    if transitions is not None:
        spanned = [first + timedelta(after) for after in range((run.day - first).days + 1)]
        ensure_partitions(connection, [DPD_TRANSITIONS.name], spanned)


def _count(loan_states: Sequence[pl.LazyFrame]) -> int:
    total: int = pl.concat(loan_states).select(pl.len()).collect().item()
    return total


def _analyze(connection: psycopg.Connection) -> None:
    """A small sample per partition will do: the default one reads most of the table."""
    with connection.transaction():
        connection.execute("SET LOCAL default_statistics_target = 5")
        connection.execute("ANALYZE loan_state")


def newest_day(connection: psycopg.Connection) -> date | None:
    """The newest day with published figures."""
    row = connection.execute("SELECT max(calculation_date) FROM officer_metrics_daily").fetchone()
    day: date | None = row[0] if row else None
    return day


def stored(connection: psycopg.Connection, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is published for ``day``: officers and branches, engine-native; empty frames where nothing is."""
    return read_officers(connection, day), read_branches(connection, day)


def read_officers(connection: psycopg.Connection, as_of: date | None = None) -> pl.DataFrame:
    """Published officer rows of one day, the newest by default."""
    return _read(connection, OFFICER_METRICS.name, as_of, ["officer_id"])


def read_branches(connection: psycopg.Connection, as_of: date | None = None) -> pl.DataFrame:
    """Published branch rows of one day, the newest by default."""
    return _read(connection, BRANCH_METRICS.name, as_of, ["region", "branch"])


def _read(connection: psycopg.Connection, table: str, as_of: date | None, order: list[str]) -> pl.DataFrame:
    day = as_of or newest_day(connection)
    rows = fetch(connection, table, sql.SQL("calculation_date = %s"), [day], order)
    return rows.drop(name for name, _ in later_columns() if rows[name].null_count() == len(rows))


def _stamped(figures: pl.DataFrame, run: Run) -> pl.DataFrame:
    dated = [] if "calculation_date" in figures.columns else [pl.lit(run.day).alias("calculation_date")]
    return figures.with_columns(
        *dated,
        run_id=pl.lit(run.run_id),
        calculated_at=pl.lit(run.started),
    )


@dataclass(frozen=True, slots=True)
class Scope:
    """The days of a table that a publication is about."""

    column: str
    first: date
    last: date


def _merge(
    connection: psycopg.Connection,
    table: str,
    frame: pl.DataFrame,
    scope: Scope,
    restating: Run | None = None,
) -> int:
    """Make the rows of ``table`` within ``scope`` those of ``frame``, touching only rows that differ."""
    step(f"publish {table}")
    types = column_types(connection, table)
    frame = _with_later(frame, types)
    check_columns(table, frame, types)
    if _is_empty(connection, table, scope):
        copy_in(connection, table, frame, types)
        return len(frame)
    _receive(connection, table, frame, types)
    words = {"table": sql.Identifier(table), "scope": sql.Identifier(scope.column), **_words(table, frame)}
    days = {"first": scope.first, "last": scope.last}
    if restating:
        given = {"run_id": restating.run_id, "restated_at": restating.started, "stamps": list(STAMPS)}
        key = [name for name in TABLES[table].key if name != scope.column]
        named = {"name": sql.Literal(table), "key": columns(key, "old")}
        connection.execute(sql.SQL(RESTATE).format(**words, **named), {**days, **given})
    touched = sum(connection.execute(sql.SQL(step).format(**words), days).rowcount for step in MERGE_STEPS)
    connection.execute("DROP TABLE incoming")
    return touched


def _is_empty(connection: psycopg.Connection, table: str, scope: Scope) -> bool:
    """Whether nothing was ever published of these days."""
    query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {} WHERE {} BETWEEN %s AND %s)").format(
        sql.Identifier(table), sql.Identifier(scope.column)
    )
    return connection.execute(query, [scope.first, scope.last]).fetchone() == (True,)


def _words(table: str, frame: pl.DataFrame) -> dict[str, sql.Composable]:
    key = TABLES[table].key
    values = [name for name in frame.columns if name not in key]
    compared = [name for name in values if name not in STAMPS]
    return {
        "same_key": _pairs(sql.SQL(" AND "), key, "old"),
        "sets": _pairs(sql.SQL(", "), values),
        "old_values": columns(compared, "old"),
        "new_values": columns(compared, "new"),
        "all": columns(frame.columns),
        "outdated": OUTDATED if "run_id" in frame.columns else sql.SQL("false"),
    }


def _pairs(between: sql.SQL, names: Sequence[str], left: str | None = None) -> sql.Composed:
    """``name = new.name`` for each name."""
    return between.join(sql.SQL("{} = {}").format(columns([n], left), columns([n], "new")) for n in names)


def _with_later(frame: pl.DataFrame, types: Mapping[str, str]) -> pl.DataFrame:
    """Measures of revisions that nobody counts are null: what another policy left there goes."""
    absent = [name for name, _ in later_columns() if name in types and name not in frame.columns]
    return frame.with_columns(pl.lit(None, DTYPES[types[name]]).alias(name) for name in absent)


def _receive(
    connection: psycopg.Connection, table: str, frame: pl.DataFrame, types: Mapping[str, str]
) -> None:
    """The frame as a temporary table with the types of ``table``."""
    connection.execute(
        sql.SQL("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            columns(frame.columns), sql.Identifier(table)
        )
    )
    copy_in(connection, INCOMING, frame, types)
    connection.execute("ANALYZE incoming")


def _freeze(connection: psycopg.Connection, par15: pl.DataFrame, run: Run) -> int:
    """PAR15 of each 15th that is not frozen already: what was published stays."""
    name = PAR15_SNAPSHOTS.name
    frozen = [day for (day,) in connection.execute("SELECT DISTINCT snapshot_date FROM par15_snapshots")]
    dated = [] if "snapshot_date" in par15.columns else [pl.lit(run.day).alias("snapshot_date")]
    rows = par15.with_columns(*dated, run_id=pl.lit(run.run_id)).filter(
        ~pl.col("snapshot_date").is_in(frozen)
    )
    if rows.is_empty():
        return 0
    copy_in(connection, name, rows, column_types(connection, name))
    return len(rows)
