"""Frames in and out of tables: few rows and many are the same rows."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal
from psycopg import sql

from loanmetrics.store import frames
from loanmetrics.store.mapped import aside
from loanmetrics.store.session import connect

ROWS = pl.DataFrame(
    {
        "nr": pl.Series([1, 2, 3, 4, 5], dtype=pl.Int32),
        "name": ["Ada", 'with "quotes", commas\nand lines', "", None, "Åse"],
        "amount": [1, -1, None, 12345, 0],
        "day": [date(2026, 2, 28), None, date(1970, 1, 1), date(2199, 12, 31), date(2026, 3, 1)],
    }
)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        opened.execute("CREATE TABLE notes (nr integer, name text, amount numeric(18,2), day date)")
        frames.copy_in(opened, "notes", ROWS, frames.column_types(opened, "notes"))
        yield opened


@pytest.mark.parametrize("at_once", [1, 40, 1 << 20])
def test_rows_come_back_in_however_many_pieces(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    many = pl.concat(ROWS.with_columns(pl.col("nr") + 5 * time) for time in range(1, 400))
    frames.copy_in(connection, "notes", many, frames.column_types(connection, "notes"))
    put_aside: list[pl.DataFrame] = []

    def noted(rows: pl.DataFrame) -> pl.DataFrame:
        put_aside.append(rows)
        return aside(rows)

    monkeypatch.setattr(frames, "aside", noted)
    monkeypatch.setattr(frames, "TEXT_AT_ONCE", at_once)
    found = frames.fetch(connection, "notes", sql.SQL("nr > %s"), [5], ("nr",))
    assert_frame_equal(found, many)
    assert bool(put_aside) == (at_once < 1 << 20)


def test_no_rows_have_their_columns(connection: psycopg.Connection) -> None:
    found = frames.fetch(connection, "notes", sql.SQL("nr > 5"), [], ("nr",), ["day", "amount"])
    assert_frame_equal(found, ROWS.clear().select("day", "amount"))


def test_rows_put_aside_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = aside(ROWS)
    assert_frame_equal(kept, ROWS)
    assert not list(tmp_path.iterdir())
    assert_frame_equal(kept.filter(pl.col("amount") > 0), ROWS.filter(pl.col("amount") > 0))
