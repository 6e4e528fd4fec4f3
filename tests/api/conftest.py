"""The API over a published sample, asked without a socket, by members of every role."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import falcon.testing
import psycopg
import pytest

from loanmetrics.facts.sources import find
from loanmetrics.http import app
from loanmetrics.http.desk import Desk, open_desk
from loanmetrics.jobs import members
from loanmetrics.jobs.backfill import backfill
from loanmetrics.jobs.compute import compute
from loanmetrics.jobs.load import load_sources
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.session import connect
from loanmetrics.testing import Databases
from tests import support
from tests.roles import roles

BASE = "/api/v1"
FIRST = date(2026, 6, 20)
PASSWORD = "correct horse battery staple"
ROLES = ("viewer", "auditor", "admin")


@dataclass(frozen=True)
class Api:
    """The app and a token for each role."""

    desk: Desk
    client: falcon.testing.TestClient
    tokens: dict[str, str]
    url: str

    def ask(self, method: str, path: str, role: str | None = "viewer", **more: Any) -> falcon.testing.Result:
        """One request under the base path."""
        headers = {**self.headers(role), **more.pop("headers", {})}
        return self.client.simulate_request(method, BASE + path, headers=headers, **more)

    def get(self, path: str, role: str | None = "viewer", **more: Any) -> falcon.testing.Result:
        """One GET under the base path."""
        return self.ask("GET", path, role, **more)

    def headers(self, role: str | None) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}


@pytest.fixture(scope="session")
def published(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The sample, published for its day and the ten before, with a member of every role."""
    with databases.migrated() as url:
        load_sources(url, find([support.SAMPLE]), Policy(), report=None, progress=lambda *_: None)
        settings = Settings(database_url=url, home=tmp_path_factory.mktemp("home"))
        for _ in backfill(settings, FIRST, support.SAMPLE_DAY, Policy()):
            pass
        compute(settings, support.SAMPLE_DAY, Policy())
        for role in ROLES:
            members.add(settings, f"{role}@example.com", role.title(), role, PASSWORD)
        yield settings


def opened(settings: Settings) -> Api:
    """An API over a database."""
    assert settings.database_url
    desk = open_desk(settings, settings.database_url)
    client = falcon.testing.TestClient(app.make(desk))
    made = Api(desk, client, {}, settings.database_url)
    for role in ROLES:
        found = client.simulate_post(
            f"{BASE}/auth/token", json={"email": f"{role}@example.com", "password": PASSWORD}
        )
        made.tokens[role] = found.json["data"]["access_token"]
    return made


@pytest.fixture(scope="session")
def api(published: Settings) -> Iterator[Api]:
    """For tests that change nothing but audits of officers of their own. It serves with the least of privileges."""
    assert published.database_url
    with roles(published.database_url) as made:
        api = opened(published.but("test", database_url=made.as_("api")))
        yield api
        api.desk.close()


@pytest.fixture
def database_of(published: Settings) -> Iterator[psycopg.Connection]:
    """A session on the API's database."""
    assert published.database_url
    with connect(published.database_url) as connection:
        yield connection


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of the test's own."""
    return tmp_path / "home"
