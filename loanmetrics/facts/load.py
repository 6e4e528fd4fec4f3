"""One file into its table: sound rows by key, the others into quarantine; one transaction, repeatable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from loanmetrics.facts import quarantine
from loanmetrics.facts.copying import copy_in, copy_out
from loanmetrics.facts.reading import Layout, check, layout
from loanmetrics.facts.sources import Source
from loanmetrics.policy import Policy
from loanmetrics.steps import step
from loanmetrics.store import audit
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.tables import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg import Connection

CHILDREN = ("loan_schedule", "repayments")
ORPHANS = (
    "DELETE FROM staging s WHERE NOT EXISTS (SELECT FROM loans l WHERE l.loan_id = s.loan_id) "
    "RETURNING s.row_number"
)
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Loaded:
    """What became of the rows of a file, or of a table: read = written + unchanged + held back."""

    read: int = 0
    written: int = 0
    unchanged: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)

    @property
    def held_back(self) -> int:
        """Rows in quarantine."""
        return sum(self.quarantined.values())

    def add(self, other: "Loaded") -> None:
        """Count another file in."""
        self.read += other.read
        self.written += other.written
        self.unchanged += other.unchanged
        for rule, count in other.quarantined.items():
            self.quarantined[rule] = self.quarantined.get(rule, 0) + count


@dataclass(frozen=True, slots=True)
class Loader:
    """A DuckDB workshop with its folder, and the database the rows go to."""

    work: "DuckDBPyConnection"
    folder: Path
    database: "Connection[Any]"
    policy: Policy
    progress: Progress

    def load(self, source: Source) -> tuple[Loaded, Layout]:
        """Load one file; the database has all of it or nothing."""
        step(f"read {source.table.name}")
        self.progress(f"reading {source.name}", 0, 0)
        table, found = source.table, layout(self.work, source)
        quarantine.hold_broken(self.work, table, check(self.work, table, found, self.policy))
        quarantine.hold_duplicates(self.work, table)
        quarantine.remember(self.work, table)
        if table.partition_by:
            ensure_partitions(self.database, [table.name], self._months(table.partition_by))
        with self.database.transaction():
            step(f"send {source.table.name}")
            self._stage(source, found)
            self._hold_orphans(table)
            self._take_up_moved(table, found)
            step(f"write {source.table.name}")
            written = self._upsert(source, found)
            step(f"hold back {source.table.name}")
            quarantine.store(self.work, self.database, source, found, self.folder)
            loaded = self._count(written)
            self._tell(source, loaded)
            step(f"commit {source.table.name}")
        quarantine.report(self.work, source, found)
        return loaded, found

    def _months(self, column: str) -> list[date]:
        rows = self.work.execute(f"SELECT DISTINCT date_trunc('month', {column})::DATE FROM sound ORDER BY 1")
        return [month for (month,) in rows.fetchall()]

    def _stage(self, source: Source, found: Layout) -> None:
        table, names = source.table, ("row_number", *_given(source.table, found))
        self.database.execute(
            sql.SQL(
                "CREATE TEMP TABLE staging ON COMMIT DROP AS "
                f"SELECT NULL::bigint AS row_number, {_list(table.names)} FROM {table.name} WITH NO DATA"
            )
        )
        copy_in(
            self.work,
            self.database,
            f"SELECT {_list(names)} FROM sound",
            "staging",
            names,
            self.folder / "sound.csv",
            lambda done, total: self.progress(f"sending {source.name}", done, total),
        )
        self.database.execute("ANALYZE staging")

    def _hold_orphans(self, table: Table) -> None:
        if table.name in CHILDREN:
            copy_out(self.database, ORPHANS, self.work, "late", self.folder / "late.csv")
            quarantine.hold_late(self.work, table, "orphan", "loan_id")

    def _take_up_moved(self, table: Table, found: Layout) -> None:
        """Delete rows whose key was corrected since, as a date may be; what the file does not tell is kept of them."""
        rest = [name for name in table.key if name not in table.identity]
        if not rest:
            return
        identity, same = _list(table.identity), _same(table.identity, "t", "s")
        moved = (
            f"SELECT DISTINCT {_list(table.identity, 's.')} FROM staging s JOIN {table.name} t ON {same} "
            f"AND ({_list(rest, 't.')}) IS DISTINCT FROM ({_list(rest, 's.')})"
        )
        gone = f"DELETE FROM {table.name} t USING ({moved}) s WHERE {same} RETURNING t.*"
        untold = [name for name in table.names if not found.given(name)]
        kept = (
            f"UPDATE staging s SET {', '.join(f'{name} = t.{name}' for name in untold)} FROM ("
            f"SELECT DISTINCT ON ({identity}) * FROM gone ORDER BY {_list(table.key)}) t WHERE {same}"
            if untold
            else "SELECT"
        )
        self.database.execute(sql.SQL(f"WITH gone AS ({gone}) {kept}"))

    def _upsert(self, source: Source, found: Layout) -> int:
        """Rows written. One that is there already as it should be is left out: a conflict would lock it."""
        self.progress(f"writing {source.name}", 0, 0)
        table = source.table
        others = [name for name in _given(table, found) if name not in table.key]
        news = f"t.{table.key[0]} IS NULL OR ({_list(others, 't.')}) IS DISTINCT FROM ({_list(others, 's.')})"
        changed = f"({_list(others, 't.')}) IS DISTINCT FROM ({_list(others, 'EXCLUDED.')})"
        settings = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
        key = _list(table.key)
        return self.database.execute(
            sql.SQL(
                f"INSERT INTO {table.name} AS t ({_list(table.names)}) SELECT {_list(table.names, 's.')} "
                f"FROM staging s LEFT JOIN {table.name} t USING ({key}) "
                f"WHERE {news if others else f't.{table.key[0]} IS NULL'} ON CONFLICT ({key}) "
                f"DO {f'UPDATE SET {settings} WHERE {changed}' if others else 'NOTHING'}"
            )
        ).rowcount

    def _tell(self, source: Source, loaded: Loaded) -> None:
        """The load is in the audit chain if its rows are in the table."""
        audit.append(
            self.database,
            event="loaded",
            actor=audit.operator(),
            new_value={
                "table": source.table.name,
                "file": source.path.name,
                "read": loaded.read,
                "written": loaded.written,
                "held_back": loaded.held_back,
            },
        )

    def _count(self, written: int) -> Loaded:
        rows = "SELECT (SELECT count(*) FROM checked) + (SELECT count(*) FROM bad_lines)"
        [(read,)] = self.work.execute(rows).fetchall()
        made = Loaded(read, written, 0, quarantine.counts(self.work))
        made.unchanged = read - written - made.held_back
        return made


def _given(table: Table, found: Layout) -> list[str]:
    """The table's columns that the file has: an update leaves the others alone, an insert makes them null."""
    return [name for name in table.names if found.given(name)]


def _same(names: Sequence[str], one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in names)


def _list(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{name}" for name in names)
