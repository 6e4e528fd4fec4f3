"""One officer on paper: what the API says of him, with his loans, masked by role, and noted in the audit chain."""

import io
from typing import Any

import psycopg
import pytest
from pypdf import PdfReader

from tests import support
from tests.api.conftest import FIRST, Api


@pytest.fixture(scope="module")
def officer_id(api: Api) -> str:
    """An officer with many loans."""
    listed = api.get("/metrics/officers?sort=-active_loans").json["data"]
    return str(listed[0]["officer_id"])


def text_of(found: Any) -> str:
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == "application/pdf"
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(found.content)).pages)


def test_the_figures_are_those_of_the_resource(api: Api, officer_id: str) -> None:
    path = f"/metrics/officers/{officer_id}"
    told, found = api.get(path).json, api.get(f"{path}?format=pdf")
    text, current = text_of(found), told["data"]["metrics"]["current"]
    assert f"{current['portfolio_total']:,.2f}" in text
    assert f"{current['fimr'] * 100:,.1f} %" in text
    assert current["risk_band"] in text and str(current["risk_score"]) in text
    was = told["data"]["metrics"]["previous"]["risk_score"]
    assert f"the risk score was {was} on " in text and told["data"]["metrics"]["trend"] not in text
    for point in told["data"]["explanation"]["points"]:
        assert point["title"] in text
        assert f"{point['lost']:.2f}" in text
    assert f"{100 - told['data']['explanation']['lost']:.2f}, before rounding" in text
    assert f"{FIRST} to {support.SAMPLE_DAY}, 11 published days" in text
    assert told["meta"]["run_id"] in text and f"Officer {officer_id} as of {support.SAMPLE_DAY}" in text
    assert "Share of recent loans whose first installment was missed" in text


def test_the_riskiest_loans_are_there_with_phones_by_role(api: Api, officer_id: str) -> None:
    early = api.get(
        f"/loans/early-indicators-drilldown?officer_id={officer_id}&dpd_min=0&per_page=500", "auditor"
    )
    known = {row["loan_id"]: row["customer_phone"] for row in early.json["data"]}
    texts = {
        role: text_of(api.get(f"/metrics/officers/{officer_id}?format=pdf", role))
        for role in ("viewer", "auditor")
    }
    shown = [loan for loan in known if loan in texts["viewer"]]
    assert len(shown) == 20
    phones = [known[loan] for loan in shown if known[loan]]
    assert phones and all(phone in texts["auditor"] for phone in phones)
    assert not any(phone in texts["viewer"] for phone in phones)
    assert all(f"****{phone[-4:]}" in texts["viewer"] for phone in phones)


def test_it_is_noted_in_the_chain_and_says_what_it_is(
    api: Api, officer_id: str, database_of: psycopg.Connection
) -> None:
    found = api.get(f"/metrics/officers/{officer_id}?format=pdf&date={FIRST}")
    assert found.headers["content-disposition"] == 'attachment; filename="officer.pdf"'
    assert found.headers["loanmetrics-as-of"] == str(FIRST)
    row = database_of.execute(
        "SELECT new_value, run_id FROM audit_tracking WHERE event = 'export' ORDER BY audit_id DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    assert row[0] == {"list": "officer-sheet", "filters": {"officer_id": officer_id, "date": str(FIRST)}}
    assert row[1] == found.headers["loanmetrics-run-id"]


def test_it_is_asked_for_by_accept_too_and_nothing_else_is_to_be_had(api: Api, officer_id: str) -> None:
    path = f"/metrics/officers/{officer_id}"
    text_of(api.get(path, headers={"Accept": "application/pdf"}))
    assert api.get(path, headers={"Accept": "text/csv"}).status_code == 406
    assert api.get(f"{path}?format=csv").status_code == 400
    assert api.get("/metrics/book?format=pdf").status_code == 400
    assert api.get("/metrics/officers/nobody?format=pdf").status_code == 404


def test_known_already_it_is_not_sent_again(api: Api, officer_id: str) -> None:
    path = f"/metrics/officers/{officer_id}?format=pdf"
    tag = api.get(path).headers["etag"]
    assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert api.get(path, "auditor").headers["etag"] != tag
