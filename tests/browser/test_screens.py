"""Every screen of the dashboard shows what the API says, adds up, and can be used by keyboard and on a phone."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Dashboard

NONE = "\u2013"
SCREENS = {
    "/officers": "h1:text-is('Officers')",
    "/officers/{officer}": "text=Why this score",
    "/officers/{officer}/explanation?metric=par15_ratio&start_date=2026-05-31&cause=every": "#moved tbody tr",
    "/officers/{officer}/explanation?metric=risk_score": "text=Points lost",
    "/loans/{loan}": "h2:has-text('Payments')",
    "/branches": "h1:text-is('Branches')",
    "/funnel": "h1:text-is('Funnel')",
    "/review": "h1:text-is('Review')",
    "/roll-matrix": "h1:text-is('Roll matrix')",
    "/vintages": "h1:text-is('Vintages')",
    "/fimr": "h1:text-is('Missed first payments')",
    "/early": "h1:text-is('Early indicators')",
}


def cells(page: Any, column: int, within: str = "") -> list[str]:
    return [row.inner_text() for row in page.query_selector_all(f"{within} tbody tr > :nth-child({column})")]


def amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("+", ""))


def percents(texts: list[str]) -> list[Decimal]:
    return [Decimal(text.removesuffix("%")) for text in texts if text]


def worst(dashboard: Dashboard) -> str:
    href = dashboard.page.get_attribute("tbody tr:first-child a", "href")
    return str(href.rsplit("/", 1)[1])


def test_a_figure_from_opening_to_closing_to_the_loans_and_their_accounts(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    officer = worst(dashboard)
    dashboard.goto(f"/officers/{officer}/explanation?metric=par15_ratio", "text=The loans behind it")
    page.click("#compare")
    page.wait_for_selector("svg.chart[role=img]")
    page.click("#figure-overdue_15d_amount")
    page.wait_for_selector("h3:has-text('Overdue balance, 15 days')")
    table = "[aria-label='Roll-forward']"
    values = [amount(text) for text in cells(page, 2, table)]
    assert len(values) > 3
    assert values[0] + sum(values[1:-1]) == values[-1]
    told = page.get_attribute("svg.chart", "aria-label")
    assert cells(page, 2, table)[0] in told and cells(page, 2, table)[-1] in told
    times, effect = cells(page, 3, table)[1], values[1]
    page.click(f"{table} tbody tr:nth-child(2) th a")
    page.wait_for_selector("#moved tbody tr")
    moved = [amount(text) for text in cells(page, 5, "#moved")]
    assert f", {times} row" in page.inner_text("#moved .pages")
    assert len(moved) == int(times) and sum(moved) == effect
    dashboard.picture("explanation")
    loan = cells(page, 1, "#moved")[0]
    page.click("#moved tbody tr:first-child a")
    page.wait_for_selector(f"h1:has-text('{loan}')")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    due, credited = (
        sum(amount(text) for text in cells(page, column, f"[aria-label='{name}']"))
        for name, column in (("Installments", 6), ("Payments", 12))
    )
    outstanding = page.inner_text(".card:has-text('Outstanding') dd")
    assert max(due - credited, Decimal(0)) == amount(outstanding)
    dashboard.picture("account")


def test_a_score_by_its_terms(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.click("tbody tr:first-child a")
    page.click("[aria-label='Why Risk score']")
    page.wait_for_selector("h2:has-text('Points lost')")
    lost = sum(float(text.split("/")[0]) for text in cells(page, 2, "[aria-label^='Points lost']"))
    score = int(page.inner_text(".card dd"))
    assert abs(100 - lost - score) < 1.1
    metrics = page.evaluate("[...document.querySelectorAll('#filter-metric option')].map(it => it.value)")
    assert {"risk_score", "fimr", "porr"} <= set(metrics)
    page.select_option("#filter-metric", "fimr")
    page.wait_for_selector(".card .whisker")
    dashboard.picture("score")


def test_small_numbers_are_told_as_such(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.wait_for_selector("td .beside")
    for row in page.query_selector_all("tbody tr"):
        rank, score = (row.query_selector(f":scope > :nth-child({place})").inner_text() for place in (3, 4))
        assert (rank == "too few to rank") == (score != NONE and not rank.isdigit())
        interval = row.query_selector(".beside .soft")
        if interval and interval.inner_text():
            low, high = percents(interval.inner_text().split(NONE))
            value = percents([row.query_selector(":scope > :nth-child(7)").inner_text().split()[0]])[0]
            assert low <= value <= high
    page.click("#sort-roll")
    page.wait_for_selector("td:nth-child(12) .beside")


def test_the_funnel_shows_everybody_and_names_those_who_stand_out(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    dashboard.goto("/funnel", "svg.chart")
    marks, outside = (len(page.query_selector_all(f"svg.chart a {kind}")) for kind in ("*", ".out"))
    told = page.inner_text("p:has-text('outside of the funnel,')")
    assert told.startswith(f"{outside} of {marks} lie outside")
    assert len(page.query_selector_all("tbody .badge.out")) == outside
    assert not page.query_selector("tbody .badge.well:has-text('high')")
    dashboard.picture("funnel")
    page.select_option("#filter-metric", "par15_ratio")
    page.wait_for_selector("text=lie outside of the funnel")
    page.select_option("#filter-by", "branch")
    page.wait_for_selector("th:has-text('Branch')")
    assert len(page.query_selector_all("svg.chart a")) == len(cells(page, 1))
    assert page.input_value("#filter-metric") == "par15_ratio", "what was chosen meanwhile stays chosen"
    dashboard.picture("funnel-branches")


def test_the_hits_of_an_officer_are_as_many_as_their_rate_says(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    dashboard.goto("/review", "h2:text-is('Hits')")
    link = page.locator("main > div tbody tr td:nth-child(3) a").first
    count = link.inner_text()
    assert int(count) > 0
    dashboard.picture("review")
    link.click()
    page.wait_for_selector(f"section .pages span:has-text(', {count} row')")
    assert page.locator("section tbody td:last-child").first.inner_text().startswith("Dated ")
    page.select_option("#filter-rule", "duplicate")
    page.wait_for_selector("text=Duplicate receipts, and how far")


def test_the_funnel_of_rates_adjusted_for_the_kinds_of_loans(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    dashboard.goto("/funnel?sort=loans", "svg.chart")
    page.select_option("#filter-rates", "adjusted")
    page.wait_for_selector("th:has-text('Expected')")
    marks, outside = (len(page.query_selector_all(f"svg.chart a {kind}")) for kind in ("*", ".out"))
    told = page.inner_text("p:has-text('outside of the funnel,')")
    assert told.startswith(f"{outside} of {marks} lie outside")
    assert len(page.query_selector_all("tbody .badge.out")) == outside
    relatives, rates = (percents([text for text in cells(page, place) if text != NONE]) for place in (5, 6))
    assert len(rates) == marks
    assert rates == sorted(rates, reverse=True)
    book = Decimal(told.rsplit(": ", 1)[1].removesuffix("%."))
    for relative, rate in zip(relatives, rates, strict=True):
        assert abs(book * relative / 100 - rate) <= (book + relative) / 1000 + Decimal("0.1")
    dashboard.picture("funnel-adjusted")
    page.select_option("#filter-rates", "plain")
    page.wait_for_selector("th:has-text('Expected')", state="detached")
    dashboard.goto("/funnel?rates=adjusted&by=branch&metric=ayr_30d", "th:has-text('Branch')")
    assert page.is_visible("th:has-text('Expected')")
    dashboard.picture("funnel-adjusted-branches")


def test_rows_of_a_roll_matrix_add_up_to_the_whole(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    dashboard.goto("/roll-matrix", ".matrix")

    def rows() -> Iterator[list[str]]:
        for row in page.query_selector_all(".matrix tbody tr"):
            yield [cell.inner_text() for cell in row.query_selector_all("td")]

    seen = 0
    for whole, *moved, together in rows():
        shares = [text.split("\n") for text in moved if "%" in text]
        if not shares:
            assert (whole, together) == ("0", NONE)
            continue
        seen += 1
        assert together == "100.0\xa0%"
        assert sum(int(count.replace(",", "")) for _, count in shares) == int(whole.replace(",", ""))
        off = sum(percents([share for share, _ in shares]), Decimal(0)) - 100
        assert abs(off) <= Decimal("0.05") * len(shares)
    assert seen > 3
    dashboard.picture("roll-matrix")
    before = page.inner_text(".matrix tbody")
    page.select_option("#filter-what", "balance")
    page.wait_for_selector(".matrix th:has-text('Balance')")
    assert page.inner_text(".matrix tbody") != before
    page.fill("#filter-start_date", "2026-06-20")
    page.wait_for_selector("p:has-text('past due on 2026-06-20')")


def test_vintages_never_fall_and_are_blank_where_they_may_still_grow(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    dashboard.goto("/vintages", "svg.chart")

    def rows() -> list[list[str]]:
        return [
            [cell.inner_text() for cell in row.query_selector_all("td")][1:]
            for row in page.query_selector_all(".matrix tbody tr")
        ]

    thirty = rows()
    for row in thirty:
        values = percents(row)
        assert values == sorted(values)
        assert row == [text for text in row if text] + [""] * row.count("")
    assert any("" in row for row in thirty)
    assert page.evaluate("document.querySelectorAll('svg .curve').length") == len(thirty)
    dashboard.picture("vintages")
    page.select_option("#filter-dpd", "0")
    page.wait_for_selector("p:has-text('more than 0 days')")
    sooner = rows()
    assert sum(map(sum, map(percents, sooner))) > sum(map(sum, map(percents, thirty)))


@pytest.mark.parametrize(
    ("place", "heading", "within"),
    [
        ("/fimr", "Missed", "main"),
        ("/roll-matrix", "Roll matrix", "main"),
        ("/vintages", "Vintages", "main"),
        ("/funnel", "Funnel", "main"),
        ("/review", "Review", "section:has(h2:text-is('Hits'))"),
        (
            "/officers/{officer}/explanation?metric=fimr&start_date=2026-05-31&cause=every",
            "First installment miss rate of",
            "#moved",
        ),
        (
            "/officers/{officer}/explanation?metric=fimr",
            "First installment miss rate of",
            "section:has(h2:text-is('The loans behind it'))",
        ),
        ("/loans/{loan}", "Loan", "section:has-text('Installments')"),
        ("/loans/{loan}", "Loan", "section:has-text('Payments')"),
    ],
)
def test_every_list_can_be_taken_away(phone: Dashboard, place: str, heading: str, within: str) -> None:
    page = phone.page
    phone.login("viewer")
    known = named(phone)
    phone.goto(place.format(**known), f"h1:has-text('{heading}')")
    for kind, begins in (("CSV", b""), ("XLSX", b"PK"), ("PARQUET", b"PAR1")):
        button = page.locator(f"{within} button:text-is('{kind}')").last
        name = button.get_attribute("aria-label").removeprefix("Download ")
        with page.expect_download() as download:
            button.click()
        assert download.value.suggested_filename == name
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(begins) and len(content) > 20
        page.wait_for_selector(f"#news:has-text('{name}')")


def named(dashboard: Dashboard) -> dict[str, str]:
    """An officer and a loan to look at."""
    officer = worst(dashboard)
    dashboard.goto("/fimr", "h1:has-text('Missed')")
    return {"officer": officer, "loan": cells(dashboard.page, 1)[0]}


def test_definitions_come_by_keyboard_and_go(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.focus("#filter-date")
    page.keyboard.press("Shift+Tab")
    page.wait_for_selector("#tip:not([hidden])")
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "tip"
    assert "Yield this month \xf7 Overdue balance" in page.inner_text("#tip")
    page.keyboard.press("Escape")
    page.wait_for_selector("#tip", state="hidden")
    page.hover("#sort-fimr")
    page.wait_for_selector("#tip:has-text('First installments missed')")
    dashboard.picture("definition")


def test_the_keyboard_stays_where_it_was_and_begins_at_the_heading_of_a_new_page(
    dashboard: Dashboard,
) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.focus("#sort-portfolio_total")
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort=ascending] #sort-portfolio_total")
    assert page.evaluate("document.activeElement.id") == "sort-portfolio_total"
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort=descending] #sort-portfolio_total")
    page.focus("nav a:has-text('Branches')")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Branches')")
    assert page.evaluate("document.activeElement.textContent") == "Branches"
    assert page.inner_text("#told").startswith("Branches. Page 1 of")
    page.focus("#skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "view"


def test_what_goes_wrong_is_announced(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.fill("#filter-officer_id", "nobody at all")
    page.keyboard.press("Enter")
    page.wait_for_selector("#troubles[role=alert]:has-text('No officer is called nobody at all')")
    dashboard.goto("/officers/nobody", "[role=alert]:has-text('there is no officer nobody')")
    assert page.inner_text("h1") == "That did not work"
    dashboard.wrong.clear()  # the browser itself reports the 404


def test_an_officer_is_found_by_name(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    name = cells(page, 1)[3]
    page.fill("#filter-officer_id", name.lower()[:-1])
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Page 1 of 1, 1 row")
    assert cells(page, 1) == [name]


def test_only_the_page_shown_is_drawn(dashboard: Dashboard) -> None:
    dashboard.login("viewer")
    dashboard.goto("/fimr", "h1:has-text('Missed')")
    total = re.search(r"([\d,]+) rows", dashboard.page.inner_text(".pages"))
    assert total is not None and amount(total[1]) > 50
    assert len(cells(dashboard.page, 1)) == 50


def test_every_screen_fits_a_phone_and_says_what_its_parts_are(phone: Dashboard) -> None:
    page = phone.page
    phone.login("auditor")
    known = named(phone)
    for place, wait in SCREENS.items():
        phone.goto(place.format(**known), wait)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, place
        nameless = (
            "[...document.querySelectorAll('input,select,textarea')].filter(it => !it.labels.length).length"
        )
        assert page.evaluate(nameless) == 0, place
        unsaid = "table:not(:has(> caption)), th:not([scope]), svg:not([role=img][aria-label])"
        assert page.evaluate(f"document.querySelectorAll('{unsaid}').length") == 0, place
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        phone.picture(place.split("?")[0].strip("/").replace("/", "-").format(officer="o", loan="l"))
