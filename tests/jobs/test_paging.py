"""Pages, one after the other, are the whole; a cursor that is not one's own is refused."""

import base64
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from loanmetrics.errors import UsageError
from loanmetrics.jobs.paging import Page, in_order, ordered, page

BUCKET = pl.Enum(["0", "1-6", "7-30", "90+"])
COLUMNS: dict[str, tuple[pl.DataType, st.SearchStrategy[object]]] = {
    "owed": (pl.Int64(), st.integers(0, 3)),
    "score": (pl.Float64(), st.sampled_from([0.1, 1 / 3, 98.10886284055803])),
    "paid": (pl.Date(), st.sampled_from([date(2026, 2, 28), date(2026, 3, 1)])),
    "tagged": (pl.Boolean(), st.booleans()),
    "branch": (pl.Categorical(), st.sampled_from(["Yaba", "Ikeja", "\u00c5"])),
    "bucket": (BUCKET, st.sampled_from(BUCKET.categories.to_list())),
}
NAMES = st.sampled_from([sign + name for name in (*COLUMNS, "loan_id") for sign in ("", "-")])


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    height = draw(st.integers(0, 12))
    made = {
        name: pl.Series(draw(st.lists(st.none() | values, min_size=height, max_size=height)), dtype=kind)
        for name, (kind, values) in COLUMNS.items()
    }
    ids = draw(st.permutations([f"L{number}" for number in range(height)]))
    return pl.DataFrame({"loan_id": pl.Series(ids, dtype=pl.String), **made})


@given(frames(), st.lists(NAMES, max_size=3, unique_by=lambda name: name.lstrip("-")), st.integers(1, 5))
def test_pages_make_up_the_whole(rows: pl.DataFrame, sort: list[str], limit: int) -> None:
    whole = in_order(rows.lazy(), ordered(rows.lazy(), sort, "loan_id")).collect()
    found, after, skip = [rows.clear()], None, 0
    while True:
        made = page(rows.lazy(), sort, limit, after=after)
        assert made.total == len(rows)
        assert_frame_equal(page(rows.lazy(), sort, limit, skip=skip).rows, made.rows)
        found.append(made.rows)
        after, skip = made.next_cursor, skip + limit
        if after is None:
            break
        assert len(made.rows) == limit
    assert_frame_equal(pl.concat(found), whole, check_exact=True)


ROWS = pl.LazyFrame(
    {
        "loan_id": ["L1", "L2", "L3", "L4"],
        "bucket": pl.Series(["7-30", None, "0", "7-30"], dtype=BUCKET),
        "paid": [date(2026, 3, 1), None, date(2026, 2, 1), None],
    }
)


def ids(made: Page) -> list[str]:
    return made.rows["loan_id"].to_list()


def test_the_unknown_comes_last_either_way() -> None:
    assert ids(page(ROWS, ["paid"], 4)) == ["L3", "L1", "L2", "L4"]
    assert ids(page(ROWS, ["-paid"], 4)) == ["L1", "L3", "L2", "L4"]
    assert ids(page(ROWS, ["-paid", "-loan_id"], 4)) == ["L1", "L3", "L4", "L2"]


def test_a_page_goes_on_though_its_last_row_has_gone() -> None:
    first = page(ROWS, ["-bucket"], 1)
    assert ids(first) == ["L1"]
    rest = page(ROWS.filter(pl.col("loan_id") != "L1"), ["-bucket"], 5, after=first.next_cursor)
    assert (ids(rest), rest.total, rest.next_cursor) == (["L4", "L3", "L2"], 3, None)


def test_what_is_unique_by_several_columns_only() -> None:
    rows = pl.LazyFrame(
        {
            "region": ["N", "S", "N", None],
            "branch": ["Yaba", "Yaba", "Ikeja", None],
            "fimr": [0.1, 0.1, None, 0.3],
        }
    )
    after, found = None, list[tuple[object, ...]]()
    for _ in range(4):
        made = page(rows, ["fimr", "region"], 1, key="branch", after=after)
        after = made.next_cursor
        found += made.rows.rows()
    assert found == [("N", "Yaba", 0.1), ("S", "Yaba", 0.1), (None, None, 0.3), ("N", "Ikeja", None)]


def test_an_unknown_column_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match=r"unknown column: bucke \(did you mean bucket\?\)"):
        page(ROWS, ["-bucke"], 1)


def made(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


BROKEN = [
    "",
    "?",
    "AAAA\u00e9",
    made("{}"),
    made("[]"),
    made('[["bucket","loan_id"],["7-30"]]'),
    made('[["paid","loan_id"],["2026-03-01","L1"]]'),
    made('[["bucket","loan_id"],["8-30","L1"]]'),
    made('[["bucket","loan_id"],[["7-30"],"L1"]]'),
    made('[["bucket","loan_id"],["7-30",7]]'),
    f"{made(chr(91))}=",
]


@pytest.mark.parametrize("cursor", BROKEN)
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="the cursor cannot be read"):
        page(ROWS, ["bucket"], 1, after=cursor)


@pytest.mark.parametrize("value", ['"2026-02-30"', "20260301", "1e400", '"x"', "true"])
def test_a_cursor_of_other_values_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="the cursor cannot be read"):
        page(ROWS, ["paid"], 1, after=made(f'[["paid","loan_id"],[{value},"L1"]]'))
