"""What people do with the dashboard: find the worst officer, see why and which loans, assign an audit."""

import re
from typing import Any

import pytest

from tests.browser.conftest import Dashboard


def cells(page: Any, column: int) -> list[str]:
    return [row.inner_text() for row in page.query_selector_all(f"tbody tr > :nth-child({column})")]


def test_from_the_list_to_an_audit(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("auditor")
    scores = [int(score) for score in cells(page, 4) if score.isdigit()]
    assert scores == sorted(scores)
    page.wait_for_selector("svg.spark")
    dashboard.picture("officers")
    name = cells(page, 1)[0]
    page.click("tbody tr:first-child a")
    page.wait_for_selector("text=Why this score")
    assert name in page.inner_text("h1")
    lost = [float(text.split("/")[0]) for text in re.findall(r"[\d.]+ / \d+", page.inner_text(".terms"))]
    told = re.search(r"100 less ([\d.]+) points is (\d+)", page.inner_text("main"))
    assert told is not None
    assert abs(sum(lost) - float(told[1])) <= 0.05 * len(lost) + 0.05
    page.select_option("form select", label="Auditor")
    page.click("button:has-text('Assign')")
    page.wait_for_selector("p:text-is('Assigned, Auditor')")
    page.fill("form input", "visit")
    page.click("button:has-text('Record')")
    page.wait_for_selector("text=Recorded with the riskiest loans")
    dashboard.picture("officer")
    page.reload()
    page.wait_for_selector("text=Action: visit")
    page.select_option("form select", label="nobody")
    page.click("button:has-text('Assign')")
    page.wait_for_selector("p:text-is('Unassigned')")


def test_lists_filter_sort_and_page(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    dashboard.goto("/branches", "h1:has-text('Branches')")
    page.wait_for_selector("tr:has-text('Kano') .badge.out.well:has-text('low')")
    dashboard.picture("branches")
    page.click("th button:has-text('Loans')")
    page.wait_for_selector("th[aria-sort=ascending]:has-text('Loans')")
    loans = [int(text.replace(",", "")) for text in cells(page, 7)]
    assert loans == sorted(loans)
    dashboard.goto("/fimr", "h1:has-text('Missed')")
    dashboard.picture("fimr")
    assert all(re.fullmatch("\\*{4}\\d{4}|\u2013", text) for text in cells(page, 3))
    first = cells(page, 1)
    page.click("button:has-text('Next')")
    page.wait_for_selector("text=Page 2 of")
    assert not set(first) & set(cells(page, 1))
    branch = cells(page, 5)[0]
    page.select_option("label:has-text('Branch') select", label=branch)
    page.wait_for_selector("text=Page 1 of")
    page.wait_for_function(
        "name => [...document.querySelectorAll('tbody td:nth-child(5)')].every(it => it.innerText === name)",
        arg=branch,
    )
    dashboard.goto("/early", "h1:has-text('Early')")
    dashboard.picture("early")
    with page.expect_download() as download:
        page.click("button:has-text('CSV')")
    assert download.value.suggested_filename == "early-2026-06-30.csv"


def test_a_viewer_cannot_write_and_whoever_logs_out_is_out(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.click("tbody tr:first-child a")
    page.wait_for_selector("text=Why this score")
    assert page.query_selector("button:has-text('Assign')") is None
    page.click("text=Log out")
    page.wait_for_selector("input[name=password]")
    assert not page.is_visible("nav")
    page.reload()
    page.wait_for_selector("input[name=password]")
    assert page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})") == "{}"


def test_a_wrong_password_is_told(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    page.goto(address)
    page.fill("input[name=email]", "nobody@example.com")
    page.fill("input[name=password]", "wrong")
    page.click("button.main")
    page.wait_for_selector("[role=alert]:has-text('wrong e-mail address or password')")
    page.close()


@pytest.mark.parametrize("path", ["assets/app.js", "assets/style.css", "assets/icon.svg"])
def test_nothing_is_fetched_from_elsewhere(chromium: Any, address: str, path: str) -> None:
    page = chromium.new_page()
    found = page.goto(f"{address}{path}")
    assert found.status == 200
    assert not re.search(r"https?://(?!www\.w3\.org/)", found.text())
    page.close()
