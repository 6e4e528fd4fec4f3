"""Loading what is wrong: rows are held back by name and the rest is loaded, or the file is refused in one line."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from loanmetrics.facts.quoting import literal
from loanmetrics.facts.sources import LOAD_ORDER
from loanmetrics.testing import Databases
from tests.bad_input.figures import figures, untouched
from tests.bad_input.files import (
    HEADER,
    LINE,
    LINES,
    NESTED,
    NOT_READ,
    PARQUET_CELLS,
    ROWS,
    SOUND,
    Refused,
    Row,
)
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY, SMALL_BOOK
from tests.jobs.stored import asked

GIANT = "LOANMETRICS_GIANT_MB"
GIANT_MB = int(os.environ.get(GIANT, "48"))
MOST_KIB = 500 << 10
EXPORTED = ("officers", "loans", "loan_schedule", "repayments")
HELD = "SELECT source, row_number, rule, field FROM quarantined_rows"


@dataclass(frozen=True)
class Loaded:
    """A sound book and all bad rows, loaded and computed; and the sound book alone."""

    url: str
    sound: str
    said: tuple[int, str, str]
    held: Mapping[tuple[str, int], tuple[str, str | None]]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The command line as a process of its own."""
    home = tmp_path_factory.mktemp("home")

    def run(url: str, *words: str) -> tuple[int, str, str]:
        environment = {**os.environ, "LOANMETRICS_DATABASE_URL": url, "LOANMETRICS_HOME": str(home)}
        command = [sys.executable, "-m", "loanmetrics.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert "Traceback" not in done.stdout + done.stderr
        assert list(home.glob("error-*.log")) == []
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def loaded(databases: Databases, tmp_path_factory: pytest.TempPathFactory, command: Cli) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "lenient.toml").write_text("max_quarantine_share = 1.0")
    lenient = ("--policy", str(folder / "lenient.toml"))
    with databases.migrated() as sound, databases.migrated() as url:
        with psycopg.connect(sound) as connection:
            connection.execute(SMALL_BOOK)
            for name in EXPORTED:
                _export(connection, name, folder / f"{name}-1.csv")
        for name in LOAD_ORDER:
            _write(folder / f"{name}-2.csv", [row for row in ROWS if row.table == name])
        for place, (_, line) in enumerate(LINES.items()):
            lines = [HEADER.encode(), line, b"L1,1,2024-01-05", b""]
            (folder / f"loans-3{place:02}.csv").write_bytes(b"\n".join(lines))
        for place, (column, value, _) in enumerate(PARQUET_CELLS):
            _parquet(folder / f"loans-5{place:02}.parquet", {"loan_id": f"'P{place}'", column: value})
        said = command(url, "load", str(folder), *lenient)
        for each in (sound, url):
            assert command(each, "compute", "--as-of", str(DAY))[0] == 0
        held = {(source, number): (rule, field) for source, number, rule, field in asked(url, HELD)}
        yield Loaded(url, sound, said, held)


def _export(connection: psycopg.Connection, name: str, target: Path) -> None:
    query = f"COPY (SELECT * FROM {name}) TO STDOUT (FORMAT csv, HEADER)"
    with connection.cursor().copy(query.encode()) as copy:
        target.write_bytes(b"".join(copy))


def _write(file: Path, rows: list[Row]) -> None:
    """Every row with a key of its own; cells are quoted already where they must be."""
    sound = SOUND[file.name.removesuffix("-2.csv")]
    names = list(dict.fromkeys([*sound, *(name for row in rows for name in row.cells)]))
    lines = [",".join(names)]
    for number, row in enumerate(rows, 10):
        cells = {**{name: text.format(number) for name, text in sound.items()}, **row.cells}
        lines.append(",".join(cells.get(name, "") for name in names))
    file.write_bytes("\n".join([*lines, ""]).encode())


def _parquet(file: Path, cells: Mapping[str, str]) -> None:
    sound = {"loan_amount": "900", "disbursement_date": "DATE '2026-02-02'", "loan_term_days": "30"}
    picked = ", ".join(f"{value} AS {name}" for name, value in (sound | dict(cells)).items())
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {picked}) TO {literal(file)} (FORMAT parquet)")


def test_whatever_is_held_back_the_rest_is_loaded_and_its_figures_are_the_same(loaded: Loaded) -> None:
    code, out, err = loaded.said
    assert (code, err.startswith("rows held back are in the table")) == (0, True)
    assert "loans " in out
    assert figures(loaded.url) == figures(loaded.sound)
    repeated = len(LINES)
    assert len(loaded.held) == len(ROWS) + len(LINES) + repeated + len(PARQUET_CELLS)


def _name(row: Row) -> str:
    return f"{row.table} {' '.join(f'{name}={value[:20]!r}' for name, value in row.cells.items())}"


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_a_bad_row_is_held_back_by_name_and_field(loaded: Loaded, row: Row) -> None:
    number = [other for other in ROWS if other.table == row.table].index(row) + 1
    assert loaded.held[f"{row.table}-2.csv", number] == (row.rule, row.field)


@pytest.mark.parametrize("place", range(len(LINES)), ids=LINES)
def test_a_line_that_is_no_row_is_held_back_by_itself(loaded: Loaded, place: int) -> None:
    """The line after it is read: it repeats a loan."""
    file = f"loans-3{place:02}.csv"
    assert {rule for (name, _), (rule, _) in loaded.held.items() if name == file} == {
        "bad_line",
        "duplicate_id",
    }
    assert loaded.held[file, 2] == ("bad_line", None)


@pytest.mark.parametrize(
    "place", range(len(PARQUET_CELLS)), ids=[value[:30] for _, value, _ in PARQUET_CELLS]
)
def test_a_bad_parquet_cell_holds_its_row_back(loaded: Loaded, place: int) -> None:
    column, _, rule = PARQUET_CELLS[place]
    assert loaded.held[f"loans-5{place:02}.parquet", 1] == (rule, column)


def test_long_cells_are_kept_in_quarantine_up_to_a_limit(loaded: Loaded) -> None:
    longest = "SELECT max(length(value)) FROM quarantined_rows, jsonb_each_text(content)"
    assert asked(loaded.url, longest) == [(1_000,)]


@pytest.mark.parametrize(
    "file", NOT_READ, ids=[f"{place} {file.name} {file.message}" for place, file in enumerate(NOT_READ)]
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    run: Cli, small: str, home: Path, tmp_path: Path, file: Refused
) -> None:
    (tmp_path / file.name).write_bytes(file.content)
    with untouched(small):
        code, out, err = run(small, "load", file.name)
    assert (code, out) in ((1, ""), (2, ""))
    assert file.message in err
    first, *hint = err.splitlines()
    assert first.startswith("error: ")
    assert [line[:6] for line in hint] in ([], ["hint: "])
    assert list(home.glob("error-*.log")) == []


@pytest.mark.parametrize("value", NESTED.values(), ids=NESTED)
def test_nested_values_are_refused(run: Cli, small: str, tmp_path: Path, value: str) -> None:
    _parquet(tmp_path / "loans.parquet", {"loan_id": "'P'", "branch": value})
    with untouched(small):
        assert run(small, "load", "loans.parquet") == (
            1,
            "",
            "error: loans.parquet: column branch holds nested values\nhint: give one value per cell\n",
        )


def test_a_header_and_nothing_else_is_a_table_without_rows(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text(f"{HEADER}\n")
    before = figures(small)
    code, out, _ = run(small, "load", "loans.csv")
    assert (code, out.split()[-5:]) == (0, ["loans", "0", "0", "0", "0"])
    assert figures(small) == before


# What the operating system tells of a child that has ended includes what its parent held when it was born.
WATCHED = """
import re, sys
from pathlib import Path
from loanmetrics.cli import main
peak = Path(sys.argv.pop())
try:
    main()
finally:
    peak.write_text(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "one line"])
def test_a_giant_cell_is_refused_in_little_memory(small: str, tmp_path: Path, kind: str) -> None:
    """LOANMETRICS_GIANT_MB=1024 for the long form."""
    file = tmp_path / f"loans.{'csv' if kind == 'one line' else kind}"
    _giant(file, b"" if kind == "one line" else f"{HEADER},branch\n{LINE},".encode())
    kept = {name: value for name, value in os.environ.items() if name != GIANT}
    home = str(tmp_path / "home")
    environment = {**kept, "LOANMETRICS_DATABASE_URL": small, "LOANMETRICS_HOME": home}
    peak = tmp_path / "peak"
    command = [sys.executable, "-c", WATCHED, "load", str(file), str(peak)]
    with untouched(small):
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert "longer than" in done.stderr
    assert int(peak.read_text()) < MOST_KIB


def _giant(file: Path, head: bytes) -> None:
    opened: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wb") as target:
        target.write(head)
        for _ in range(GIANT_MB):
            target.write(b"x" * (1 << 20))
        target.write(b"\n")
