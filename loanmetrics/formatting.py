"""How single values look to people, on a screen and in a notebook alike."""

from datetime import datetime
from decimal import Decimal

NOTHING = "-"
FLOATS = {"points": "{:,.1f}", "seconds": "{:,.1f} s", "number": "{:,.4f}"}


def cell(value: object, kind: str) -> str:
    """One value for people.

    >>> cell(1234567, "money"), cell(0.0312, "ratio"), cell(None, "ratio"), cell(True, "bool")
    ('12,345.67', '3.1 %', '-', 'yes')
    """
    if value is None:
        return NOTHING
    match kind, value:
        case "money", int():
            return f"{Decimal(value) / 100:,.2f}"
        case "money", _:
            return f"{value:,.2f}"
        case "ratio", float():
            return f"{value * 100:,.1f} %"
        case (("bigint" | "int" | "score"), _):
            return f"{value:,}"
        case ("seconds", _) | (("points" | "number"), float()):
            return FLOATS[kind].format(value)
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def level(value: Decimal | None, kind: str) -> str:
    """A figure as it is published."""
    if value is None:
        return cell(None, kind)
    made = {"ratio": float, "bool": bool}.get(kind, int)(value)
    return cell(made, kind)


def step(value: Decimal | None, kind: str) -> str:
    """A change with its sign; of ratios in percentage points, of scores in points."""
    if value is None:
        return "-"
    match kind:
        case "money":
            return f"{value / 100:+,.2f}"
        case "ratio":
            return f"{value * 100:+,.2f} %"
    return f"{value:+,.0f}" if value == int(value) else f"{value:+,.2f}"
