"""Review rules over HTTP: rates and hits tell the same, and the evidence is what the loan's account says."""

from typing import Any

import pytest

from loanmetrics.engine.review.rule import rules
from loanmetrics.policy import Policy
from tests.api.conftest import Api


def whole(api: Api, path: str, query: str = "") -> list[dict[str, Any]]:
    found, rows = api.get(f"{path}?per_page=500&{query}").json, []
    for page in range(1, found["meta"]["total_pages"] + 1):
        rows += api.get(f"{path}?per_page=500&page={page}&{query}").json["data"]
    return rows


@pytest.mark.parametrize("rule", list(rules()))
def test_as_many_hits_as_the_rates_count(api: Api, rule: str) -> None:
    rates = whole(api, "/review/rates", f"rule={rule}")
    hits = whole(api, "/review/hits", f"rule={rule}")
    assert {row["rule"] for row in [*rates, *hits]} <= {rule}
    for row in rates:
        mine = [hit for hit in hits if hit["officer_id"] == row["officer_id"]]
        assert len(mine) == row["hits"] <= row["opportunities"]
        assert row["rate"] == pytest.approx(row["hits"] / row["opportunities"])
    total = sum(row["opportunities"] for row in rates)
    assert all(row["base_rate"] == pytest.approx(len(hits) / total) for row in rates)


def test_some_officers_are_held_against_the_whole_book(api: Api) -> None:
    rates = whole(api, "/review/rates", "rule=backdated")
    some = [row["officer_id"] for row in rates[:3]]
    query = f"rule=backdated&officer_id={'&officer_id='.join(some)}"
    assert whole(api, "/review/rates", query) == rates[:3]
    hits = whole(api, "/review/hits", "rule=backdated")
    assert whole(api, "/review/hits", query) == [row for row in hits if row["officer_id"] in some]


def test_the_evidence_is_what_the_account_says(api: Api) -> None:
    seen = set()
    for hit in whole(api, "/review/hits"):
        if hit["rule"] in seen:
            continue
        seen.add(hit["rule"])
        payments = {it["repayment_id"]: it for it in whole(api, f"/loans/{hit['loan_id']}/payments")}
        others = (hit["other_repayment_ids"] or "").split(", ") if hit["other_repayment_ids"] else []
        paid = payments[hit["repayment_id"]]
        assert paid["payment_date"] == hit["payment_date"]
        assert set(others) <= set(payments)
        if hit["rule"] == "month_end_token":
            assert hit["days"] == hit["dpd_before"] - hit["dpd_after"] > 0
        else:
            assert paid["amount"] == hit["amount"]
        if hit["rule"] == "reversed_after_month_end":
            assert paid["reversal_date"] == hit["seen_on"]
    assert {"backdated", "reversed_after_month_end"} <= seen


@pytest.mark.parametrize(
    ("path", "field", "hint"),
    [
        ("/review/rates?rule=backdatd", "rule", "did you mean backdated"),
        ("/review/hits?rule=x", "rule", "known"),
        ("/review/rates?by=branch&officer_id=x", "officer_id", "goes with by=officer"),
    ],
)
def test_what_there_is_not_is_refused(api: Api, path: str, field: str, hint: str) -> None:
    found = api.get(path)
    assert (found.status_code, found.json["errors"][0]["field"]) == (400, field)
    assert hint in found.json["errors"][0]["message"]


def test_the_options_say_what_every_rule_asks(api: Api) -> None:
    told = api.get("/filters/options").json["data"]["review_rules"]
    assert {it["name"]: it["about"] for it in told} == {it.name: it.told(Policy()) for it in rules().values()}
    assert not any("review_" in it["about"] for it in told)
