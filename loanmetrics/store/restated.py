"""Restated figures: what was published of a past day, what took its place, and why."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

ENCODER = msgspec.json.Encoder(decimal_format="number")
Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Restated:
    """One row that a run restated: the figures that changed, numbers exact; ``after`` is None where the row went."""

    number: int
    table: str
    key: str
    day: date
    run_id: str
    before: Figures
    after: Figures | None


def read(connection: psycopg.Connection, run_id: str) -> list[Restated]:
    """What a run restated, without causes so far, by day and the run that published it before."""
    rows = connection.execute(
        "SELECT restatement_id, table_name, row_key, calculation_date, before_run_id, before::text, after::text"
        " FROM restatements WHERE run_id = %s AND causes IS NULL"
        " ORDER BY calculation_date, before_run_id, restatement_id",
        [run_id],
    ).fetchall()
    return [
        Restated(number, table, key, day, before_run, _exact(before), _exact(after) if after else None)
        for number, table, key, day, before_run, before, after in rows
    ]


def explain(connection: psycopg.Connection, causes: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
    """Write the causes of restated rows by their number."""
    values = [(ENCODER.encode(told).decode(), number) for number, told in causes]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE restatements SET causes = %s WHERE restatement_id = %s", values)


def _exact(text: str) -> Figures:
    found: Figures = json.loads(text, parse_float=Decimal)
    return found
