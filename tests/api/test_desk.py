"""A worker's services: sessions, and answers that last as long as what they show."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import falcon.testing
import pytest

from loanmetrics.http import app
from loanmetrics.http.desk import open_desk
from loanmetrics.jobs.reading import Reading
from loanmetrics.settings import Settings
from loanmetrics.store.session import connect
from tests.api.conftest import BASE, PASSWORD, Api
from tests.roles import roles


def test_a_thread_has_one_session_however_often_it_asks(published: Settings) -> None:
    """Or as many threads as there are sessions would each hold one and wait for a second."""
    assert published.database_url
    desk = open_desk(published.but("test", threads=1), published.database_url, patience=10)
    try:
        with desk.reader() as reader, desk.database() as primary:
            assert primary is reader
        with desk.database() as first:
            pass
        with desk.database() as again:
            assert again is first
    finally:
        desk.close()


def test_an_answer_changes_with_the_audits_it_shows_and_with_no_others(api: Api) -> None:
    """Pages, one officer, and a list sorted by audits, which any of them may reorder."""
    rows = api.get("/metrics/officers?sort=-officer_id&per_page=2").json["data"]
    mine, other = (row["officer_id"] for row in rows)
    paths = {
        "mine": f"/metrics/officers/{mine}",
        "my page": "/metrics/officers?sort=-officer_id&per_page=1",
        "sorted by audits": "/metrics/officers?sort=audit_status&per_page=1&fields=officer_id",
        "another": f"/metrics/officers/{other}",
        "another page": "/metrics/officers?sort=-officer_id&per_page=1&page=2",
        "the team": "/audit/team-members",
    }
    tags = {name: api.get(path).headers["etag"] for name, path in paths.items()}
    assert {name: api.get(path).headers["etag"] for name, path in paths.items()} == tags
    version = api.get(paths["mine"]).json["data"]["audit_info"]["version"]
    done = api.ask(
        "POST",
        f"/audit/officers/{mine}/actions",
        "auditor",
        json={"action_type": "Call"},
        headers={"If-Match": f'"{version}"', "Idempotency-Key": "desk-test-1"},
    )
    assert done.status_code == 200, done.text
    changed = [name for name, path in paths.items() if api.get(path).headers["etag"] != tags[name]]
    assert changed == ["mine", "my page", "sorted by audits"]
    shown = api.get(paths["mine"]).json["data"]["audit_info"]["version"]
    assert shown == done.json["data"]["version"]
    assert api.get(paths["my page"]).json["data"][0]["last_audit_date"] is not None


def test_audits_never_come_from_the_replica(api: Api, published: Settings) -> None:
    """A replica may be behind. This one may not be asked for audits at all."""
    url = published.database_url
    assert url
    with roles(url) as replica, connect(url) as owner:
        owner.execute(f"REVOKE SELECT ON audit_tracking, team_members FROM {replica.prefix}_api".encode())
        desk = open_desk(published.but("test", replica_url=replica.as_("api")), url)
        client = falcon.testing.TestClient(app.make(desk))
        officer = api.get("/metrics/officers").json["data"][0]["officer_id"]
        for path in ("/metrics/officers", f"/metrics/officers/{officer}", "/audit/team-members"):
            found = client.simulate_get(BASE + path, headers=api.headers("viewer"))
            assert found.status_code == 200, found.text
        desk.close()


def test_logging_in_changes_no_answer(api: Api) -> None:
    before = api.get("/metrics/officers").headers["etag"]
    credentials = {"email": "viewer@example.com", "password": PASSWORD}
    assert api.ask("POST", "/auth/token", None, json=credentials).status_code == 200
    assert api.get("/metrics/officers").headers["etag"] == before


def test_the_first_page_is_made_once_for_all_who_ask_at_the_same_time(api: Api) -> None:
    path = "/metrics/officers?per_page=7&sort=-portfolio_total"
    looks: list[date | None] = []
    made = api.desk.reading

    def look(day: date | None) -> Reading:
        looks.append(day)
        return made(day)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(6) as pool:
        patch.setattr(api.desk, "reading", look)
        found = list(pool.map(lambda _: api.get(path), range(6)))
    assert len({answer.text for answer in found}) == 1
    assert len({answer.headers["etag"] for answer in found}) == 1
    assert len(looks) == 1
