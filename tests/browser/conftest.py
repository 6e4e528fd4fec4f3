"""The dashboard in a real browser, served by real workers; skipped where there is no browser."""

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loanmetrics.settings import Settings
from tests.api.conftest import PASSWORD, published
from tests.http.serving import COMMAND, serving

__all__ = ["published"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = os.environ.get("LOANMETRICS_PICTURES")


@dataclass(frozen=True)
class Dashboard:
    """A page of the dashboard, and what went wrong in it; ``look`` tells its pictures apart."""

    page: Any
    url: str
    wrong: list[str]
    look: str

    def login(self, role: str) -> None:
        """Come in."""
        self.page.goto(self.url)
        self.page.fill("input[name=email]", f"{role}@example.com")
        self.page.fill("input[name=password]", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("tbody tr")

    def goto(self, place: str, wait: str) -> None:
        """Another page of the dashboard."""
        self.page.goto(f"{self.url}#{place}")
        self.page.wait_for_selector(wait)

    def picture(self, name: str) -> None:
        """Kept where LOANMETRICS_PICTURES says, to be looked at."""
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}-{self.look}.png"), full_page=True)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make test-browser")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(chromium: Any, published: Settings) -> Iterator[str]:
    """Where the dashboard is served."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert published.database_url
    bind = f"127.0.0.1:{port}"
    with serving(published.home, published.database_url, command=COMMAND, bind=bind):
        yield f"http://{bind}/"


@pytest.fixture(params=["light", "dark"])
def dashboard(request: pytest.FixtureRequest, chromium: Any, address: str) -> Iterator[Dashboard]:
    """A page of its own, which must not complain."""
    yield from _opened(chromium, address, request.param, 1280)


@pytest.fixture
def phone(chromium: Any, address: str) -> Iterator[Dashboard]:
    """The same on a small screen."""
    yield from _opened(chromium, address, "phone", 375)


def _opened(chromium: Any, address: str, look: str, width: int) -> Iterator[Dashboard]:
    scheme = "dark" if look == "dark" else "light"
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield Dashboard(page, address, wrong, look)
    context.close()
    assert wrong == []
