"""Whose loans they were, over HTTP: beside what is published, and refused where nobody recorded it."""

from pathlib import Path

import psycopg
import pytest

from loanmetrics.jobs import members
from loanmetrics.jobs.compute import compute
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.testing import Databases
from tests.api.conftest import PASSWORD, ROLES, Api, opened
from tests.jobs.small import DAY, SMALL_BOOK

PATH = "/cohorts/attribution"
GIVEN = "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L1'"


def served(url: str, home: Path, *statements: str, **settings: str) -> Api:
    """The small book after some statements, published."""
    with psycopg.connect(url) as connection:
        for statement in (SMALL_BOOK, *statements):
            connection.execute(statement.encode())
    made = Settings(database_url=url, home=home).but("test", **settings)
    compute(made, DAY, Policy())
    for role in ROLES:
        members.add(made, f"{role}@example.com", role.title(), role, PASSWORD)
    return opened(made)


def test_now_is_what_the_officers_list_says(api: Api) -> None:
    wanted = {it["officer_id"]: it["fimr"] for it in api.get("/metrics/officers?per_page=500").json["data"]}
    for rule in ("origination", "first_late"):
        found = api.get(f"{PATH}?rule={rule}&per_page=500").json["data"]
        assert {it["officer_id"]: it["now"] for it in found} == wanted
        assert all(it["attributed"] == it["now"] and not it["gained"] for it in found)


def test_what_was_recorded_is_attributed(databases: Databases, home: Path) -> None:
    with databases.migrated() as url:
        small = served(url, home, GIVEN)
        rows = small.get(PATH).json["data"]
        told = {it["officer_id"]: (it["now"], it["attributed"], it["gained"], it["lost"]) for it in rows}
        assert told["O1"] == (0, pytest.approx(1 / 3), 1, 0)
        assert told["O3"] == (1, None, 0, 1)
        assert [it["officer_id"] for it in rows[:2]] == ["O1", "O3"]
        some = small.get(f"{PATH}?officer_id=O3&metric=par7&sort=-lost").json["data"]
        assert [(it["officer_id"], it["metric"]) for it in some] == [("O3", "par7")]
        small.desk.close()


def test_where_nothing_was_recorded_that_is_said(databases: Databases, home: Path) -> None:
    with databases.migrated() as url:
        blind = "DROP TRIGGER loanmetrics_log_update ON loans"
        small = served(url, home, blind, GIVEN, change_detection="hashes")
        found = small.get(PATH)
        assert (found.status_code, found.headers["content-type"]) == (409, "application/problem+json")
        assert "do not tell whom loans were with" in found.json["detail"]
        small.desk.close()


@pytest.mark.parametrize(
    ("query", "field"), [("rule=now", "rule"), ("metric=fmir", "metric"), ("by=branch", "by")]
)
def test_what_there_is_not_is_refused(api: Api, query: str, field: str) -> None:
    found = api.get(f"{PATH}?{query}")
    assert (found.status_code, [it["field"] for it in found.json["errors"]]) == (400, [field])
