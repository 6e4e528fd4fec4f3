"""Explanations over HTTP: what a figure is made of, how it came there, a loan's account."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loanmetrics.engine.catalogue import load
from tests import support
from tests.api.conftest import Api

DAY = support.SAMPLE_DAY
BEFORE = DAY - timedelta(30)


@pytest.fixture
def officer(api: Api) -> str:
    """The worst one."""
    return str(api.get("/metrics/officers?sort=risk_score&per_page=1").json["data"][0]["officer_id"])


def test_the_terms_of_a_score(api: Api, officer: str) -> None:
    found = api.get(f"/metrics/officers/{officer}/explanation").json["data"]
    assert (found["metric"], found["officer_id"]) == ("risk_score", officer)
    assert round(100 - sum(term["lost"] for term in found["terms"])) == found["value"]
    terms = {term["term"]: (term["title"], term["in_words"]) for term in found["terms"]}
    assert terms["waivers"] == ("Waivers", "Waivers \xf7 Falling due in the days ahead")
    assert found["since"] is None
    assert len(found["loans"]) == min(20, found["total_loans"])


def test_numerator_and_denominator_are_the_published_ones(api: Api, officer: str) -> None:
    row = api.get(f"/metrics/officers/{officer}").json["data"]["metrics"]["current"]
    found = api.get(f"/metrics/officers/{officer}/explanation?metric=porr&loans=500").json["data"]
    made_of = {it["name"]: it["value"] for it in found["made_of"]}
    assert made_of == {"overdue_15d_amount": row["overdue_15d"], "total_portfolio": row["portfolio_total"]}
    assert found["total_loans"] == len(found["loans"])
    for name, value in made_of.items():
        assert sum(Decimal(str(loan[name])) for loan in found["loans"]) == Decimal(str(value))


def left_its_window(figure: dict[str, Any]) -> bool:
    change = figure["change"] or 0
    old = sum(cause["effect"] or 0 for cause in figure["causes"] if cause["cause"] == "ceased_to_count")
    return bool(old * change > 0 and 2 * abs(old) >= abs(change))


@pytest.mark.parametrize("metric", [name for name in load().metrics if name != "had_float_gap"])
def test_effects_sum_exactly_to_the_change(api: Api, officer: str, metric: str) -> None:
    asked = f"/metrics/officers/{officer}/explanation?metric={metric}&start_date={BEFORE}"
    since = api.get(asked).json["data"]["since"]
    assert since["date"] == str(BEFORE)
    for figure in since["figures"]:
        if figure["change"] is not None:
            effects = sum(Decimal(str(cause["effect"])) for cause in figure["causes"])
            assert abs(effects - Decimal(str(figure["change"]))) < Decimal("1e-9")
        assert (figure["window"] is not None) == left_its_window(figure)
    if since["mix"]:
        [moved] = [it for it in since["figures"] if it["figure"] == metric]
        assert sum(it["rate"] + it["mix"] for it in since["mix"]) == pytest.approx(float(moved["change"]))


def test_a_loans_account(api: Api, officer: str) -> None:
    found = api.get(f"/metrics/officers/{officer}/explanation?metric=par1&loans=1").json["data"]
    loan_id = found["loans"][0]["loan_id"]
    account = api.get(f"/loans/{loan_id}/account").json["data"]
    due = sum(Decimal(str(it["amount"])) for it in account["installments"])
    paid = sum(Decimal(str(it["credited"])) for it in account["payments"])
    assert max(due - paid, 0) == Decimal(str(account["loan"]["total_outstanding"]))
    oldest = min(it["due_date"] for it in account["installments"] if not it["settled"])
    assert (DAY - date.fromisoformat(oldest)).days == account["loan"]["current_dpd"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/metrics/officers/nobody/explanation", 404),
        ("/loans/none/account", 404),
        ("/metrics/officers/{officer}/explanation?metric=rank", 400),
        ("/metrics/officers/{officer}/explanation?metric=por", 400),
        (f"/metrics/officers/{{officer}}/explanation?start_date={DAY}", 400),
        ("/metrics/officers/{officer}/explanation?start_date=1901-01-01", 404),
        ("/metrics/officers/{officer}/explanation?loans=501", 400),
    ],
)
def test_what_cannot_be_explained(api: Api, officer: str, path: str, status: int) -> None:
    found = api.get(path.format(officer=officer))
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
