"""Which files to load, and which table each holds: its stem says so (``loans-0001.csv.gz``)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loanmetrics.errors import UsageError, suggest, unknown
from loanmetrics.facts.quoting import utf8
from loanmetrics.tables import LENDER_TABLES, TABLES, Table

# A report begins with these names: by them one in a folder is told from data.
REPORT_COLUMNS = ("source", "table_name", "row_number", "row_key", "rule", "field", "content")
SUFFIXES = (".parquet", ".csv", ".csv.gz")
LOAD_ORDER = ("customers", "officers", "holidays", "loans", "loan_schedule", "repayments", "gl_balances")


@dataclass(frozen=True, slots=True)
class Source:
    """One file and the table it holds."""

    path: Path
    table: Table

    @property
    def name(self) -> str:
        """The file's name, which names it in reports and in quarantine."""
        return self.path.name

    @property
    def is_parquet(self) -> bool:
        """Parquet, else CSV."""
        return self.name.lower().endswith(".parquet")


def find(paths: Iterable[Path]) -> list[Source]:
    """All files to load, parents before children; a folder stands for the data files in it, reports aside."""
    files = {file.resolve(): file for path in paths for file in _files(path)}
    for file in files:
        utf8(file)
    _refuse_twins(files)
    sources = [Source(file, table_of(file)) for file in files.values()]
    return sorted(sources, key=lambda source: (LOAD_ORDER.index(source.table.name), source.name, source.path))


def table_of(path: Path) -> Table:
    """The lender's table that a file holds.

    >>> table_of(Path("loan_schedule-0001.csv.gz")).name
    'loan_schedule'
    """
    stem = path.name[: -len(_suffix(path))]
    word = re.sub(r"[-_.]\d[\w.-]*$", "", stem)
    if word in LOAD_ORDER:
        return TABLES[word]
    if word in TABLES:
        raise UsageError(f"{path.name}: {word} is computed here, not loaded", _loadable())
    raise unknown("table", word, (table.name for table in LENDER_TABLES))


def _refuse_twins(files: Iterable[Path]) -> None:
    """The same file in two formats is one export too many: which of them is right?"""
    known: dict[Path, Path] = {}
    for file in files:
        twin = known.setdefault(file.with_name(file.name[: -len(_suffix(file))]), file)
        if twin != file:
            raise UsageError(f"{file.parent} holds both {twin.name} and {file.name}", "keep one of them")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if _is_data(file))
        if not found:
            raise UsageError(f"{path} holds no data files", f"looked for {', '.join(SUFFIXES)}")
        return found
    if not path.is_file():
        raise UsageError(f"no such file: {path}", _near(path))
    if not _suffix(path):
        raise UsageError(f"{path.name} is no data file", f"loadable: {', '.join(SUFFIXES)}")
    return [path]


def _is_data(file: Path) -> bool:
    if not (file.is_file() and _suffix(file)):
        return False
    header = ",".join(REPORT_COLUMNS).encode()
    with file.open("rb") as content:
        return content.read(len(header) + 1).rstrip() != header


def _suffix(path: Path) -> str:
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def _near(path: Path) -> str | None:
    return suggest(path.name, (near.name for near in path.parent.iterdir())) if path.parent.is_dir() else None


def _loadable() -> str:
    return f"loadable: {', '.join(LOAD_ORDER)}"
