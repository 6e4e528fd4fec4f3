"""Dataclasses of equally long arrays, used as tables."""

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from synthetic.dice import Bools, Ints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Table = TypeVar("Table", bound="DataclassInstance")


def take(table: Table, rows: Ints | Bools) -> Table:
    return type(table)(**{field.name: getattr(table, field.name)[rows] for field in fields(table)})


def stack(*tables: Table) -> Table:
    first = tables[0]
    columns = [field.name for field in fields(first)]
    return type(first)(
        **{name: np.concatenate([getattr(table, name) for table in tables]) for name in columns}
    )
