"""Query strings and bodies into typed structs; what does not fit is refused, naming the field."""

import re
from datetime import date
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from loanmetrics.errors import suggest
from loanmetrics.http.problems import ProblemError, Wrong

Day = date | None  # a field called date would hide the type
T = TypeVar("T", bound=msgspec.Struct)
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Texts = tuple[Text, ...]
Units = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Days = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
MOST_PARAMETERS = 200
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Nothing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A route without parameters."""


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """``date``: the day the figures are of, the newest published by default."""

    date: Day = None


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of a list, in which order, which fields, as what."""

    page: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    sort: Annotated[str, msgspec.Meta(max_length=500)] = ""
    fields: Annotated[str, msgspec.Meta(max_length=5_000)] = ""
    format: Literal["json", "csv", "parquet", "xlsx"] | None = None


class Cursor(Paging, frozen=True, kw_only=True):
    """Paging that can also go on from where the last page ended."""

    cursor: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class DatedPaging(Paging, frozen=True, kw_only=True):
    """A list of one day."""

    date: Day = None


class DatedCursor(Cursor, frozen=True, kw_only=True):
    """A list of one day that can go on from where the last page ended."""

    date: Day = None


def query(struct: type[T], text: str) -> T:
    """The query string as ``struct``; anything unknown, repeated or malformed is a 400 naming it."""
    given: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"more than {MOST_PARAMETERS} parameters") from None
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    types, wrong, values = hints(struct), [], {}
    for name, said in given.items():
        try:
            values[name] = _value(name, said, types)
        except _UnfitError as unfit:
            wrong.append(Wrong(name, str(unfit)))
    if wrong:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "; ".join(f"{it.field}: {it.message}" for it in wrong), tuple(wrong)
        )
    return struct(**values)


@cache
def hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The declared type of every parameter."""
    return get_type_hints(struct, include_extras=True)


def is_many(kind: Any) -> bool:
    """Whether a parameter may be repeated."""
    return get_origin(kind) is tuple


class _UnfitError(Exception):
    pass


def _value(name: str, said: list[str], types: dict[str, Any]) -> Any:
    if name not in types:
        raise _UnfitError(f"unknown parameter ({suggest(name, types)})" if types else "unknown parameter")
    if any(map(CONTROL.search, said)):
        raise _UnfitError("holds a control character")
    kind = types[name]
    if is_many(kind):
        return tuple(_fit(value, get_args(kind)[0]) for value in said)
    if len(said) > 1:
        raise _UnfitError("given more than once")
    return _fit(said[0], kind)


def _fit(value: str, kind: Any) -> Any:
    if value in ("", "null") and type(None) in get_args(kind):
        raise _UnfitError("is empty")
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _UnfitError(_plainly(str(error), kind)) from None


def _plainly(message: str, kind: Any) -> str:
    if "encoded date" in message or "date" in message.lower():
        return "is no date (YYYY-MM-DD)"
    if "enum value" in message or get_origin(kind) is Literal:
        return f"must be one of {', '.join(_choices(kind))}"
    return message[0].lower() + message[1:]


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    return [choice for part in get_args(kind) for choice in _choices(part)]


def body(struct: type[T], raw: bytes, content_type: str | None) -> T:
    """A JSON body as ``struct``."""
    if (content_type or "").split(";")[0].strip().lower() != "application/json":
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
    try:
        made = msgspec.json.decode(raw, type=struct)
    except msgspec.ValidationError as error:
        raise _wrong_body(str(error), struct) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body is no JSON") from None
    for name in struct.__struct_fields__:
        value = getattr(made, name)
        if isinstance(value, str) and "\x00" in value:
            raise ProblemError.bad(name, "holds a control character")
    return made


def _wrong_body(message: str, struct: type[msgspec.Struct]) -> ProblemError:
    unknown = re.search(r"unknown field `(.*)`", message)
    if unknown:
        return ProblemError.bad(
            unknown[1][:100], f"unknown field ({suggest(unknown[1], struct.__struct_fields__)})"
        )
    what, _, where = message.partition(" - at `$")
    missing = re.search(r"missing required field `(\w+)`", message)
    field = missing[1] if missing else where.rstrip("`").lstrip(".") or "body"
    return ProblemError.bad(field, what[0].lower() + what[1:])
