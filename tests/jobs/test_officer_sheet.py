"""One officer's sheet by the command line."""

from pathlib import Path

from pypdf import PdfReader

from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked


def test_the_sheet_of_an_officer(run: Cli, small: str, tmp_path: Path) -> None:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    code, out, err = run(small, "show", "officer", "O1", "--output", "ada.pdf")
    assert (code, out, err) == (0, f"ada.pdf: officer O1 as of {DAY}\n", "")
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "ada.pdf").pages)
    for words in ("Ada", "O1: Ikeja, West", "2,200.00", "L1", "900.00", "33.3 %", "filter officer id"):
        assert words in text, words
    [(event, actor, told)] = asked(
        small, "SELECT event, actor, new_value FROM audit_tracking ORDER BY audit_id DESC LIMIT 1"
    )
    assert (event, told) == ("export", {"list": "officer-sheet", "filters": {"officer_id": "O1"}})
    assert actor.startswith("user:")
    assert run(small, "audit", "verify")[0] == 0


def test_the_terms_are_those_of_the_revision_in_force(run: Cli, small: str, tmp_path: Path) -> None:
    (tmp_path / "second.toml").write_text(f"[revisions.risk_score]\n2 = {DAY}\n")
    assert run(small, "compute", "--as-of", str(DAY), "--policy", "second.toml")[0] == 0
    assert run(small, "show", "officer", "O1", "--output", "ada.pdf")[0] == 0
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "ada.pdf").pages)
    assert "Repayment delay" in text and "Revision 2." in text and "Cash recorded late" not in text


def test_what_is_no_pdf_or_nobody_is_refused(run: Cli, small: str, tmp_path: Path) -> None:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    code, _, err = run(small, "show", "officer", "O1", "--output", "ada.csv")
    assert (code, "is no PDF" in err) == (2, True)
    code, _, err = run(small, "show", "officer", "nobody", "--output", "nobody.pdf")
    assert (code, "there is no officer nobody" in err) == (1, True)
    assert list(tmp_path.glob("*.pdf")) == []
