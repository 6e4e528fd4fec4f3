"""One text for one JSON value, the same before PostgreSQL stored it as jsonb and after.

Names are sorted, there is no space, whatever is not ASCII is escaped, and a number is written in full without
an exponent, superfluous zeros or a negative zero.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring_ascii as quoted
from operator import itemgetter
from typing import Any


def canonical(value: Any) -> str:
    """The text of a value made of dictionaries, lists, strings, numbers, booleans and None.

    >>> canonical({"b": [1.50, None], "a": "é"})
    '{"a":"\\\\u00e9","b":[1.5,null]}'
    """
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        pairs = sorted(((str(name), inner) for name, inner in value.items()), key=itemgetter(0))
        return "{" + ",".join([f"{quoted(name)}:{canonical(inner)}" for name, inner in pairs]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no canonical text")


def parse(text: str) -> Any:
    """The value of a JSON text, every digit of its numbers kept."""
    return json.loads(text, parse_float=Decimal)


def _number(value: float | Decimal) -> str:
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if not exact.is_finite():
        raise ValueError(f"{value} is no JSON number")
    text = f"{exact:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
