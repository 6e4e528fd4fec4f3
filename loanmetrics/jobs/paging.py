"""Pages of many rows, in an order that does not change between them: by place, or on from where the last one ended."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any

import msgspec
import polars as pl

from loanmetrics.errors import UsageError, unknown

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Page:
    """Some of the rows, how many there are in all, and what the next page goes on from; None after the last."""

    rows: pl.DataFrame
    total: int
    next_cursor: str | None


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page: what it was sorted by, and its values of that."""

    sort: tuple[str, ...]
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def of(cls, text: str) -> "Cursor":
        """The cursor of a text that ``str`` gave."""
        try:
            content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            found = msgspec.json.decode(content, type=cls)
        except (binascii.Error, msgspec.DecodeError, ValueError):
            raise _broken() from None
        if len(found.values) != len(found.sort):
            raise _broken()
        return found


def page(
    rows: pl.LazyFrame,
    sort: Sequence[str],
    limit: int,
    *,
    key: str = "loan_id",
    after: str | None = None,
    skip: int = 0,
) -> Page:
    """``limit`` rows by the columns of ``sort`` (``-column``: falling; null last), then by ``key``: no two are alike.

    Begins after the row of the cursor ``after``, or else after ``skip`` rows; whichever it is, the last page of many
    costs what the first does.
    """
    order = ordered(rows, sort, key)
    keys = _keys(rows, order)
    rest = keys if after is None else keys.filter(_after(Cursor.of(after), order, keys.schema))
    chosen = in_order(rest.lazy(), order).slice(skip, limit).collect()
    more = skip + limit < len(rest)
    return Page(
        _whole(rows, chosen),
        len(keys),
        str(_last(chosen, order)) if more and len(chosen) else None,
    )


def parts(rows: pl.LazyFrame, order: Sequence[str], size: int) -> Iterator[pl.DataFrame]:
    """All rows in ``order``, which ends with the key, ``size`` at a time; only its columns are held all at once."""
    chosen = in_order(_keys(rows, order).lazy(), order).collect()
    for part in chosen.iter_slices(size) if len(chosen) else [chosen]:
        yield _whole(rows, part)


def _keys(rows: pl.LazyFrame, order: Sequence[str]) -> pl.DataFrame:
    return rows.select(name.lstrip("-") for name in order).collect()


def _whole(rows: pl.LazyFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """The rows of which only what they are sorted by is known, in the same order."""
    near = [pl.col(name).is_in(chosen[name].unique().implode(), nulls_equal=True) for name in chosen.columns]
    found = chosen.join(
        rows.filter(near).collect(), on=chosen.columns, how="left", nulls_equal=True, maintain_order="left"
    )
    return found.select(rows.collect_schema().names())


def ordered(rows: pl.LazyFrame, sort: Sequence[str], key: str) -> tuple[str, ...]:
    """``sort`` with ``key`` at its end, or an error that names the column there is not."""
    columns = rows.collect_schema().names()
    for name in sort:
        if name.lstrip("-") not in columns:
            raise unknown("column", name.lstrip("-"), columns)
    return tuple(sort) if key in [name.lstrip("-") for name in sort] else (*sort, key)


def in_order(rows: pl.LazyFrame, order: Sequence[str]) -> pl.LazyFrame:
    """The rows by these columns, null last either way."""
    falling = [name.startswith("-") for name in order]
    return rows.sort([name.lstrip("-") for name in order], descending=falling, nulls_last=True)


def _last(rows: pl.DataFrame, order: Sequence[str]) -> Cursor:
    values = rows.select(name.lstrip("-") for name in order).row(-1)
    return Cursor(tuple(order), tuple(str(value) if isinstance(value, date) else value for value in values))


def _after(cursor: Cursor, order: Sequence[str], schema: pl.Schema) -> pl.Expr:
    """Rows beyond the cursor's: further by the first column, or level there and further by the next, and so on."""
    if cursor.sort != tuple(order):
        raise _broken()
    level, found = pl.lit(True), list[pl.Expr]()
    for name, value in zip(order, cursor.values, strict=True):
        column = pl.col(name.lstrip("-"))
        known = _literal(value, schema[name.lstrip("-")])
        found.append(level & _further(column, known, value is None, name.startswith("-")))
        level &= column.eq_missing(known)
    return reduce(lambda one, other: one | other, found)


def _further(column: pl.Expr, known: pl.Expr, last: bool, falling: bool) -> pl.Expr:
    if last:
        return pl.lit(False)
    return (column < known if falling else column > known) | column.is_null()


def _literal(value: Value, kind: pl.DataType) -> pl.Expr:
    given: Any = value
    try:
        if kind == pl.Date() and value is not None:
            given = date.fromisoformat(given)
        return pl.lit(pl.Series([given], dtype=kind, strict=True).first(), dtype=kind)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise _broken() from None


def _broken() -> UsageError:
    return UsageError("the cursor cannot be read", "give next_cursor of the page before, and the same sort")
