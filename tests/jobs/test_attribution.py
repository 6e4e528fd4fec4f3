"""Whose loans they were, by the command line: what was recorded, what is published, and what nobody recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

import loanmetrics as lm
from loanmetrics.errors import ConflictError
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, told
from tests.jobs.stored import rows as published

COMPUTE = ("compute", "--as-of", str(DAY))
NOTHING = "error: these facts do not tell whom loans were with before\nhint: it is recorded by the database's triggers"


@pytest.fixture
def moved(run: Cli, small: str) -> str:
    """L1, the one whose first payment was missed, was given to Zainab; L5 went there and came back."""
    for officer, loan in (("O3", "L1"), ("O3", "L5"), ("O2", "L5")):
        told(small, f"UPDATE loans SET officer_id = '{officer}' WHERE loan_id = '{loan}'")
    assert run(small, *COMPUTE)[0] == 0
    return small


def in_a_file(run: Cli, url: str, file: Path, *words: str) -> list[dict[str, Any]]:
    assert run(url, "show", "attribution", *words, "--output", str(file))[0] == 0
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def test_both_sides_on_the_screen(run: Cli, moved: str) -> None:
    code, out, err = run(moved, "show", "attribution", "origination", "--metric", "fimr")
    assert (code, err) == (0, "")
    (since,) = asked(moved, "SELECT reassigned_at::date FROM loan_reassignments WHERE loan_id IS NULL")[0]
    lines = out.splitlines()
    assert lines[0].startswith(f"as of {DAY}, by the facts of run ")
    assert lines[1:3] == [
        f"loans that were with another officer by origination: 1, as recorded since {since}",
        "loans held to be with the first officer known, for want of earlier records: 5",
    ]
    told_of = {line.split()[0]: line.split() for line in lines[4:] if line.strip().startswith("O")}
    assert told_of["O1"] == ["O1", "Ada", "fimr", "0.0000", "Green", "0.3333", "Flag", "1", "0", "3"]
    assert told_of["O3"] == ["O3", "Zainab", "fimr", "1.0000", "Flag", "-", "n/a", "0", "1", "0"]
    assert "O2" not in told_of


def test_now_is_what_is_published_and_nothing_else_is(run: Cli, moved: str, tmp_path: Path) -> None:
    before = published(moved)
    for rule in ("origination", "first_late"):
        rows = in_a_file(run, moved, tmp_path / f"{rule}.json", rule)
        for row in rows:
            band = "risk_band" if row["metric"] == "risk_score" else f"{row['metric']}_band"
            stored = f"SELECT {row['metric']}::float, {band} FROM officer_metrics_daily"
            assert asked(moved, f"{stored} WHERE officer_id = '{row['officer_id']}'") == [
                (row["now"], row["band_now"])
            ]
        assert {row["officer_id"] for row in rows} == {"O1", "O2", "O3"}
        assert {row["metric"] for row in rows} > {"fimr", "roll", "risk_score", "dqi"}
    assert published(moved) == before


def test_of_several_officers_after_the_day_the_first_counts(run: Cli, small: str, tmp_path: Path) -> None:
    told(small, "UPDATE loans SET officer_id = 'O4', branch = 'Kano' WHERE loan_id IN ('L1', 'L4')")
    told(small, "UPDATE loans SET officer_id = 'O1', branch = 'Ikeja' WHERE loan_id IN ('L1', 'L4')")
    told(small, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L4'")
    assert run(small, *COMPUTE)[0] == 0
    rows = in_a_file(run, small, tmp_path / "rows.json", "first_late", "--metric", "par1", "--metric", "fimr")
    assert [row["metric"] for row in rows] == ["par1"] * 3 + ["fimr"] * 3
    moves = {row["officer_id"]: (row["gained"], row["lost"]) for row in rows}
    assert moves == {"O1": (0, 0), "O2": (1, 0), "O3": (0, 1)}


def test_a_source_that_records_nothing_is_told_plainly(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(small, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L1'")
    told(small, "DROP TRIGGER loanmetrics_log_update ON loans")
    monkeypatch.setenv("LOANMETRICS_CHANGE_DETECTION", "hashes")
    assert run(small, *COMPUTE)[0] == 0
    code, out, err = run(small, "show", "attribution", "origination")
    assert (code, out, err[: len(NOTHING)]) == (1, "", NOTHING)
    with pytest.raises(ConflictError, match="do not tell whom loans were with"):
        lm.attribution(lm.Book.sample(), "origination").collect()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("origination", "--metric", "fmir"), "error: unknown metric: fmir\nhint: did you mean fimr?"),
        (("origination", "--as-of", "2027-01-01"), "error: there are no figures of 2027-01-01"),
    ],
)
def test_what_cannot_be_shown(run: Cli, moved: str, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(moved, "show", "attribution", *words)
    assert code in (1, 2)
    assert (out, err[: len(said)]) == ("", said)


def test_a_rule_that_there_is_not(run: Cli, small: str) -> None:
    code, out, err = run(small, "show", "attribution", "sometime")
    assert (code, out) == (2, "")
    assert "'sometime' is not one of 'origination', 'first_late'" in err


def test_in_a_notebook(small: str) -> None:
    told(small, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L1'")
    found = lm.attribution(lm.Book.scan(small, as_of=DAY), "origination", "fimr")
    rows = found.collect()
    assert found.collect_schema() == rows.schema
    assert dict(zip(rows["officer_id"], rows["gained"], strict=True)) == {"O1": 1, "O2": 0, "O3": 0}
    assert support.sample_facts().reassigned.is_empty()
