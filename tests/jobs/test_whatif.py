"""Another policy: who changes band, on a day and over days, and that nothing of it is published."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

import loanmetrics as lm
from loanmetrics.errors import UsageError
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import rows as published

OTHER = lm.Policy(cohort_days=30, dpd_count="inclusive")


@dataclass
class Files:
    """Policies of a lender."""

    other: Path
    strange: Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path / "other.toml", tmp_path / "strange.toml")
    made.other.write_text("first_payment_grace_days = 30\n")
    made.strange.write_text("max_amount = 5\n")
    return made


def looped(book: lm.Book, policy: lm.Policy, metric: str) -> dict[str, tuple[object, ...]]:
    """Bands of one day under both policies, where they differ."""
    sides = [
        lm.compute(lm.Book(book.facts, book.as_of, it), metric).collect().rows()
        for it in (book.policy, policy)
    ]
    pairs = zip(*sides, strict=True)
    return {then[0]: (*then[1:], *now[1:]) for then, now in pairs if then[2] != now[2]}


@pytest.mark.parametrize("metric", ["fimr", "risk_score", "d06_slippage"])
def test_bands_that_differ_are_those_of_two_computations(metric: str) -> None:
    book = lm.Book.sample()
    found = lm.whatif(book, OTHER, metric).collect()
    assert set(found["metric"]) <= {metric}
    told = {
        row[0]: row[1:]
        for row in found.select("officer_id", "before", "band_before", "after", "band_after").rows()
    }
    assert told == looped(book, OTHER, metric)
    assert told


def test_over_history_every_day_is_as_by_itself() -> None:
    book = lm.Book.sample()
    first = support.SAMPLE_DAY - timedelta(5)
    found = lm.whatif(book, OTHER, "fimr", "roll", first=first).collect()
    assert found.schema == lm.whatif(book, OTHER, first=first).collect_schema()
    days = [first + timedelta(back) for back in range(6)]
    alone = pl.concat([lm.whatif(book.on(day), OTHER, "fimr", "roll").collect() for day in days])
    assert found.equals(alone)


def test_the_same_policy_changes_nothing() -> None:
    assert lm.whatif(lm.Book.sample(), lm.Policy()).collect().is_empty()


def test_what_cannot_be_tried() -> None:
    book = lm.Book.sample()
    with pytest.raises(UsageError, match="max_amount decides which rows are used"):
        lm.whatif(book, lm.Policy(max_amount=5)).collect()
    with pytest.raises(UsageError, match="unknown metric with bands"):
        lm.whatif(book, OTHER, "par30").collect()
    with pytest.raises(UsageError, match="2027-01-01 is after"):
        lm.whatif(book, OTHER, first=date(2027, 1, 1)).collect()


def test_by_the_command_line_nothing_is_published(run: Cli, small: str, files: Files, tmp_path: Path) -> None:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    before = published(small)
    code, out, err = run(small, "whatif", "--policy", str(files.other), "--metric", "fimr")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"as of {DAY}, by the facts of run ")
    assert lines[1:3] == ["  first_payment_grace_days: 0 -> 30", "2 officers would be in another band"]
    assert next(line for line in lines if "O1" in line).split()[-5:] == ["fimr", "0.3333", "Flag", "-", "n/a"]
    file = tmp_path / "changes.json"
    words = ("whatif", "--policy", str(files.other), "--from", "2026-03-10", "--output", str(file))
    assert run(small, *words)[0] == 0
    assert {row["calculation_date"] for row in json.loads(file.read_text())} > {"2026-03-10", str(DAY)}
    assert published(small) == before


def test_a_policy_that_cannot_be_tried_is_one_line(run: Cli, small: str, files: Files) -> None:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    code, out, err = run(small, "whatif", "--policy", str(files.strange))
    assert (code, out) == (2, "")
    assert err.startswith("error: max_amount decides which rows are used")
