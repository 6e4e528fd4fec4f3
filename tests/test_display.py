"""What notebooks show: tables for people, with units, bands and definitions, and nothing that a text could break."""

import re
from datetime import date
from html import unescape

import polars as pl
import pytest

import loanmetrics as lm
from loanmetrics.display.table import BAND_COLOURS, Column, Table
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.metric import Metric, ratio
from loanmetrics.errors import UsageError

MAY = date(2026, 5, 31)
NASTY = '<img src=x onerror="alert(1)">&'


@pytest.fixture(scope="module")
def book() -> lm.Book:
    return lm.Book.sample()


def html(what: object) -> str:
    return str(what._repr_html_())  # type: ignore[attr-defined]


def plain(what: object) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html(what))))


def cells(what: object) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", html(what))
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?</td>", row)] for row in rows
    ]


def test_money_is_in_units_and_ratios_in_per_cent_with_bands_beside(book: lm.Book) -> None:
    shown = lm.show(lm.compute(book, "active_loans", "total_portfolio", "fimr", "risk_score", by="book"))
    assert cells(shown)[1] == ["1,448", "162,224,726.67", "18.3 %", "\u25cf Flag", "79", "\u25cf Watch"]
    assert repr(shown).splitlines() == [
        "active_loans  total_portfolio    fimr  fimr_band  risk_score  risk_band",
        "       1,448   162,224,726.67  18.3 %  Flag               79  Watch",
    ]


def test_figures_stand_to_the_right_and_heads_tell_unit_and_meaning(book: lm.Book) -> None:
    shown = html(lm.show(lm.compute(book, "total_portfolio", by="branch")))
    head = re.findall(r'<th scope="col" style="text-align:(\w+).*?</th>', shown)
    assert head == ["left", "left", "right"]
    assert 'title="Owed by loans on the book."' in shown
    assert ">units</span>" in shown


def test_every_band_has_its_colour_and_its_name(book: lm.Book) -> None:
    banded = {name for metric in load().metrics.values() if metric.bands for name, _ in metric.bands.limits}
    banded |= {metric.bands.otherwise for metric in load().metrics.values() if metric.bands}
    assert banded == set(BAND_COLOURS)
    shown = html(lm.show(lm.compute(book, "risk_score"), rows=100))
    for name in ("Green", "Watch", "Amber", "Red"):
        assert f'<span style="color:{BAND_COLOURS[name]}">\u25cf</span> {name}</td>' in shown
    assert "<td" in shown and re.search(r">n/a</td>", shown)


def test_it_tells_how_many_rows_are_left_out(book: lm.Book) -> None:
    shown = lm.show(lm.compute(book, "fimr"), rows=10)
    assert len(cells(shown)) == 1 + 10
    assert plain(shown).endswith("34 more rows ")
    assert "more rows" not in plain(lm.show(lm.compute(book, "fimr"), rows=44))


def test_columns_of_ones_own_are_shown_as_told(book: lm.Book) -> None:
    owed = lm.sql(
        book, "SELECT sum(total_outstanding) AS owed, avg(total_outstanding) AS one FROM loans WHERE on_book"
    )
    assert cells(lm.show(owed, owed="money", one="money"))[1] == ["162,224,726.67", "112,033.65"]
    rates = pl.DataFrame(
        {"rate": [0.25], "ratio": [0.25], "count": [1234], "text": ["x"], "when": [MAY], "none": [None]}
    )
    assert cells(lm.show(rates, ratio="ratio"))[1] == ["0.2500", "25.0 %", "1,234", "x", "2026-05-31", "-"]


def test_texts_are_harmless(book: lm.Book) -> None:
    frame = pl.DataFrame({NASTY: [NASTY], "officer_name": [NASTY], "risk_band": [NASTY]})
    table = Table(
        [Column(NASTY, [NASTY], unit=NASTY, about=NASTY, band=True, meanings=[NASTY])], NASTY, NASTY
    )
    for shown in (html(lm.show(frame)), table.html()):
        assert "<img" not in shown
        assert 'onerror="' not in shown
    assert plain(lm.show(frame)).count(NASTY) == 4


def test_it_suits_light_and_dark_pages(book: lm.Book) -> None:
    shown = html(lm.show(lm.vintage(book))) + html(lm.explain(book, "risk_score")) + html(book)
    colours = set(re.findall(r"(?:color|background):([^;\"]+)", shown))
    assert {it for it in colours if not it.startswith("rgba(128,128,128")} <= {
        "inherit",
        *BAND_COLOURS.values(),
    }
    assert "<style" not in shown and "<script" not in shown and "http" not in shown


def test_a_roll_matrix_lies_across_the_page_and_every_row_is_whole(book: lm.Book) -> None:
    shown = cells(lm.show(lm.roll_matrix(book, MAY)))
    assert shown[1][:3] == ["0", "790", "46.3 %"]
    assert len(shown) == 1 + 6
    for row in shown[1:]:
        assert sum(float(share.removesuffix(" %")) for share in row[2:]) == pytest.approx(100, abs=0.5)


def test_groups_have_a_table_each(book: lm.Book) -> None:
    shown = html(lm.show(lm.vintage(book, by="region")))
    assert re.findall(r"<caption[^>]*>(.*?)</caption>", shown) == [
        "Lagos",
        "North",
        "South East",
        "South West",
        "Unknown",
    ]


def test_the_darker_the_larger(book: lm.Book) -> None:
    shown = html(lm.show(lm.roll_matrix(book, MAY)))
    assert re.search(r"background:rgba\(128,128,128,0\.46\)\">91\.\d %<", shown)
    assert re.search(r"nowrap\">0\.0 %<", shown)


def test_what_changed_a_figure_goes_from_opening_to_closing(book: lm.Book) -> None:
    may = book.on(MAY)
    shown = lm.show(lm.rollforward(may, book, "par30_principal", by="book"))
    rows = cells(shown)[1:]
    first, last = (
        lm.compute(one, "par30_principal", by="book").collect().item() / 100 for one in (may, book)
    )
    amounts = [float(row[1].replace(",", "")) for row in rows]
    assert (rows[0][0], rows[-1][0]) == ("before", "after")
    assert (amounts[0], amounts[-1]) == (first, last)
    assert sum(amounts[:-1]) == pytest.approx(last, abs=0.005)
    assert 'title="The loan was late and is later now."' in html(shown)


def test_many_figures_are_cut_and_counted(book: lm.Book) -> None:
    changes = lm.rollforward(book.on(MAY), book, by="book").collect()
    figures = changes["figure"].n_unique()
    shown = html(lm.show(changes))
    assert shown.count("<table") == 12 < figures
    assert f"{figures - 12} more figures" in shown


def test_values_of_many_figures_are_each_shown_as_its_own_kind(book: lm.Book) -> None:
    made = lm.explain(book, "fimr", officer_id="O0032").made_of
    assert cells(lm.show(made))[1:] == [["first_miss_count", "17"], ["disbursed_count", "21"]]
    other = lm.whatif(book, lm.Policy(cohort_days=30), "fimr", "risk_score")
    values = {row[4]: (row[5], row[6]) for row in cells(lm.show(other, rows=100))[1:]}
    assert values["fimr"][0].endswith(" %")
    named = pl.DataFrame({"name": ["Ada"], "value": ["good"]})
    assert cells(lm.show(named))[1] == ["Ada", "good"]


@pytest.mark.parametrize("name", [*load().metrics, *load().measures])
def test_everything_in_the_catalogue_is_defined(name: str) -> None:
    catalogue = load()
    defined = catalogue.metrics.get(name) or catalogue.measures[name]
    told = plain(lm.show(name))
    assert defined.about in told
    for text in [defined.formula] if isinstance(defined, Metric) and not defined.terms else []:
        assert text in told
    if isinstance(defined, Metric) and defined.bands:
        assert defined.bands.otherwise in told


def test_a_figure_explained(book: lm.Book) -> None:
    told = lm.explain(book, "risk_score", officer_id="O0032")
    text = plain(told)
    assert text.startswith(" Risk score: 37 \u25cf Red 100 less a penalty per warning sign")
    assert "porr 16.44 20 porr fimr 12.14 15 fimr" in text
    assert "total_portfolio 11,502,345.81" in text
    assert "first_miss_count / NULLIF(disbursed_count, 0)" in plain(lm.explain(book, "fimr"))
    assert "no_disbursals" in plain(lm.explain(book, "fimr", officer_id="nobody"))
    assert plain(lm.explain(book, "total_yield")).startswith(" Yield this month: ")


def test_a_loans_account(book: lm.Book) -> None:
    text = plain(lm.statement(book, "L90000046"))
    assert "Loan L90000046, disbursed 2026-05-21: 26 days past due, owes 65,400.00" in text
    assert "2026-05-28 30,000.00 2,400.00 300.00 32,700.00 32,700.00 yes 2026-06-11 14" in text


def test_a_metric_is_tried_out_as_if_it_were_in_the_catalogue(book: lm.Book) -> None:
    tried = Metric(
        "late_share", "Late", ratio("overdue_15d_count", "active_loans"), "ratio", "Share of loans late."
    )
    found = lm.compute(book, tried, "fimr", by="book").collect()
    assert found.columns == ["late_share", "fimr", "fimr_band"]
    late, loans = lm.compute(book, "overdue_15d_count", "active_loans", by="book").collect().row(0)
    assert found["late_share"].item() == late / loans
    history = lm.history(book, tried, first=date(2026, 6, 29), by="book").collect()
    assert history["late_share"][-1] == late / loans
    assert lm.loans(book, tried).collect()["overdue_15d_count"].sum() == late
    assert lm.explain(book, tried).value == late / loans
    assert "overdue_15d_count / NULLIF(active_loans, 0)" in plain(lm.show(tried))
    assert "late_share" not in load().metrics
    with pytest.raises(UsageError, match="share a name"):
        lm.compute(book, Metric("fimr", "Again", "active_loans", "count", ""))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"what": "fmir"}, r"unknown metric or measure: fmir \(did you mean fimr"),
        ({"rows": 0}, "0 rows show nothing"),
        ({"owd": "money"}, r"unknown column: owd \(did you mean owed\?"),
        ({"owed": "mony"}, r"unknown kind: mony \(did you mean money\?"),
    ],
)
def test_mistakes_are_answered(asked: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        lm.show(**{"what": pl.DataFrame({"owed": [1]}), **asked})  # type: ignore[arg-type]
