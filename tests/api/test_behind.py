"""The lists behind an explanation add up to it, loan by loan, whatever their form."""

import csv
import io
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from loanmetrics.engine.diff.causes import CAUSES
from loanmetrics.engine.kinds import TRAITS
from loanmetrics.engine.rollforward import MOVES
from loanmetrics.formatting import cell
from loanmetrics.jobs import catalogue
from loanmetrics.tables import UNASSIGNED
from tests import support
from tests.api.conftest import Api

DAY = support.SAMPLE_DAY
BEFORE = DAY - timedelta(30)


@pytest.fixture
def officer(api: Api) -> str:
    """The worst one."""
    return str(api.get("/metrics/officers?sort=risk_score&per_page=1").json["data"][0]["officer_id"])


def whole(api: Api, path: str, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while part := api.get(f"{path}?{query}&per_page=500&page={page}").json["data"]:
        found, page = found + part, page + 1
    return found


@pytest.mark.parametrize("metric", ["fimr", "risk_score", "par7", "roll"])
def test_movements_are_the_causes_loan_by_loan(api: Api, officer: str, metric: str) -> None:
    base = f"/metrics/officers/{officer}"
    asked = f"metric={metric}&start_date={BEFORE}"
    figures = api.get(f"{base}/explanation?{asked}").json["data"]["since"]["figures"]
    assert len(figures) > 1
    for figure in figures:
        rows = whole(api, f"{base}/movements", f"{asked}&figure={figure['figure']}")
        told: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            told[row["cause"]].append(row["effect"])
        assert {cause["cause"]: cause["times"] for cause in figure["causes"]} == {
            cause: len(effects) for cause, effects in told.items()
        }
        for cause in figure["causes"]:
            effects = told[cause["cause"]]
            of_it = [(row["loan_id"], row["effect"]) for row in rows if row["cause"] == cause["cause"]]
            assert (cause["loan_id"], cause["largest"]) in of_it
            assert cause["largest"] is None or abs(cause["largest"]) == abs(of_it[0][1])
            if cause["effect"] is not None:
                total = sum(Decimal(str(effect)) for effect in effects)
                assert abs(total - Decimal(str(cause["effect"]))) < Decimal("1e-9")


@pytest.mark.parametrize("metric", ["fimr", "par7"])
def test_causes_and_mix_are_those_of_the_explanation(api: Api, officer: str, metric: str) -> None:
    base = f"/metrics/officers/{officer}"
    asked = f"metric={metric}&start_date={BEFORE}"
    told = api.get(f"{base}/explanation?{asked}").json["data"]["since"]
    rows = whole(api, f"{base}/causes", asked)
    assert len({row["figure"] for row in rows}) > 1
    for figure in told["figures"]:
        mine = [row for row in rows if row["figure"] == figure["figure"]]
        assert mine == whole(api, f"{base}/causes", f"{asked}&figure={figure['figure']}")
        assert {(row["before"], row["after"]) for row in mine} == {(figure["before"], figure["after"])}
        fields = ("cause", "effect", "times", "loan_id", "event", "largest")
        told_here = {cause["cause"]: cause for cause in figure["causes"]}
        assert {row["cause"]: {name: row[name] for name in fields} for row in mine} == told_here
        assert len(mine) == len(told_here)
    assert whole(api, f"{base}/mix", asked) == sorted(told["mix"], key=lambda part: str(part["part"]))


def test_movements_come_largest_first_and_by_cause(api: Api, officer: str) -> None:
    path = f"/metrics/officers/{officer}/movements"
    rows = whole(api, path, "metric=par7&figure=par7_principal")
    sizes = [abs(row["effect"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    causes = {row["cause"] for row in rows}
    assert len(causes) > 1
    assert causes <= {*CAUSES, *MOVES}
    for cause in causes:
        assert whole(api, path, f"metric=par7&figure=par7_principal&cause={cause}") == [
            row for row in rows if row["cause"] == cause
        ]
    assert any(row["customer_name"] for row in rows)


def test_loans_add_up_to_the_measures(api: Api, officer: str) -> None:
    base = f"/metrics/officers/{officer}"
    told = api.get(f"{base}/explanation?metric=par15_ratio").json["data"]
    fields = ",".join(["loan_id", *told["measures"]])
    rows = whole(api, f"{base}/loans", f"metric=par15_ratio&fields={fields}")
    assert len(rows) == told["total_loans"]
    for made in told["made_of"]:
        total = sum(Decimal(str(row[made["name"]])) for row in rows)
        assert total == Decimal(str(made["value"]))
    others = api.get(f"{base}/loans?metric=par15_ratio&fields=disbursed_count").json["data"]
    assert {row["disbursed_count"] for row in others} == {None}


def test_installments_and_payments_are_those_of_the_account(api: Api, officer: str) -> None:
    loan = api.get(f"/metrics/officers/{officer}/loans?metric=par1").json["data"][0]["loan_id"]
    account = api.get(f"/loans/{loan}/account").json["data"]
    for name in ("installments", "payments"):
        rows = whole(api, f"/loans/{loan}/{name}", "")
        known = account[name]
        assert len(rows) == len(known) > 0
        assert [{field: row[field] for field in known[0]} for row in rows] == known


def test_an_account_says_whose_it_is_and_hides_telephone_numbers_from_viewers(api: Api, officer: str) -> None:
    rows = api.get(f"/metrics/officers/{officer}/loans?metric=par1").json["data"]
    loan = next(row for row in rows if row["customer_name"])
    seen, full = (
        api.get(f"/loans/{loan['loan_id']}/account", role).json["data"]["loan"]
        for role in ("viewer", "auditor")
    )
    assert seen["customer_name"] == full["customer_name"] == loan["customer_name"]
    assert seen["customer_phone"] == "****" + full["customer_phone"][-4:]
    assert seen["officer_name"]


@pytest.mark.parametrize("path", ["movements?metric=fimr", "loans?metric=fimr", "causes?metric=fimr"])
def test_exports_are_the_whole_list(api: Api, officer: str, path: str) -> None:
    url = f"/metrics/officers/{officer}/{path}"
    rows = whole(api, *url.split("?"))
    told = list(csv.DictReader(io.StringIO(api.get(f"{url}&format=csv").text)))
    assert [row["loan_id"] for row in told] == [row["loan_id"] or "" for row in rows]
    frame = pl.read_parquet(io.BytesIO(api.get(f"{url}&format=parquet").content))
    assert len(frame) == len(rows)
    if "effect" in frame.columns:
        assert [float(effect) for effect in frame["effect"]] == [row["effect"] for row in rows]
    assert api.get(f"{url}&format=xlsx").content[:2] == b"PK"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/metrics/officers/nobody/movements", 404),
        ("/metrics/officers/nobody/loans", 404),
        ("/metrics/officers/{officer}/movements?metric=fmir", 400),
        ("/metrics/officers/{officer}/movements?metric=fimr&figure=par7", 400),
        (f"/metrics/officers/{{officer}}/movements?start_date={DAY}", 400),
        ("/metrics/officers/{officer}/movements?start_date=1901-01-01", 404),
        ("/metrics/officers/nobody/causes", 404),
        ("/metrics/officers/{officer}/causes?metric=fimr&figure=par7", 400),
        (f"/metrics/officers/{{officer}}/mix?start_date={DAY}", 400),
        ("/metrics/officers/{officer}/loans?metric=x", 400),
        ("/loans/none/installments", 404),
        ("/loans/none/payments", 404),
        ("/cohorts/certainty?by=branch&officer_id=x", 400),
        ("/cohorts/peers?metric=risk_score", 400),
        ("/cohorts/peers?by=region&trait=region", 400),
        ("/cohorts/peers?trait=colour", 400),
    ],
)
def test_what_there_is_not_is_refused(api: Api, officer: str, path: str, status: int) -> None:
    found = api.get(path.format(officer=officer))
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")


def test_some_officers_are_held_against_the_whole_book(api: Api) -> None:
    for path in ("/cohorts/certainty", "/cohorts/peers"):
        rows = whole(api, path, "metric=roll")
        some = [row["officer_id"] for row in rows[:3]]
        found = whole(api, path, f"metric=roll&officer_id={'&officer_id='.join(some)}")
        assert found == rows[:3]


@pytest.mark.parametrize(
    "path",
    [
        "/cohorts/certainty?metric=fimr",
        "/cohorts/peers?metric=fimr",
        "/cohorts/vintages?by=officer",
        "/cohorts/roll-matrix?by=officer",
        "/review/rates?rule=backdated",
        "/review/hits?rule=backdated",
    ],
)
def test_whoever_is_listed_is_listed_by_name(api: Api, path: str) -> None:
    officers = whole(api, "/metrics/officers", "")
    names = {row["officer_id"]: row["officer_name"] or "" for row in officers}
    text = api.get(f"{path}&format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len({row["officer_id"] for row in rows}) > 5
    assert [row["officer_name"] for row in rows] == [names[row["officer_id"]] for row in rows]


def test_a_branch_has_no_officers_name(api: Api) -> None:
    rows = whole(api, "/cohorts/peers", "metric=fimr&by=branch")
    assert {(row["officer_id"], row["officer_name"]) for row in rows} == {(None, None)}


def test_peers_are_told_apart_by_the_traits_asked_for(api: Api) -> None:
    usual = whole(api, "/cohorts/peers", "metric=par7")
    named = {trait: whole(api, "/cohorts/peers", f"metric=par7&trait={trait}") for trait in TRAITS}
    assert whole(api, "/cohorts/peers", "metric=par7&trait=term&trait=age&trait=size&trait=region") == usual
    assert all(rows != usual and len(rows) == len(usual) for rows in named.values())
    assert len({str(rows) for rows in named.values()}) == len(TRAITS)
    book, *others = whole(api, "/cohorts/peers", "metric=par7&by=book")
    assert not others
    assert (book["relative"], book["alone"]) == (pytest.approx(1), pytest.approx(1))
    refused = api.get("/cohorts/peers?metric=channel_purity&trait=channel").json["errors"]
    assert [it["field"] for it in refused] == ["trait"]


def test_numbers_are_written_as_in_the_terminal(api: Api) -> None:
    options = api.get("/filters/options").json["data"]
    units = {it["unit"]: it for it in options["units"]}
    ayr = next(it for it in options["metrics"] if it["name"] == "ayr")
    form = units[ayr["unit"]]
    written = f"{0.002112 * form['times']:.{form['digits']}f}{form['after']}"
    assert written == cell(0.002112, catalogue.kinds()["ayr"]) == "0.2 %"
    assert {it["unit"] for it in (*options["metrics"], *options["measures"])} <= {*units, "flag"}


def test_the_options_say_what_everything_means(api: Api) -> None:
    options = api.get("/filters/options").json["data"]
    measures = {it["name"]: it["about"] for it in options["measures"]}
    assert measures["first_miss_count"]
    titles = {it["name"]: it["title"] for it in (*options["measures"], *options["causes"])}
    assert titles["first_miss_count"] == "First installments missed"
    assert titles["ceased_to_count"] == "Left the window"
    nobody = [it["officer_id"] for it in options["officers"] if not it["person"]]
    assert nobody == [UNASSIGNED]
    assert {it["name"] for it in options["causes"]} == {*CAUSES, *MOVES}
    for metric in options["metrics"]:
        status = api.get(f"/cohorts/certainty?metric={metric['name']}&per_page=1").status_code
        assert (status == 200) is metric["certain"], metric["name"]
        assert not metric["certain"] or metric["better"] in ("low", "high"), metric["name"]
    sides = {it["name"]: it["better"] for it in options["metrics"]}
    assert [sides[name] for name in ("fimr", "dqi", "total_yield")] == ["low", "high", None]
