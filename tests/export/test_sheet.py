"""A sheet of paper says what it was given, in letters, and the same figures make the same file."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pypdf import PdfReader

from loanmetrics.errors import UsageError
from loanmetrics.export import About, ColumnAbout, sheet
from loanmetrics.export.paper import UNKNOWN
from loanmetrics.export.sheet import Figure, Line, Points, Sheet

DAY = date(2026, 6, 30)
ABOUT = About(
    "Officer A17 as of 2026-06-30",
    run_id="20260630T020000-1",
    known_at="20260629T020000-9",
    as_of=DAY,
    calculated_at=datetime(2026, 6, 30, 2, tzinfo=UTC),
    filters={"officer_id": "A17"},
    policy_hash="dd7c7cb93bcf25cf",
)
SCORE = Figure("Risk score", 44, "score", "100 less penalties.", "Amber")
COLUMNS = (
    ColumnAbout("loan_id", "text", "loan"),
    ColumnAbout("customer_name", "text", "customer"),
    ColumnAbout("customer_phone", "text", "telephone"),
    ColumnAbout("disbursement_date", "date", "disbursed"),
    ColumnAbout("loan_amount", "money", "amount"),
    ColumnAbout("outstanding_balance", "money", "owed"),
    ColumnAbout("current_dpd", "int", "DPD", "Days past due."),
    ColumnAbout("loan_risk_score", "points", "risk"),
)
LOANS = pl.DataFrame(
    [
        ("L1", "Ngozi", "****1234", date(2026, 1, 5), 1_234_567_89, 999_00, 1_428, 97.25),
        ("L2", None, None, DAY, 1, 0, 0, 0.0),
    ],
    schema=[column.name for column in COLUMNS],
    orient="row",
)
SHEET = Sheet(
    name="Ada Eze",
    place="A17: Ikeja, Lagos",
    headline=SCORE,
    facts=[("run", ABOUT.run_id), ("policy", ABOUT.policy_hash)],
    figures=[
        SCORE,
        Figure(
            "First installment miss rate",
            0.125,
            "ratio",
            "Misses.",
            "Flag",
            "missed / NULLIF(all_of_them, 0)",
        ),
        Figure("Total portfolio", -5, "money", "Owed."),
        Figure("Rank", None, "int", "Place among all."),
    ],
    points=[
        Points("fimr", 1.5, 15, "fimr"),
        Points("roll", 10.0, 10, "roll"),
        Points("porr", 0.0, 20, "porr"),
    ],
    lines=[
        Line("Risk score", [(DAY - timedelta(n), None if n == 5 else 50.0 + n) for n in range(9, -1, -1)])
    ],
    limits=[("Green", 80), ("Watch", 60)],
    columns=COLUMNS,
    loans=LOANS,
    more=3,
    turns={DAY - timedelta(4): "risk_score 2", date(2020, 1, 1): "long ago"},
)


def text_of(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def written(tmp_path: Path, made: Sheet = SHEET) -> str:
    sheet.write(tmp_path / "sheet.pdf", made, ABOUT)
    return text_of(tmp_path / "sheet.pdf")


def test_everything_is_on_it_in_letters(tmp_path: Path) -> None:
    text = written(tmp_path)
    for words in (
        *("Ada Eze", "A17: Ikeja, Lagos", "44", "Amber", "12.5 %", "Flag", "-0.05", "= missed / all_of_them"),
        *(
            "100 less 11.50 points is 88.50",
            "10.00",
            "of 15",
            "risk_score 2",
            "2026-06-21 to 2026-06-30, 9 published",
        ),
        *(
            "L1",
            "Ngozi",
            "****1234",
            "2026-01-05",
            "1,234,567.89",
            "999.00",
            "1,428",
            "97.2",
            "3 more are not shown",
        ),
        *(
            "DPD: Days past due.",
            ABOUT.run_id,
            "20260629T020000-9",
            ABOUT.policy_hash,
            "2026-06-30T02:00:00Z",
        ),
        *("filter officer id", "1 / 1"),
    ):
        assert words in text, words
    assert "long ago" not in text
    rows = text.splitlines()
    assert rows.index(next(row for row in rows if row.startswith("roll"))) < rows.index(
        next(row for row in rows if row.startswith("fimr"))
    )


def test_the_same_figures_make_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        sheet.write(tmp_path / name, SHEET, ABOUT)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    told = PdfReader(tmp_path / "one").metadata
    assert told is not None and told.title == ABOUT.title and told.creation_date == ABOUT.calculated_at


def test_names_keep_their_letters_and_what_has_none_is_shown_to_be_missing(tmp_path: Path) -> None:
    name = "Ọláwálé Ṣóyínká-Ðuričić Œ₦"
    assert name in written(tmp_path, replace(SHEET, name=name))
    assert f"Li {UNKNOWN}{UNKNOWN} x" in written(tmp_path, replace(SHEET, name="Li 李明\tx"))


def test_a_long_sheet_goes_on_with_its_heads_repeated(tmp_path: Path) -> None:
    many = pl.concat([LOANS] * 60)
    written(tmp_path, replace(SHEET, loans=many))
    pages = PdfReader(tmp_path / "sheet.pdf").pages
    assert len(pages) > 2
    texts = [page.extract_text() for page in pages]
    assert all("telephone" in text for text in texts[1:-1])
    assert [f"{n} / {len(pages)}" in text for n, text in enumerate(texts, 1)] == [True] * len(pages)


def test_an_officer_without_anything_has_a_sheet(tmp_path: Path) -> None:
    nothing = Figure("Risk score", None, "score", "", "n/a")
    empty = replace(
        SHEET, headline=nothing, points=[], lines=[], loans=LOANS.clear(), more=0, figures=[nothing]
    )
    text = written(tmp_path, empty)
    assert "There is no loan on the book." in text and "The last 90 days" not in text


def test_a_very_long_name_is_cut(tmp_path: Path) -> None:
    text = written(tmp_path, replace(SHEET, name="Adébáyọ̀ " * 40))
    assert "…" in text and text.count("Adébáyọ̀") < 10


def test_a_sheet_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sheet.pdf"
    path.write_text("before")
    broken = replace(SHEET, loans=LOANS.drop("loan_id"))
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        sheet.write(path, broken, ABOUT)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("loanmetrics.export.pdf", "loanmetrics.export.paper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("loanmetrics.export.pdf", raising=False)
    monkeypatch.setitem(sys.modules, "fpdf", None)
    with pytest.raises(UsageError, match="fpdf2 is not installed"):
        sheet.write(tmp_path / "sheet.pdf", SHEET, ABOUT)
