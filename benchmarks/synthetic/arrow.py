"""Arrow columns from integer arrays: exact money, days, UTC instants, ids and texts."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.dice import Bools, Ints

MONEY = pa.decimal128(18, 2)
RATE = pa.decimal128(9, 6)
INSTANT = pa.timestamp("us", tz="UTC")
_DAY_SECONDS = 86_400
_HOURS_AHEAD_OF_UTC = 1
_NIGHTLY = 23 * 3600
OPENS, OPEN_MINUTES = 8 * 3600, 600


def decimals(units: Ints, kind: pa.DataType = MONEY, null: Bools | None = None) -> pa.Array:
    words = np.stack([units, units >> 63], axis=1)
    array = pa.Array.from_buffers(kind, len(units), [None, pa.py_buffer(np.ascontiguousarray(words))])
    return array if null is None else pc.if_else(pa.array(null), pa.scalar(None, kind), array)


def dates(days: Ints) -> pa.Array:
    """A negative day is null."""
    return pa.array(days.astype(np.int32), pa.date32(), mask=days < 0)


def moment(day: Ints, local_second: Ints | int) -> Ints:
    """The UTC second of a local time of day."""
    return day * _DAY_SECONDS + local_second - _HOURS_AHEAD_OF_UTC * 3600


def nightly_stamp(day: Ints) -> Ints:
    """When the lender's nightly sync writes down what changed that day."""
    return moment(day, _NIGHTLY)


def instants(moments: Ints) -> pa.Array:
    return pa.array(moments * 1_000_000, INSTANT)


def small_ints(values: Ints, null: Bools | None = None) -> pa.Array:
    return pa.array(values.astype(np.int32), pa.int32(), mask=null)


def ids(prefix: str, numbers: Ints, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def texts(pool: Sequence[str], codes: Ints) -> pa.Array:
    """A negative code is null."""
    return pa.array(list(pool), pa.string()).take(pa.array(codes, mask=codes < 0))


def joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def unless(null: Bools, column: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(null), pa.scalar(None, column.type), column)
