"""Load files: each by itself, parents first, so that a load that was killed is simply run again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loanmetrics.errors import LockHeldError
from loanmetrics.policy import Policy

if TYPE_CHECKING:
    from loanmetrics.facts.load import Loaded, Loader, Progress
    from loanmetrics.facts.sources import Source
    from loanmetrics.settings import Settings

# Beside the lock of runs (see store.runs), which may go on during a load.
LOCK = (0x6C6D, 2)


@dataclass(slots=True)
class LoadReport:
    """Per table what became of its rows, and what is worth knowing about the files."""

    tables: "dict[str, Loaded]" = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def load(
    settings: "Settings", paths: Iterable[Path], policy: Policy, *, report: Path | None, progress: "Progress"
) -> LoadReport:
    """Load all files; rows held back are listed in ``report`` too, without personal data."""
    from loanmetrics.facts.sources import find
    from loanmetrics.jobs.database import opened

    sources = find(paths)
    if report:
        report.write_text("")
    with opened(settings) as url:
        return load_sources(url, sources, policy, report=report, progress=progress)


def load_sources(
    url: str, sources: "Sequence[Source]", policy: Policy, *, report: Path | None, progress: "Progress"
) -> LoadReport:
    """Load files that were found into the database at ``url``."""
    import psycopg

    from loanmetrics.facts.load import Loader
    from loanmetrics.facts.quarantine import write_report
    from loanmetrics.facts.reading import workshop
    from loanmetrics.jobs.database import plainly
    from loanmetrics.store.session import connect

    try:
        with connect(url, "loanmetrics load") as database, workshop(policy) as (work, folder):
            if database.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK).fetchone() != (True,):
                raise LockHeldError("another load is at work on this database")
            try:
                return _load_each(Loader(work, folder, database, policy, progress), sources)
            finally:
                if report:
                    write_report(work, report)
    except psycopg.Error as error:
        raise plainly(error) from error


def _load_each(loader: "Loader", sources: "Sequence[Source]") -> LoadReport:
    from loanmetrics.facts.load import Loaded

    made = LoadReport()
    for source in sources:
        loaded, found = loader.load(source)
        made.tables.setdefault(source.table.name, Loaded()).add(loaded)
        if unused := found.unused(source.table):
            made.notices.append(f"{source.name}: columns not used: {', '.join(unused)}")
    return made
