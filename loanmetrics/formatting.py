"""How single values look to people, on a screen and in a notebook alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

NOTHING = "-"
FLOATS = {"seconds": "{:,.1f} s", "number": "{:,.4f}"}


@dataclass(frozen=True, slots=True)
class Form:
    """How a number of a kind is written: ``times`` as large, with so many digits, ``after`` behind it.

    ``finely`` is how many digits it has where parts must be seen to add up.
    """

    times: int = 1
    digits: int = 0
    after: str = ""
    finely: int = 0

    def write(self, value: float | Decimal) -> str:
        """One value.

        >>> Form(100, 1, " %").write(0.0312)
        '3.1 %'
        """
        return f"{value * self.times:,.{self.digits}f}{self.after}"


# By kind of column: the terminal, notebooks, paper and the dashboard write numbers by these.
FORMS: Final[Mapping[str, Form]] = {
    "money": Form(digits=2, finely=2),
    "ratio": Form(100, 1, " %", finely=2),
    "points": Form(digits=1, finely=1),
    "bigint": Form(),
    "int": Form(),
    "score": Form(),
}


def cell(value: object, kind: str) -> str:
    """One value for people.

    >>> cell(1234567, "money"), cell(0.0312, "ratio"), cell(None, "ratio"), cell(True, "bool")
    ('12,345.67', '3.1 %', '-', 'yes')
    """
    if value is None:
        return NOTHING
    match kind, value:
        case "money", int():
            return FORMS[kind].write(Decimal(value) / 100)
        case ("money", Decimal() | float() as number) | (("ratio" | "points"), float() as number):
            return FORMS[kind].write(number)
        case (("bigint" | "int" | "score"), _):
            return f"{value:,}"
        case ("seconds", _) | ("number", float()):
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
