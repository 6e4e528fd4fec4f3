"""Lists: filters, order, pages, fields, forms, days, for every list there is."""

import csv
import io
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

import polars as pl
import pytest
from pyarrow import input_stream

from loanmetrics.http.routes import Route
from loanmetrics.http.table import ROUTES
from loanmetrics.policy import Policy
from loanmetrics.store.session import connect
from tests import support
from tests.api.conftest import FIRST, Api

LISTS = [route for route in ROUTES if route.is_list and "{" not in route.path]
CURSORS = [route for route in LISTS if "cursor" in route.query.__struct_fields__]
DATED = [route for route in LISTS if "date" in route.query.__struct_fields__]
every_list = pytest.mark.parametrize("route", LISTS, ids=lambda route: route.name)
DAY = support.SAMPLE_DAY


def rows(api: Api, route: Route, query: str = "", **more: Any) -> list[dict[str, Any]]:
    found = api.get(f"{route.path}?{query}", **more)
    assert found.status_code == 200, found.text
    return found.json["data"]  # type: ignore[no-any-return]


def all_rows(api: Api, route: Route, query: str = "", per_page: int = 500) -> list[dict[str, Any]]:
    """Page by page."""
    found: list[dict[str, Any]] = []
    for page in range(1, 1000):
        part = rows(api, route, f"{query}&per_page={per_page}&page={page}")
        found += part
        if len(part) < per_page:
            return found
    raise AssertionError("too many pages")


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("loan_id", "officer_id", "branch", "region", "member_id")
    cohort = ("from_dpd_bucket", "to_dpd_bucket", "vintage", "months_on_book")
    return tuple(row[name] for name in (*names, *cohort, "rule", "repayment_id") if name in row)


@every_list
def test_pages_are_disjoint_complete_and_of_one_total(api: Api, route: Route) -> None:
    whole = all_rows(api, route)
    small = api.get(f"{route.path}?per_page=3").json
    assert small["meta"]["total"] == len(whole) == len({key(row) for row in whole}) > 2
    assert small["meta"]["total_pages"] == -(-len(whole) // 3)
    assert small["data"] == whole[:3]
    assert api.get(f"{route.path}?per_page=3&page=2").json["data"] == whole[3:6]
    beyond = api.get(f"{route.path}?page=999999").json
    assert (beyond["data"], beyond["meta"]["total"]) == ([], len(whole))


@every_list
def test_every_sortable_field_sorts_both_ways_with_nulls_last(api: Api, route: Route) -> None:
    for field in (field for field in route.fields if field.sortable):
        for sign in ("", "-"):
            found = rows(api, route, f"sort={sign}{field.name}&fields={field.name}&per_page=500")
            values = [row[field.name] for row in found]
            known = [value for value in values if value is not None]
            assert known == sorted(known, reverse=sign == "-"), field.name
            assert values[len(known) :] == [None] * (len(values) - len(known)), field.name


@every_list
@pytest.mark.parametrize(
    ("query", "field", "hint"),
    [
        ("pgae=2", "pgae", "did you mean page"),
        ("page=0", "page", ">= 1"),
        ("page=x", "page", "int"),
        ("per_page=501", "per_page", "<= 500"),
        ("page=1&page=2", "page", "more than once"),
        ("sort=risk_scor", "sort", "unknown field"),
        ("sort=officer_id;DROP TABLE loans", "sort", "unknown field"),
        ("fields=nothing", "fields", "unknown field"),
        ("format=pdf", "format", "json"),
        ("sort=%00", "sort", "control"),
    ],
)
def test_what_is_wrong_is_named(api: Api, route: Route, query: str, field: str, hint: str) -> None:
    found = api.get(f"{route.path}?{query}")
    assert (found.status_code, found.headers["content-type"]) == (400, "application/problem+json")
    (wrong,) = found.json["errors"]
    assert wrong["field"] == field
    assert hint in wrong["message"]


@every_list
def test_fields_are_those_asked_for_in_that_order(api: Api, route: Route) -> None:
    asked = [field.name for field in route.fields][::-1][:4]
    assert list(rows(api, route, f"fields={','.join(asked)}")[0]) == asked
    assert list(rows(api, route)[0]) == [field.name for field in route.fields if field.shown]


@every_list
def test_an_answer_known_already_is_not_sent_again(api: Api, route: Route) -> None:
    first = api.get(route.path)
    again = api.get(route.path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = api.get(f"{route.path}?page=2", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert api.get(route.path, "auditor").headers["etag"] != first.headers["etag"]


@every_list
def test_exports_hold_the_whole_list(api: Api, route: Route) -> None:
    whole = all_rows(api, route)
    text = api.get(f"{route.path}?format=csv&per_page=1")
    assert text.headers["content-type"].startswith("text/csv")
    assert text.headers["loanmetrics-policy-hash"] == Policy().hash
    assert text.headers["link"] == "</api/v1/openapi.json>; rel=describedby"
    told = list(csv.DictReader(io.StringIO(text.text)))
    first = next(field.name for field in route.fields if field.kind == "text" or field.name == "member_id")
    assert [row[first] for row in told] == [
        str(row[first] if row[first] is not None else "") for row in whole
    ]
    parquet = api.get(route.path, headers={"Accept": "application/vnd.apache.parquet"})
    frame = pl.read_parquet(io.BytesIO(parquet.content))
    assert len(frame) == len(whole)
    for field in route.fields:
        if field.shown and field.kind == "money":
            exported = [None if value is None else float(value) for value in frame[field.name]]
            assert exported == [row[field.name] for row in whole]
    sheet = api.get(f"{route.path}?format=xlsx")
    assert sheet.content[:2] == b"PK"
    assert api.get(route.path, headers={"Accept": "image/png"}).status_code == 406


FILTERS = [
    ("/metrics/officers", "region"),
    ("/metrics/officers", "branch"),
    ("/metrics/officers", "officer_id"),
    ("/metrics/officers", "channel"),
    ("/metrics/officers", "risk_band"),
    ("/metrics/branches", "region"),
    ("/metrics/branches", "branch"),
    ("/loans/fimr-drilldown", "region"),
    ("/loans/fimr-drilldown", "branch"),
    ("/loans/fimr-drilldown", "officer_id"),
    ("/loans/fimr-drilldown", "status"),
    ("/loans/early-indicators-drilldown", "region"),
    ("/loans/early-indicators-drilldown", "branch"),
    ("/loans/early-indicators-drilldown", "officer_id"),
    ("/loans/early-indicators-drilldown", "status"),
]


@pytest.mark.parametrize(("path", "name"), FILTERS)
def test_filters_keep_exactly_the_rows_that_match(api: Api, path: str, name: str) -> None:
    route = next(route for route in LISTS if route.path == path)
    whole = all_rows(api, route)
    values = sorted({row[name] for row in whole if row[name] is not None})
    for wanted in (values[:1], values[:2]):
        query = "&".join(f"{name}={value}".replace(" ", "%20") for value in wanted)
        assert all_rows(api, route, query) == [row for row in whole if row[name] in wanted]
    assert rows(api, route, "region=nowhere") == []


def test_drilldowns_are_bounded_by_day_amount_and_lateness(api: Api) -> None:
    fimr, early = CURSORS
    for route in (fimr, early):
        whole = all_rows(api, route)
        days = sorted(row["disbursement_date"] for row in whole)
        first, last = days[len(days) // 3], days[2 * len(days) // 3]
        expected = [row for row in whole if first <= row["disbursement_date"] <= last]
        assert all_rows(api, route, f"start_date={first}&end_date={last}") == expected
        amounts = sorted(row["loan_amount"] for row in whole)
        low, high = int(amounts[len(amounts) // 3]), int(amounts[2 * len(amounts) // 3])
        expected = [row for row in whole if low <= row["loan_amount"] <= high]
        assert all_rows(api, route, f"min_amount={low}&max_amount={high}") == expected
    late = all_rows(api, early, "dpd_min=3&dpd_max=40")
    assert {row["current_dpd"] for row in late} <= set(range(3, 41))
    assert any(row["current_dpd"] > 6 for row in late)
    assert {row["early_indicator_tagged"] for row in all_rows(api, early)} == {True}
    assert {row["early_indicator_tagged"] for row in rows(api, early, "early_indicator_tagged=false")} == {
        False
    }
    assert {row["fimr_tagged"] for row in rows(api, fimr, "fimr_tagged=false")} == {False}
    for query, field in (
        ("start_date=2026-02-01&end_date=2026-01-01", "start_date"),
        ("min_amount=2&max_amount=1", "min_amount"),
        ("status=Sleeping", "status"),
    ):
        assert api.get(f"{fimr.path}?{query}").json["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("/metrics/officers?risk_band=Ambre", "did you mean Amber?"),
        ("/metrics/officers?risk_band=Amber&risk_band=x", "known: Amber, Green, Red, Watch, n/a"),
        ("/loans/fimr-drilldown?status=Activ", "did you mean Active?"),
    ],
)
def test_a_value_that_none_can_have_is_refused_with_the_nearest(api: Api, query: str, message: str) -> None:
    found = api.get(query)
    assert (found.status_code, found.json["errors"][0]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "/loans/early-indicators-drilldown?branch=Ikeja",
            {"branch": "Ikeja", "early_indicator_tagged": "True"},
        ),
        ("/loans/early-indicators-drilldown?dpd_min=3", {"dpd_min": "3"}),
        ("/cohorts/roll-matrix?", {"by": "book", "start_date": str(DAY - timedelta(30))}),
        ("/cohorts/peers?by=branch", {"metric": "fimr", "by": "branch", "trait": "size, term, age"}),
        ("/cohorts/peers?trait=age&trait=size", {"metric": "fimr", "by": "officer", "trait": "age, size"}),
        ("/cohorts/roll-matrix?start_date=2026-06-01", {"by": "book", "start_date": "2026-06-01"}),
    ],
)
def test_an_export_names_what_it_was_narrowed_by_though_nobody_asked(
    api: Api, query: str, expected: dict[str, str]
) -> None:
    found = api.get(f"{query}&format=csv")
    assert dict(parse_qsl(found.headers["loanmetrics-filters"])) == expected


@pytest.mark.parametrize(
    "sort", ["", "-outstanding_balance", "branch,-disbursement_date", "current_dpd,-loan_id"]
)
@pytest.mark.parametrize("route", CURSORS, ids=lambda route: route.name)
def test_a_cursor_walks_the_list_in_its_order(api: Api, route: Route, sort: str) -> None:
    query = f"sort={sort}" if sort else ""
    whole, walked, cursor = all_rows(api, route, query), [], ""
    for _ in range(1000):
        found = api.get(f"{route.path}?{query}&per_page=97{f'&cursor={cursor}' if cursor else ''}").json
        assert found["meta"]["total"] == len(whole)
        walked += found["data"]
        cursor = found["meta"]["next_cursor"]
        if cursor is None:
            break
    assert walked == whole


def test_a_cursor_says_where_to_go_on_and_no_page_does(api: Api) -> None:
    path = "/loans/fimr-drilldown?per_page=3"
    cursor = api.get(path).json["meta"]["next_cursor"]
    found = api.get(f"{path}&cursor={cursor}&page=7")
    assert (found.status_code, found.json["errors"][0]["field"]) == (400, "page")


@pytest.mark.parametrize("cursor", ["x", "bm90", "W10", "W1siYSIsIGZhbHNlLCAxXV0"])
def test_a_strange_cursor_is_refused(api: Api, cursor: str) -> None:
    found = api.get(f"/loans/fimr-drilldown?cursor={cursor}")
    assert (found.status_code, found.json["errors"][0]["field"]) == (400, "cursor")


@pytest.mark.parametrize("route", DATED, ids=lambda route: route.name)
def test_any_past_day_can_be_asked_for_and_none_to_come(api: Api, route: Route) -> None:
    for day in (FIRST, FIRST - timedelta(40), DAY):
        found = api.get(f"{route.path}?date={day}").json
        assert found["meta"]["calculation_date"] == str(day)
        assert found["data"]
    assert api.get(f"{route.path}?date={DAY + timedelta(1)}").status_code == 404
    assert api.get(f"{route.path}?date=0001-01-01").status_code == 404
    assert api.get(f"{route.path}?date=yesterday").status_code == 400


def test_a_day_nobody_published_is_computed_as_a_published_one(api: Api) -> None:
    day = FIRST - timedelta(40)
    unpublished = api.get(f"/metrics/officers?date={day}").json
    assert unpublished["meta"]["published"] is False
    assert api.get("/metrics/officers").json["meta"]["published"] is True


def test_a_series_holds_every_published_day(api: Api) -> None:
    last = FIRST + timedelta(4)
    series = f"start_date={FIRST}&end_date={last}"
    route = LISTS[0]
    found = all_rows(api, route, f"{series}&fields=date,officer_id,risk_score,portfolio_total,bands")
    days = [FIRST + timedelta(n) for n in range(5)]
    assert [row["date"] for row in found] == sorted(row["date"] for row in found)
    for day in days:
        single = rows(
            api, route, f"date={day}&per_page=500&fields=officer_id,risk_score,portfolio_total,bands"
        )
        assert [{**row, "date": str(day)} for row in single] == [
            row for row in found if row["date"] == str(day)
        ]
    one = found[0]["officer_id"]
    assert {row["officer_id"] for row in rows(api, route, f"{series}&officer_id={one}")} == {one}
    for query in (
        f"start_date={FIRST}",
        f"{series}&date={FIRST}",
        "start_date=2020-01-01&end_date=2026-01-01",
    ):
        assert api.get(f"/metrics/officers?{query}").status_code == 400


def test_money_has_two_decimals_and_equals_what_is_stored(api: Api) -> None:
    text = api.get("/metrics/branches?fields=branch,region,portfolio_total").text
    with connect(api.url) as connection:
        stored = connection.execute(
            "SELECT branch, total_portfolio FROM branch_metrics_daily WHERE calculation_date = %s", [DAY]
        ).fetchall()
    for branch, total in stored:
        assert f'"portfolio_total":{total:.2f}' in text, branch


def test_telephone_numbers_are_masked_for_viewers(api: Api) -> None:
    path = "/loans/fimr-drilldown?fields=customer_phone,customer_name"
    seen, whole = api.get(path).json["data"], api.get(path, "auditor").json["data"]
    numbers = [(a["customer_phone"], b["customer_phone"]) for a, b in zip(seen, whole, strict=True)]
    assert all(short == "****" + full[-4:] for short, full in numbers if full)
    assert any(full for _, full in numbers)


def test_text_that_is_no_date_is_told_what_a_date_is(api: Api) -> None:
    found = api.get("/metrics/officers?date=2026-02-30")
    assert found.json["errors"] == [{"field": "date", "message": "is no date (YYYY-MM-DD)"}]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_answers_are_zipped_for_those_who_can_unzip(api: Api, coding: str) -> None:
    plain, zipped = (
        api.get("/metrics/officers", headers={"Accept-Encoding": accepted}) for accepted in ("", coding)
    )
    assert zipped.headers["content-encoding"] == coding
    assert input_stream(io.BytesIO(zipped.content), compression=coding).read() == plain.content
    assert len(zipped.content) < len(plain.content)
    assert date.fromisoformat(plain.json["meta"]["calculation_date"]) == DAY


def test_a_sheet_that_would_be_too_long_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loanmetrics.export.xlsx.MOST_ROWS", 3)
    found = api.get("/metrics/officers?format=xlsx")
    assert (found.status_code, found.headers["content-type"]) == (422, "application/problem+json")
    assert "CSV" in found.json["detail"]
