"""What every run shares: the lock, the log row, the lender's facts, and leaving nothing behind when it fails."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date

import psycopg

import loanmetrics
from loanmetrics.engine.catalogue import load
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.remote import Remote
from loanmetrics.facts.version import Version
from loanmetrics.jobs.database import opened
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.steps import step
from loanmetrics.store import changes, runs
from loanmetrics.store.partitions import ensure_partitions
from loanmetrics.store.publish import newest_day
from loanmetrics.store.session import connect, may_be_lost

READER = "compute"


@dataclass(frozen=True)
class Workplace:
    """The database, held for one process's runs, and the facts that belong to it."""

    url: str
    connection: psycopg.Connection
    lake: Lake

    @contextmanager
    def run(self, kind: str, day: date, policy: Policy) -> Iterator[runs.Run]:
        """A row of the log for as long as the block; if it fails, its files go and the row says why.

        Where the connection itself failed, the next run does both.
        """
        formulas = load(policy, day).metrics
        with may_be_lost():
            this = runs.start(
                self.connection,
                kind,
                day,
                engine_version=loanmetrics.__version__,
                policy_hash=policy.hash,
                policy=policy.as_dict(),
                metric_revisions={name: metric.revision for name, metric in formulas.items()},
            )
        try:
            yield this
        except BaseException as error:
            with suppress(psycopg.OperationalError):
                if not self.connection.broken:
                    runs.fail(self.connection, this, error)
                    self.lake.prune(runs.kept(self.connection))
            raise

    def last(self) -> tuple[Version | None, str]:
        """The facts of the last completed run, if they are here; else why not."""
        run_id = runs.last_completed(self.connection)
        if run_id is None:
            return None, "first run"
        if not self.lake.holds(run_id):
            return None, f"the facts of run {run_id} are not here"
        return self.lake.to_go_on_from(run_id), ""

    def is_still_there(self) -> None:
        """UnreachableError if the session was lost meanwhile: before anything is published, all may be done again."""
        with may_be_lost():
            self.connection.execute("SELECT")

    def is_newest(self, day: date) -> bool:
        """Whether loans are to be shown as they stand on this day: nothing is published of a later one."""
        newest = newest_day(self.connection)
        return newest is None or day >= newest

    def advance(self, mark: changes.Mark | None) -> None:
        """Remember that the change log was read up to here."""
        if mark:
            changes.advance(self.connection, READER, mark)


@contextmanager
def at_work(settings: Settings, application: str, *, tidy: bool = True) -> Iterator[Workplace]:
    """Hold the right to run, with partitions and triggers in place and no leftovers of runs that died.

    Without ``tidy``, files and log rows that nobody needs are left to the next one.
    """
    step("connect")
    with (
        opened(settings) as url,
        connect(url, application) as connection,
        runs.run_lock(connection, settings.lock_wait),
    ):
        step("partitions")
        ensure_partitions(connection)
        if settings.change_detection == "triggers":
            changes.watch(connection)
        lake = lake_of(settings, connection)
        if tidy:
            step("tidy")
            lake.prune(runs.kept(connection))
        yield Workplace(url, connection, lake)
        if tidy:
            step("prune")
            changes.prune(connection)
            if lake.mirror:
                lake.mirror.sweep(runs.kept(connection))


def lake_of(settings: Settings, connection: psycopg.Connection) -> Lake:
    """A folder for each database: two of them may share a home."""
    name = connection.info.dbname
    row = connection.execute(
        "SELECT system_identifier::text || oid FROM pg_control_system(), pg_database"
        " WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    folder = f"{name}-{hashlib.sha256(row[0].encode()).hexdigest()[:8]}"
    remote = Remote(settings.facts_url, folder) if settings.facts_url else None
    return Lake(settings.facts_dir.absolute() / folder, remote)
