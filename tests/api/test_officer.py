"""One officer in full."""

import math
from datetime import timedelta

import pytest

from tests import support
from tests.api.conftest import BASE, FIRST, Api

DAY = support.SAMPLE_DAY


def test_every_officer_is_the_row_of_the_list(api: Api) -> None:
    for row in api.get("/metrics/officers?per_page=500").json["data"]:
        found = api.get(f"/metrics/officers/{row['officer_id']}").json["data"]
        current = found["metrics"]["current"]
        for name in ("risk_score", "portfolio_total", "fimr", "rank", "ayr", "active_loans"):
            assert current[name] == row[name]
        assert found["audit_info"]["audit_status"] == row["audit_status"]


def test_the_points_lost_add_up_to_the_score(api: Api) -> None:
    explained = 0
    for row in api.get("/metrics/officers?per_page=500").json["data"]:
        told = api.get(f"/metrics/officers/{row['officer_id']}").json["data"]["explanation"]
        if told is None:
            assert row["risk_score"] is None
            continue
        explained += 1
        lost = math.fsum(point["lost"] for point in told["points"])
        assert abs(lost - told["lost"]) < 1e-9
        assert abs(100 - lost - told["score"]) <= 0.5 + 1e-9
        assert all(0 <= point["lost"] <= point["weight"] for point in told["points"])
    assert explained > 10


def test_history_and_trend_are_the_stored_rows(api: Api) -> None:
    officer = api.get("/metrics/officers?sort=rank").json["data"][0]["officer_id"]
    found = api.get(f"/metrics/officers/{officer}").json["data"]
    days = [str(FIRST + timedelta(n)) for n in range((DAY - FIRST).days + 1)]
    assert [row["date"] for row in found["history"]] == days
    by_day = {row["date"]: row for row in found["history"]}
    assert found["metrics"]["previous"]["risk_score"] == by_day[str(DAY - timedelta(7))]["risk_score"]
    change = found["metrics"]["current"]["risk_score"] - found["metrics"]["previous"]["risk_score"]
    expected = "stable" if abs(change) <= 2 else "improving" if change > 0 else "declining"
    assert found["metrics"]["trend"] == expected
    early = api.get(f"/metrics/officers/{officer}?date={FIRST}").json["data"]
    assert (early["metrics"]["previous"], early["metrics"]["trend"]) == (None, None)


def test_an_officer_who_is_not_there(api: Api) -> None:
    for name in ("nobody", "%00", "a" * 300, "..", "' OR 1=1 --"):
        found = api.get(f"/metrics/officers/{name}")
        assert found.status_code == 404
        assert found.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["officer", "loan"])
def test_an_id_may_hold_a_slash(api: Api, kind: str) -> None:
    path = {"officer": "/metrics/officers/LAG%2F07", "loan": "/loans/LAG%2F07/account"}[kind]
    found = api.get(path, extras={"RAW_URI": f"{BASE}{path}?date={DAY}"})
    assert found.status_code == 404
    assert found.json["detail"].startswith(f"there is no {kind} LAG/07")


def test_what_can_be_chosen_is_what_is_published(api: Api) -> None:
    options = api.get("/filters/options").json["data"]
    officers = api.get("/metrics/officers?per_page=500").json["data"]
    assert [it["officer_id"] for it in options["officers"]] == [row["officer_id"] for row in officers]
    assert options["risk_bands"] == ["Green", "Watch", "Amber", "Red"]
    assert {it["region"] for it in options["branches"]} == set(options["regions"])
    fimr = next(it for it in options["metrics"] if it["name"] == "fimr")
    assert fimr["formula"] == "first_miss_count / NULLIF(disbursed_count, 0)"
