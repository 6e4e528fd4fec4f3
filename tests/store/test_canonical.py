from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loanmetrics.store.canonical import canonical, parse
from loanmetrics.store.session import connect

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=9)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def server(databases: Any) -> Any:
    with databases.empty() as url, connect(url) as connection:
        yield connection


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(VALUES)
def test_a_value_has_the_same_text_after_jsonb(server: psycopg.Connection, value: Any) -> None:
    text = canonical(value)
    row = server.execute("SELECT %s::jsonb::text", [text]).fetchone()
    assert row is not None
    assert canonical(parse(row[0])) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.50, "1.5"),
        (Decimal("1.500"), "1.5"),
        (Decimal("1E+3"), "1000"),
        (1e-7, "0.0000001"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (10**25, "1" + 25 * "0"),
        ({"b": 1, "a": {"d": None, "c": True}}, '{"a":{"c":true,"d":null},"b":1}'),
        ("é\n", '"\\u00e9\\n"'),
        ([], "[]"),
    ],
)
def test_there_is_one_way_to_write_a_value(value: Any, text: str) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="no JSON number"):
        canonical({"x": value})


def test_other_things_have_no_text() -> None:
    with pytest.raises(TypeError, match="set has no canonical text"):
        canonical({1})
