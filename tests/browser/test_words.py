"""The words of the dashboard: scales, titles, who is nobody, what moved a figure, why one is logged out."""

import re
from typing import Any

import pytest

from loanmetrics.engine.catalogue import everything
from loanmetrics.formatting import cell
from loanmetrics.http.resources.login import COOKIE
from loanmetrics.jobs.catalogue import kinds
from loanmetrics.settings import Settings
from loanmetrics.store.publish import read_officers
from loanmetrics.store.session import connect
from loanmetrics.tables import UNASSIGNED
from tests.api.conftest import PASSWORD
from tests.browser.conftest import Dashboard
from tests.browser.test_screens import cells, worst

SCALE = re.compile(r"from \d+ to \d+, lowest (\d+), highest (\d+)$")
# All that is read on a page but names of files and a formula that is folded.
WORDS = """() => {
    const copy = document.getElementById("view").cloneNode(true);
    copy.querySelectorAll(".pages, details").forEach((it) => it.remove());
    return copy.textContent;
}"""


def test_a_line_says_between_what_it_lies(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    page.wait_for_selector("svg.spark")
    for track in page.query_selector_all(".track"):
        told = SCALE.search(track.query_selector("svg").get_attribute("aria-label"))
        assert told is not None
        low, high = told.groups()
        assert track.inner_text() == (low if low == high else f"{low}\u2013{high}")
    page.hover(".track >> nth=0")
    page.wait_for_selector("#tip:has-text('lowest')")
    page.click("tbody tr:first-child a")
    page.wait_for_selector("figure svg.chart")
    label = page.get_attribute("figure svg.chart", "aria-label")
    told = SCALE.search(label)
    assert told is not None
    assert set(told.groups()) <= {text.inner_html() for text in page.query_selector_all("figure svg text")}


def test_figures_are_written_as_in_the_terminal(dashboard: Dashboard, published: Settings) -> None:
    dashboard.login("viewer")
    assert published.database_url
    with connect(published.database_url) as connection:
        rows = read_officers(connection)
    heads = [head.inner_text() for head in dashboard.page.query_selector_all("thead th")]
    for name, title in (("ayr", "AYR"), ("roll", "Roll"), ("dqi", "DQI"), ("active_loans", "Loans")):
        shown = [text.replace("\u00a0", " ") for text in cells(dashboard.page, heads.index(title) + 1)]
        expected = [cell(value, kinds()[name]) for value in rows[name]]
        assert sorted(shown) == sorted(text.replace("-", "\u2013") for text in expected)


def test_nobody_is_told_from_people(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    marked = page.locator("tbody tr", has=page.locator("th .badge:text-is('no owner')"))
    assert marked.count() == 1
    marked.locator("th a").click()
    page.wait_for_selector("h1 .badge:text-is('no owner')")
    assert UNASSIGNED in page.inner_text("h1")
    dashboard.picture("nobody")


@pytest.mark.parametrize("metric", ["risk_score", "fimr", "dqi", "ayr"])
def test_why_is_told_in_titles(phone: Dashboard, metric: str) -> None:
    page = phone.page
    phone.login("viewer")
    officer = worst(phone)
    phone.goto(
        f"/officers/{officer}/explanation?metric={metric}&start_date=2026-05-31&cause=every",
        "#moved tbody tr",
    )
    read = page.evaluate(WORDS)
    known = everything()
    causes = ("came_to_count", "ceased_to_count", "fell_behind", "paid_off", "written_off", "no_evidence")
    names = [name for name in (*known.titles, *causes) if "_" in name]
    assert [name for name in names if name in read] == []


def test_a_cause_names_its_largest_loan_by_what_it_did(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    why = f"/officers/{worst(dashboard)}/explanation?metric=par15_ratio&start_date=2026-05-31"
    dashboard.goto(f"{why}&figure=overdue_15d_amount", "[aria-label='Roll-forward'] tbody tr")
    heads = [head.inner_text() for head in page.query_selector_all("[aria-label='Roll-forward'] th")]
    assert "The largest of it" in heads
    seen = set()
    rows = page.query_selector_all("[aria-label='Roll-forward'] tbody tr:has(th a)")
    for effect, told in ([it.inner_text() for it in row.query_selector_all("td")][::2] for row in rows):
        assert re.match(r"L\d+ (lowered|raised) it by [\d,.]+ ", told)
        assert ("raised" in told) == effect.startswith("+")
        seen.add(told.split()[1])
    assert seen == {"lowered", "raised"}


def test_a_score_is_not_praised_for_moving(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.login("viewer")
    words = set()
    links = page.query_selector_all("tbody th a")[:5]
    officers = [(link.get_attribute("href").removeprefix("#"), link.inner_text()) for link in links]
    for place, name in officers:
        dashboard.goto(place, f"h1:has-text('{name}')")
        read = page.inner_text("main")
        assert not re.search("improving|declining", read)
        told = re.search(r"Risk score (\d+), (?:(up|down) (\d+) from (\d+)|as it was) a week before", read)
        assert told is not None
        if told[2]:
            assert int(told[1]) - int(told[4]) == int(told[3]) * (1 if told[2] == "up" else -1)
        words.add(told[2])
    assert {"up", "down"} <= words
    # What rolled last week and did not this week left the window: no loan of the worst one got better by it.
    dashboard.goto(officers[0][0], f"h1:has-text('{officers[0][1]}')")
    page.click("#moved a")
    page.wait_for_selector("#window:has-text('is evidence that grew old and left the window')")
    dashboard.picture("window")


def come_back(page: Any) -> None:
    page.fill("input[name=email]", "viewer@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("tbody tr")


def test_a_session_that_is_refused_is_told_and_a_first_visit_is_not(dashboard: Dashboard) -> None:
    page = dashboard.page
    page.goto(dashboard.url)
    page.wait_for_selector("input[name=password]")
    assert not page.is_visible("#ended")
    dashboard.login("viewer")
    page.context.clear_cookies()
    page.context.add_cookies(
        [{"name": COOKIE, "value": "withdrawn", "domain": "127.0.0.1", "path": "/api/v1/auth/session"}]
    )
    page.reload()
    page.wait_for_selector("#ended:has-text('Your session has ended')")
    assert page.text_content("#told[aria-live=polite]").startswith("Your session has ended")
    dashboard.picture("ended")
    come_back(page)
    page.click("text=Log out")
    page.wait_for_selector("input[name=password]")
    assert not page.is_visible("#ended")
    dashboard.wrong.clear()  # the browser itself reports the 401
