"""Fields of a list: one declaration gives JSON, its schema, the whitelist of sorts and what an export says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from loanmetrics.errors import suggest
from loanmetrics.http.problems import ProblemError
from loanmetrics.tables import MINOR_PER_UNIT

if TYPE_CHECKING:
    import polars as pl

Kind = Literal[
    "text", "money", "int", "bigint", "ratio", "exact", "score", "bool", "date", "timestamp", "bands"
]
SCHEMAS: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "money": {"type": "number"},
    "int": {"type": "integer"},
    "bigint": {"type": "integer"},
    "ratio": {"type": "number"},
    "exact": {"type": "number"},
    "score": {"type": "integer"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "bands": {"type": "object", "additionalProperties": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row. ``column``: its name in the frame; ``shown``: also when nobody asks for it.

    ``audit``: it may change between runs, with an audit.
    """

    name: str
    kind: Kind
    about: str = ""
    column: str = ""
    shown: bool = True
    sortable: bool = True
    null: bool = True
    parts: Mapping[str, str] | None = None
    audit: bool = False

    @property
    def source(self) -> str:
        """The frame's column."""
        return self.column or self.name

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the value."""
        plain = SCHEMAS[self.kind]
        typed = {**plain, "type": [plain["type"], "null"]} if self.null else dict(plain)
        return {**typed, "description": self.about} if self.about else typed


Fields = tuple[Field, ...]


def chosen(fields: Fields, asked: str) -> Fields:
    """The fields that ``fields=a,b`` picks, in that order; by default those always shown."""
    if not asked:
        return tuple(field for field in fields if field.shown)
    known = {field.name: field for field in fields}
    return tuple(known[name] for name in _named("fields", asked, known))


def ordering(fields: Fields, asked: str, default: str, key: Sequence[str]) -> tuple[str, ...]:
    """Columns to sort by (``-column``: falling), made unique by ``key``."""
    known = {field.name: field for field in fields if field.sortable}
    steps: dict[str, str] = {}
    for word in (asked or default).split(","):
        name = word.strip().removeprefix("-")
        _named("sort", name, known)
        falls = "-" if word.strip().startswith("-") else ""
        steps.setdefault(known[name].source, f"{falls}{known[name].source}")
    return (*steps.values(), *(name for name in key if name not in steps))


def _named(parameter: str, asked: str, known: Iterable[str]) -> list[str]:
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in known:
            raise ProblemError.bad(parameter, f"unknown field {name!r}: {suggest(name, known)}")
    return list(dict.fromkeys(names))


def rows(frame: "pl.DataFrame", fields: Fields) -> list[dict[str, Any]]:
    """The frame's rows as JSON-ready objects: money with two decimals, null stays null."""
    made = [_values(frame, field) for field in fields]
    names = [field.name for field in fields]
    return [dict(zip(names, row, strict=True)) for row in zip(*made, strict=True)] if made else []


def _values(frame: "pl.DataFrame", field: Field) -> list[Any]:
    if field.kind == "bands":
        parts = field.parts or {}
        columns = [frame[column].to_list() for column in parts.values()]
        return [dict(zip(parts, row, strict=True)) for row in zip(*columns, strict=True)]
    values = frame[field.source].to_list()
    return [money(value) for value in values] if field.kind == "money" else values


def money(minor: int | None) -> Decimal | None:
    """Minor units as a number with two decimals.

    >>> money(1250)
    Decimal('12.50')
    """
    return None if minor is None else Decimal(minor).scaleb(-2) if MINOR_PER_UNIT == 100 else None


def row_schema(fields: Fields) -> dict[str, Any]:
    """JSON schema of one row; ``fields=`` may leave out any of them."""
    return {
        "type": "object",
        "properties": {field.name: field.schema for field in fields},
        "additionalProperties": False,
    }


def plain(value: Any) -> Any:
    """Dates and times as text."""
    return value.isoformat() if isinstance(value, date | datetime) else value
