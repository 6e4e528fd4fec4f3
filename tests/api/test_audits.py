"""Auditing an officer through the API: who sees what, who may write, who was first."""

import io
from typing import Any

import pytest

from tests.api.conftest import Api


@pytest.fixture
def officer(api: Api, request: pytest.FixtureRequest) -> str:
    """An officer whom no other test audits."""
    rows = api.get("/metrics/officers?per_page=500&fields=officer_id,active_loans").json["data"]
    busy = [row["officer_id"] for row in rows if row["active_loans"] > 20]
    tests = sorted(name for name in globals() if name.startswith("test_"))
    return str(busy[tests.index(request.node.originalname)])


def version(api: Api, officer: str) -> str:
    info = api.get(f"/metrics/officers/{officer}").json["data"]["audit_info"]
    return f'"{info["version"]}"'


def write(api: Api, method: str, officer: str, what: str, body: Any, **headers: str) -> Any:
    given = {"If-Match": version(api, officer), **{name.replace("_", "-"): v for name, v in headers.items()}}
    return api.ask(method, f"/audit/officers/{officer}/{what}", "auditor", json=body, headers=given)


def auditor_id(api: Api) -> int:
    team = api.get("/audit/team-members").json["data"]
    return next(int(row["member_id"]) for row in team if row["member_name"] == "Auditor")


def test_an_audit_from_assignment_to_resolution(api: Api, officer: str) -> None:
    before = api.get("/metrics/officers").headers["etag"]
    assigned = write(api, "PUT", officer, "assignee", {"assignee_id": auditor_id(api)})
    assert assigned.status_code == 200, assigned.text
    assert assigned.json["data"]["assignee_name"] == "Auditor"
    assert api.get("/metrics/officers").headers["etag"] != before
    row = api.get(f"/metrics/officers?officer_id={officer}").json["data"][0]
    assert (row["assignee"], row["audit_status"]) == ("Auditor", "Assigned")
    for status in ("In Progress", "Resolved", "In Progress"):
        done = write(api, "PUT", officer, "status", {"audit_status": status, "audit_notes": f"now {status}"})
        assert done.json["data"]["audit_status"] == status
        assert done.headers["etag"] == version(api, officer)
    info = api.get(f"/metrics/officers/{officer}").json["data"]["audit_info"]
    assert (info["audit_status"], info["audit_notes"], info["assignee"]) == (
        "In Progress",
        "now In Progress",
        "Auditor",
    )
    assert [event["audit_status"] for event in info["history"]] == [
        "In Progress",
        "Resolved",
        "In Progress",
        "Assigned",
    ]
    assert {event["by"] for event in info["history"]} == {"Auditor"}


def test_a_step_that_cannot_be_is_a_conflict(api: Api, officer: str) -> None:
    found = write(api, "PUT", officer, "status", {"audit_status": "Resolved"})
    assert (found.status_code, found.headers["content-type"]) == (409, "application/problem+json")
    assert write(api, "PUT", officer, "status", {"audit_status": "Done"}).status_code == 400


def test_the_second_of_two_is_told_so(api: Api, officer: str) -> None:
    seen = version(api, officer)
    path = f"/audit/officers/{officer}/assignee"
    body = {"assignee_id": auditor_id(api)}
    first = api.ask("PUT", path, "auditor", json=body, headers={"If-Match": seen})
    second = api.ask("PUT", path, "admin", json=body, headers={"If-Match": seen})
    assert (first.status_code, second.status_code) == (200, 412)
    assert api.ask("PUT", path, "admin", json=body).status_code == 428
    assert api.ask("PUT", path, "admin", json=body, headers={"If-Match": "*"}).status_code == 400


def test_an_action_is_recorded_once(api: Api, officer: str) -> None:
    body = {"action_type": "visit", "action_notes": "three borrowers seen"}
    first = write(api, "POST", officer, "actions", body, Idempotency_Key="visit-0001")
    assert first.status_code == 200, first.text
    again = write(api, "POST", officer, "actions", body, Idempotency_Key="visit-0001")
    assert again.json["data"] == first.json["data"]
    loans = first.json["data"]["top_risk_loans"]
    assert 0 < len(loans) <= 20
    scores = [loan["loan_risk_score"] for loan in loans]
    assert scores == sorted(scores, reverse=True)
    other = write(api, "POST", officer, "actions", {"action_type": "call"}, Idempotency_Key="visit-0001")
    assert other.status_code == 409
    assert write(api, "POST", officer, "actions", body).status_code == 400
    history = api.get(f"/metrics/officers/{officer}").json["data"]["audit_info"]["history"]
    assert [event["action_type"] for event in history] == ["visit"]


@pytest.mark.parametrize(("body", "status"), [(b'{"assignee_id": null}', 200), (b" " * 70_000, 413)])
def test_a_body_in_chunks_is_read_to_its_end(api: Api, officer: str, body: bytes, status: int) -> None:
    found = api.ask(
        "PUT",
        f"/audit/officers/{officer}/assignee",
        "auditor",
        headers={"If-Match": version(api, officer), "Content-Type": "application/json"},
        extras={"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True},
    )
    assert found.status_code == status, found.text


def test_an_officer_nobody_knows(api: Api) -> None:
    found = api.ask(
        "PUT",
        "/audit/officers/nobody/assignee",
        "auditor",
        json={"assignee_id": None},
        headers={"If-Match": '"0"'},
    )
    assert found.status_code == 404
