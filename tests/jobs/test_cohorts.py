"""Roll matrices and vintages of published days, on the screen and in files."""

import json
from pathlib import Path

import pytest

import loanmetrics as lm
from loanmetrics.errors import UsageError
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY


@pytest.fixture
def published(run: Cli, small: str) -> str:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    return small


def test_a_matrix_on_the_screen(run: Cli, published: str) -> None:
    code, out, err = run(published, "show", "roll-matrix", "--from", "2026-03-08")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["from", "2026-03-08", "to", str(DAY)]
    # L1 and L2 had not paid their first installment on 8 March, L3 had, L4 and L5 more than that.
    assert next(line for line in lines if line[:1] == ["1-6"])[:2] == ["1-6", "0"]
    assert next(line for line in lines if line[:1] == ["7-30"])[1:6] == ["2", "0.0", "%", "0.0", "%"]


def test_a_matrix_of_some_in_a_file(run: Cli, published: str, tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    words = ("show", "roll-matrix", "--from", "2026-03-08", "--officer", "O1", "--by", "branch")
    assert run(published, *words, "--output", str(file))[0] == 0
    rows = json.loads(file.read_text())
    assert {row["branch"] for row in rows} == {"Ikeja"}
    assert sum(row["loans"] for row in rows) == 3
    assert sum(float(row["balance"]) for row in rows) == 2200.0


def test_vintages_on_the_screen(run: Cli, published: str) -> None:
    code, out, err = run(published, "show", "vintages", "--dpd", "6", "--what", "money")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:6] == ["ever", "over", "6", "days", "past", "due"]
    assert next(line for line in lines if line[:1] == ["2026-02-01"])[1] == "4,500.00"


def test_who_stands_out_on_the_screen(run: Cli, published: str) -> None:
    code, out, err = run(published, "show", "certainty", "fimr")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines if line and line[0] in ("O1", "O2")] == ["O2", "O1"]
    assert next(line for line in lines if line[:1] == ["O1"])[1:5] == ["Ada", "33.3", "%", "3"]
    assert next(line for line in lines if line[:1] == ["O1"])[-2:] == ["too", "few"]


def test_who_stands_out_of_loans_of_the_same_kinds(run: Cli, published: str, tmp_path: Path) -> None:
    code, out, err = run(published, "show", "peers", "fimr", "--trait", "region")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:5] == ["officer_id", "officer_name", "value", "expected", "relative"]
    assert next(line for line in lines if line[:1] == ["O1"])[1:4] == ["Ada", "33.3", "%"]
    file = tmp_path / "peers.json"
    assert run(published, "show", "peers", "fimr", "--by", "book", "--output", str(file))[0] == 0
    (row,) = json.loads(file.read_text())
    assert [row["adjusted"], row["expected"]] == pytest.approx([row["value"]] * 2)
    assert (row["relative"], row["alone"]) == (pytest.approx(1), 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("certainty", "risk_score"), "error: risk_score is no ratio of two sums over loans"),
        (("peers", "risk_score"), "error: risk_score is no ratio of two sums over loans"),
        (("peers", "fimr", "--trait", "sise"), "error: unknown trait: sise\nhint: did you mean size?"),
        (("roll-matrix", "--from", str(DAY)), f"error: {DAY} is not before {DAY}"),
        (("roll-matrix", "--from", "2026-03-08", "--officer", "O9"), "error: unknown officer: O9"),
        (("vintages", "--branch", "Ikja"), "error: unknown branch: Ikja\nhint: did you mean Ikeja?"),
        (("vintages", "--as-of", "2027-01-01"), "error: there are no figures of 2027-01-01"),
    ],
)
def test_what_cannot_be_shown(run: Cli, published: str, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(published, "show", *words)
    assert code in (1, 2)
    assert (out, err[: len(said)]) == ("", said)


def test_in_a_notebook() -> None:
    book = lm.Book.sample()
    matrix = lm.roll_matrix(book, support.SAMPLE_DAY.replace(day=1), by="region")
    assert matrix.collect_schema() == matrix.collect().schema
    trusted = lm.certainty(book, "par7", by="branch")
    assert trusted.collect_schema() == trusted.collect().schema
    held = lm.peers(book, "par7", by="branch", traits=("size", "age"))
    assert held.collect_schema() == held.collect().schema
    table = lm.vintage(book, 30)
    assert table.collect_schema() == table.collect().schema
    with pytest.raises(UsageError, match="unknown grouping"):
        lm.vintage(book, by="banch")
