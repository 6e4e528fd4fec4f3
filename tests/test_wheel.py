"""What is installed: the package, its SQL and the sample; no tests."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    [made] = folder.glob("*.whl")
    return made


def test_it_holds_the_package_whole_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "loanmetrics").rglob("*") if path.is_file()}
    sample = {f"loanmetrics/sample/{path.name}" for path in (ROOT / "data" / "sample").iterdir()}
    ours = {name for name in package if "__pycache__" not in name} | sample
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert "loanmetrics/store/migrations/0001.tables.sql" in names
    assert {"loanmetrics/referee.sql", "loanmetrics/sample/loans.parquet"} <= names


def test_the_sample_comes_with_it(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = "import loanmetrics as lm; print(lm.__file__); print(lm.Book.sample())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, book = done.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert book.startswith("Book(6,053 loans")
