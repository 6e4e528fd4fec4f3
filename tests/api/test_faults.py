"""When things break: the client is told so, nothing private is, and all is well again when the cause has gone."""

import json
import logging
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.http import app
from loanmetrics.http.desk import open_desk
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store import runs, tokens
from loanmetrics.testing import Databases
from tests.api.conftest import BASE, Api, opened


@pytest.fixture
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[falcon.testing.TestClient]:
    """An API whose database is not there."""
    folder = tmp_path_factory.mktemp("nowhere")
    settings = Settings(home=folder, threads=1)
    desk = open_desk(settings, f"postgresql:///loans?host={folder}&connect_timeout=1", patience=0.2)
    yield falcon.testing.TestClient(app.make(desk))
    desk.close()


def test_without_a_database_everybody_is_asked_to_come_back(nowhere: falcon.testing.TestClient) -> None:
    found = nowhere.simulate_post(f"{BASE}/auth/token", json={"email": "a@example.com", "password": "x"})
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")
    assert found.headers["content-type"] == "application/problem+json"
    assert nowhere.simulate_get("/healthz").status_code == 200
    assert nowhere.simulate_get("/readyz").status_code == 503
    assert "loanmetrics_store_up 0.0" in nowhere.simulate_get("/metrics").text


def test_a_server_of_its_own_shows_loans_by_the_store_and_waits_for_it(
    published: Settings, api: Api, database_of: psycopg.Connection, tmp_path: Path
) -> None:
    bucket, away = tmp_path / "bucket", tmp_path / "away"
    stored = published.but("test", facts_dir=tmp_path / "worker", facts_url=f"file://{bucket}")
    shutil.copytree(published.facts_dir, stored.facts_dir)
    mirror = lake_of(stored, database_of).mirror
    assert mirror is not None
    mirror.sweep(runs.kept(database_of))
    [lake] = bucket.iterdir()
    lake.rename(away)
    lake.write_text("no folder")
    server = opened(stored.but("test", facts_dir=tmp_path / "server"))
    question = "/loans/fimr-drilldown?per_page=20"
    found = server.get(question)
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")
    assert found.json["detail"] == "the facts cannot be reached just now"
    assert server.get("/metrics/officers").status_code == 200
    lake.unlink()
    away.rename(lake)
    assert server.get(question).json["data"] == api.get(question).json["data"] != []
    server.desk.close()


def test_sessions_that_the_server_ended_are_replaced(api: Api, databases: Databases) -> None:
    name = conninfo_to_dict(api.url)["dbname"]
    for _ in range(3):
        databases.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'loanmetrics api'",
            [name],
        )
        assert api.get("/metrics/officers").status_code == 200


def test_a_new_installation_says_that_nothing_is_published(database: str, api: Api) -> None:
    desk = open_desk(api.desk.settings, database)
    client = falcon.testing.TestClient(app.make(desk))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            sql.SQL("INSERT INTO team_members (member_name, member_email, is_active, access_role, member_version)"
                    " OVERRIDING SYSTEM VALUE SELECT 'V', 'v@example.com', true, 'viewer', 1")
        )  # fmt: skip
    found = client.simulate_get(f"{BASE}/metrics/officers", headers=api.headers("viewer"))
    assert (found.status_code, "loanmetrics compute" in found.json["detail"]) == (404, True)
    assert client.simulate_get("/readyz").status_code == 200
    desk.close()


def test_what_nobody_foresaw_is_told_by_its_kind_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "0803 123 4567"

    def broken(day: object) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr(api.desk, "branches", broken)
    with caplog.at_level(logging.DEBUG):
        found = api.get("/metrics/branches?region=unheard-of")
    assert found.status_code == 500
    assert found.headers["x-request-id"] in found.json["detail"]
    assert ("etag" in found.headers, found.headers["cache-control"]) == (False, "no-store")
    assert secret not in found.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_a_broken_file_of_keys_is_for_the_operator_to_mend(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text('{"keys": []}')
    home = api.desk.settings.home
    desk = open_desk(Settings(home=home, jwks_file=file, jwks_issuer="https://id.example.com"), api.url)
    client = falcon.testing.TestClient(app.make(desk))
    parts = [{"alg": "EdDSA", "kid": "k"}, {"iss": "https://id.example.com"}, {}]
    text = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    asked: dict[str, Any] = {
        "path": f"{BASE}/filters/options",
        "headers": {"Authorization": f"Bearer {text}"},
    }
    assert client.simulate_get(**asked).status_code == 401
    file.write_text('{"keys": [')
    found = client.simulate_get(**asked)
    assert (found.status_code, "retry-after" in found.headers) == (503, True)
    assert str(file) not in found.text
    assert str(file) in caplog.text
    assert client.simulate_get(asked["path"], headers=api.headers("viewer")).status_code == 200
    desk.close()


def test_the_log_has_one_line_a_request_and_nothing_personal(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        api.get("/loans/fimr-drilldown?officer_id=08031234567&per_page=5", "auditor")
    (line,) = [record for record in caplog.records if record.name == "loanmetrics.request"]
    told = line.fields  # type: ignore[attr-defined]
    assert (told["route"], told["status"]) == ("/loans/fimr-drilldown", 200)
    assert told["ms"] > 0
    assert "08031234567" not in json.dumps(told)


def test_the_counters_name_routes_by_their_template(api: Api) -> None:
    officer = api.get("/metrics/officers").json["data"][0]["officer_id"]
    api.get(f"/metrics/officers/{officer}")
    text = api.client.simulate_get("/metrics").text
    assert 'route="/metrics/officers/{officer_id}"' in text
    assert officer not in text
    for name in (
        "loanmetrics_data_age_seconds",
        "loanmetrics_run_success 1.0",
        "loanmetrics_cache_events_total",
    ):
        assert name in text


def test_only_pages_on_the_list_may_call(api: Api) -> None:
    settings = Settings(home=api.desk.settings.home, cors_origins=("https://risk.example",))
    desk = open_desk(settings, api.url)
    client = falcon.testing.TestClient(app.make(desk))
    path = f"{BASE}/metrics/officers"
    for origin, may in (("https://risk.example", True), ("https://evil.example", False), ("null", False)):
        headers = {**api.headers("viewer"), "Origin": origin}
        found = client.simulate_get(path, headers=headers)
        assert (found.headers.get("access-control-allow-origin") == origin) is may
        assert {"Origin", "Authorization"} <= set(found.headers["vary"].split(", "))
        asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        preflight = client.simulate_options(path, headers=asked)
        assert ("access-control-allow-methods" in preflight.headers) is may
    assert "access-control-allow-credentials" not in found.headers
    desk.close()


def test_log_ins_are_counted_by_whoever_stands_before_our_proxies(
    api: Api, database_of: psycopg.Connection
) -> None:
    settings = Settings(home=api.desk.settings.home, proxies=("127.0.0.1",))
    desk = open_desk(settings, api.url)
    client = falcon.testing.TestClient(app.make(desk))
    wrong = {"email": "nobody@example.com", "password": "wrong"}
    for said in ("203.0.113.9", "198.51.100.4", "6.6.6.6, 203.0.113.9"):
        headers = {"X-Forwarded-For": said}
        client.simulate_post(f"{BASE}/auth/token", json=wrong, headers=headers, remote_addr="127.0.0.1")
    counted = (
        "SELECT address_hash, count(*) FROM login_attempts WHERE account_hash = %s GROUP BY 1 ORDER BY 2"
    )
    found = database_of.execute(counted, [tokens.digest(wrong["email"])]).fetchall()
    assert found == [(tokens.digest("198.51.100.4"), 1), (tokens.digest("203.0.113.9"), 2)]
    desk.close()
