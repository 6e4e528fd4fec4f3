"""Load files: each by itself, parents first, so that a load that was killed is simply run again."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loanmetrics.errors import GateError, LockHeldError, UsageError
from loanmetrics.policy import Policy
from loanmetrics.steps import step

if TYPE_CHECKING:
    from loanmetrics.facts.load import Loaded, Loader, Progress
    from loanmetrics.facts.sources import Source
    from loanmetrics.settings import Settings

# Beside the lock of runs (see store.runs), which may go on during a load.
LOCK = (0x6C6D, 2)
UNFINISHED = ".new"


@dataclass(slots=True)
class LoadReport:
    """Per table what became of its rows, and what is worth knowing about the files; it grows file by file."""

    tables: "dict[str, Loaded]" = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def load(
    settings: "Settings",
    paths: Iterable[Path],
    policy: Policy,
    made: LoadReport,
    *,
    report: Path | None,
    progress: "Progress",
) -> None:
    """Load all files into ``made``; rows held back are listed in ``report`` too, without personal data."""
    from loanmetrics.facts.sources import find
    from loanmetrics.jobs.database import opened

    sources = find(paths)
    with _replaced(report, sources) as fresh, opened(settings) as url:
        load_sources(url, sources, policy, made, report=fresh, progress=progress)


def few_held_back(made: LoadReport, policy: Policy) -> None:
    """A load that held back more than the policy's share of a table did not go well, though the rest is in."""
    over = [
        f"{name}: {it.held_back:,} of {it.read:,} rows held back "
        f"({', '.join(f'{rule} {count:,}' for rule, count in it.quarantined.items())})"
        for name, it in made.tables.items()
        if it.held_back > policy.max_quarantine_share * it.read
    ]
    if over:
        raise GateError(
            "; ".join(over),
            f"all other rows are loaded; Policy.max_quarantine_share is {policy.max_quarantine_share}",
        )


@contextmanager
def _replaced(report: Path | None, sources: "Sequence[Source]") -> Iterator[Path | None]:
    """A file beside ``report`` that takes its place once it is written."""
    if report is None:
        yield None
        return
    target = report.resolve()
    if target.exists() and not target.is_file():
        raise UsageError(f"{report} is no file", "name a CSV file for the report")
    if target.exists() and any(target.samefile(source.path) for source in sources):
        raise UsageError(f"{report} is one of the files to load", "name another file for the report")
    for left in target.parent.glob(f".{glob.escape(target.name)}.*{UNFINISHED}"):
        _remove_if_abandoned(left)
    fresh = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    try:
        fresh.touch()
    except OSError as error:
        error.filename = str(report)
        raise
    try:
        yield fresh
    finally:
        if fresh.stat().st_size:
            fresh.replace(target)
        else:
            fresh.unlink()


def _remove_if_abandoned(report: Path) -> None:
    """Take away an unfinished report if its process has ended."""
    pid = report.name.removesuffix(UNFINISHED).rpartition(".")[2]
    if not pid.isdecimal():
        return
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        report.unlink(missing_ok=True)
    except (OSError, OverflowError):
        return


def load_sources(
    url: str,
    sources: "Sequence[Source]",
    policy: Policy,
    made: LoadReport | None = None,
    *,
    report: Path | None,
    progress: "Progress",
) -> LoadReport:
    """Load files that were found into the database at ``url``."""
    import psycopg

    from loanmetrics.facts.load import Loader
    from loanmetrics.facts.quarantine import write_report
    from loanmetrics.facts.reading import workshop
    from loanmetrics.jobs.database import plainly
    from loanmetrics.store.session import connect

    told = LoadReport() if made is None else made
    step("connect")
    try:
        with connect(url, "loanmetrics load") as database, workshop(policy) as (work, folder):
            if database.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK).fetchone() != (True,):
                raise LockHeldError("another load is at work on this database")
            try:
                _load_each(Loader(work, folder, database, policy, progress), sources, told)
            finally:
                if report:
                    step("report")
                    write_report(work, report)
    except psycopg.Error as error:
        raise plainly(error) from error
    return told


def _load_each(loader: "Loader", sources: "Sequence[Source]", made: LoadReport) -> None:
    from loanmetrics.facts.load import Loaded

    for source in sources:
        loaded, found = loader.load(source)
        made.tables.setdefault(source.table.name, Loaded()).add(loaded)
        if unused := found.unused(source.table):
            made.notices.append(f"{source.name}: columns not used: {', '.join(unused)}")
