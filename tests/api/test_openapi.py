"""The description is true: a client driven by it finds no 5xx, no status it does not tell of, no breach of a schema."""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.config import SchemathesisConfig

from loanmetrics.http import app
from loanmetrics.http.openapi import statuses
from loanmetrics.http.parameters import Nothing
from loanmetrics.http.routes import Route
from loanmetrics.http.table import BASE, ROUTES
from tests.api.conftest import BASE as PATH
from tests.api.conftest import Api

EXAMPLES = int(os.environ.get("LOANMETRICS_FUZZ", "10"))
CONFIG = {"generation": {"with-security-parameters": False}}
# Each would need the fuzzer to know what the description cannot say: who exists, which version an audit is at.
UNTOLD = [checks.positive_data_acceptance]
WAYS = [
    (route, mode)
    for route in ROUTES
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or route.query is not Nothing or route.body
]


@pytest.fixture(scope="session")
def described(api: Api) -> Any:
    """The API, as its document describes it."""
    config = SchemathesisConfig.from_dict(CONFIG)
    return schemathesis.openapi.from_wsgi(f"{PATH}/openapi.json", app.make(api.desk), config=config)


@pytest.mark.parametrize(("route", "mode"), WAYS, ids=[f"{route.name}-{mode.value}" for route, mode in WAYS])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 10,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_the_api_does_what_its_description_says(
    data: st.DataObject, route: Route, mode: GenerationMode, described: Any, api: Api
) -> None:
    operation = described[BASE + route.path][route.method]
    case = data.draw(operation.as_strategy(generation_mode=mode))
    headers = {**api.headers("admin"), "Accept-Encoding": "identity"}
    case.call_and_validate(headers=headers, excluded_checks=UNTOLD)


def test_every_route_and_no_other_is_described(api: Api) -> None:
    told = api.client.simulate_get(f"{PATH}/openapi.json").json
    assert told["openapi"] == "3.1.0"
    operations = {(path, method.upper()) for path, methods in told["paths"].items() for method in methods}
    assert operations == {(BASE + route.path, route.method) for route in ROUTES}
    for route in ROUTES:
        described = told["paths"][BASE + route.path][route.method.lower()]
        assert set(described["responses"]) == {"200", *map(str, statuses(route))}
        assert described["x-role"] == route.role
