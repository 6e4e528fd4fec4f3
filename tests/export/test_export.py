import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl
import pyarrow.parquet as pq
import pytest
import xlsxwriter  # type: ignore[import-untyped]

from loanmetrics.errors import DataError, UsageError
from loanmetrics.export import FORMATS, About, ColumnAbout, write
from loanmetrics.export.cells import LONGEST_TEXT
from loanmetrics.export.xlsx import MOST_ROWS
from tests.export.workbook import properties, sheet

LAGOS = timezone(timedelta(hours=1))
COLUMNS = [
    ColumnAbout("loan_id", "text", "Loan", "The lender's own id."),
    ColumnAbout("loan_amount", "money", "Amount", "Principal paid out."),
    ColumnAbout("days_late", "int"),
    ColumnAbout("yield", "ratio"),
    ColumnAbout("risk_score", "score"),
    ColumnAbout("interest_rate", "rate"),
    ColumnAbout("fimr_tagged", "bool"),
    ColumnAbout("due", "date"),
    ColumnAbout("seen_at", "timestamp"),
]
ABOUT = About(
    title="Loans of Ọlá",
    run_id="20260630T100000000-abcdef",
    known_at=None,
    as_of=date(2026, 6, 30),
    calculated_at=datetime(2026, 6, 30, 11, 0, tzinfo=LAGOS),
    filters={"branch": ["Ikeja", "Ọ̀yọ́\r\nX: y"], "min_amount": Decimal("5.50"), "since": date(2026, 1, 1)},
    policy_hash="p1",
)
FRAME = pl.DataFrame(
    {
        "due": [date(2026, 2, 1), None, date(1, 1, 1)],
        "loan_id": ["L1", "=1+1", None],
        "loan_amount": [123_456_705, -5, 0],
        "days_late": pl.Series([3, None, 0], dtype=pl.Int32),
        "yield": [0.1, None, 1e-7],
        "risk_score": [86, None, 0],
        "interest_rate": [Decimal("0.240000"), None, Decimal("0.000001")],
        "fimr_tagged": [True, None, False],
        "seen_at": pl.Series([datetime(2026, 6, 30, 1, 2, 3, 45), None, None]).dt.replace_time_zone(
            "Africa/Lagos"
        ),
        "never_asked_for": ["x", "y", "z"],
    }
)


def exported(
    folder: Path, form: str, *batches: pl.DataFrame, columns: Sequence[ColumnAbout] = COLUMNS
) -> Path:
    path = folder / f"out.{form}"
    write(path, batches, columns, ABOUT, form)
    assert [it.name for it in folder.iterdir()] == [path.name]
    return path


def one(folder: Path, form: str, kind: str, *values: object, dtype: pl.DataType | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    frame = pl.DataFrame({"a": pl.Series(values, dtype=dtype, strict=False)})
    return exported(folder, form, frame, columns=[ColumnAbout("a", kind)])


def test_csv_is_the_plain_table_with_exact_money(tmp_path: Path) -> None:
    assert exported(tmp_path, "csv", FRAME).read_text() == (
        "loan_id,loan_amount,days_late,yield,risk_score,interest_rate,fimr_tagged,due,seen_at\n"
        "L1,1234567.05,3,0.1,86,0.240000,true,2026-02-01,2026-06-30T00:02:03.000045Z\n"
        "'=1+1,-0.05,,,,,,,\n"
        ",0.00,0,1e-7,0,0.000001,false,0001-01-01,\n"
    )


def test_parquet_keeps_types_and_says_what_it_is(tmp_path: Path) -> None:
    table = pq.read_table(exported(tmp_path, "parquet", FRAME))
    assert {field.name: str(field.type) for field in table.schema} == {
        "loan_id": "string",
        "loan_amount": "decimal128(18, 2)",
        "days_late": "int64",
        "yield": "double",
        "risk_score": "int64",
        "interest_rate": "decimal128(18, 6)",
        "fimr_tagged": "bool",
        "due": "date32[day]",
        "seen_at": "timestamp[us, tz=UTC]",
    }
    assert table["loan_amount"].to_pylist() == [Decimal("1234567.05"), Decimal("-0.05"), Decimal("0.00")]
    assert table["loan_id"].to_pylist() == ["L1", "=1+1", None]
    assert table["seen_at"].to_pylist()[0] == datetime(2026, 6, 30, 0, 2, 3, 45, tzinfo=UTC)
    assert table.schema.field("loan_amount").metadata == {
        b"title": b"Amount",
        b"about": b"Principal paid out.",
    }
    told = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert told["loanmetrics.title"] == ABOUT.title
    assert told["loanmetrics.run_id"] == told["loanmetrics.known_at"] == ABOUT.run_id
    assert told["loanmetrics.as_of"] == "2026-06-30"
    assert told["loanmetrics.calculated_at"] == "2026-06-30T10:00:00Z"
    assert json.loads(told["loanmetrics.filters"])["min_amount"] == "5.50"
    assert json.loads(told["loanmetrics.columns"])[1] == {
        "name": "loan_amount",
        "kind": "money",
        "title": "Amount",
        "about": "Principal paid out.",
    }


def test_a_workbook_has_numbers_dates_and_text(tmp_path: Path) -> None:
    head, first, second, third = sheet(exported(tmp_path, "xlsx", FRAME), 1)
    assert [text for _, text, _ in head.values()] == [column.name for column in COLUMNS]
    assert first == {
        "A": ("inlineStr", "L1", ""),
        "B": ("n", "1234567.05", "#,##0.00"),
        "C": ("n", "3", "#,##0"),
        "D": ("n", "0.1", "0.00%"),
        "E": ("n", "86", "0"),
        "F": ("n", "0.240000", "0.000000"),
        "G": ("b", "1", ""),
        "H": ("n", "46054", "yyyy-mm-dd"),
        "I": ("n", first["I"][1], "yyyy-mm-dd hh:mm:ss"),
    }
    assert float(first["I"][1]) == pytest.approx(46203 + 123.000045 / 86_400, abs=1e-9)
    assert second == {"A": ("inlineStr", "'=1+1", ""), "B": ("n", "-0.05", "#,##0.00")}
    assert third["H"] == ("inlineStr", "0001-01-01", "")


def test_a_workbook_says_what_it_is(tmp_path: Path) -> None:
    path = exported(tmp_path, "xlsx", FRAME)
    texts = [tuple(text for _, text, _ in row.values()) for row in sheet(path, 2)]
    assert ("run_id", ABOUT.run_id) in texts
    assert ("calculated_at", "2026-06-30T10:00:00Z") in texts
    assert ("filter min_amount", "5.50") in texts
    assert ("times", "UTC") in texts
    assert ("loan_amount", "Amount", "money", "Principal paid out.") in texts
    assert ABOUT.title in properties(path)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_cannot_become_a_formula(tmp_path: Path, form: str, start: str) -> None:
    path = one(tmp_path, form, "text", f"{start}cmd|'/C calc'!A0", "safe = yes")
    if form == "csv":
        assert path.read_bytes().removeprefix(b"a\n").lstrip(b'"').startswith(f"'{start}".encode())
    else:
        assert sheet(path, 1)[1]["A"][1].startswith("'")
        assert sheet(path, 1)[2]["A"][1] == "safe = yes"


@pytest.mark.parametrize("form", FORMATS)
def test_batches_that_differ_make_one_table(tmp_path: Path, form: str) -> None:
    empty = FRAME.with_columns(pl.lit(None).alias(name) for name in FRAME.columns)
    path = exported(tmp_path, form, empty, FRAME.clear(), FRAME)
    if form == "parquet":
        assert pq.read_table(path)["loan_amount"].to_pylist()[2:] == [
            None,
            *map(Decimal, ("1234567.05", "-0.05", "0")),
        ]
    elif form == "csv":
        assert path.read_text().splitlines()[1:4] == [",,,,,,,,"] * 3
        assert len(path.read_text().splitlines()) == 7
    else:
        cells = [row["B"][1] for row in sheet(path, 1)[1:] if row]
        assert cells == ["1234567.05", "-0.05", "0.00"]


@pytest.mark.parametrize("form", FORMATS)
def test_no_rows_make_a_table_without_rows(tmp_path: Path, form: str) -> None:
    path = exported(tmp_path, form)
    if form == "parquet":
        assert pq.read_table(path).shape == (0, len(COLUMNS))
    elif form == "csv":
        assert path.read_text().splitlines() == [",".join(column.name for column in COLUMNS)]
    else:
        assert len(sheet(path, 1)) == 1


def test_money_is_exact_to_the_last_digit(tmp_path: Path) -> None:
    most = 999_999_999_999_999_999
    assert one(tmp_path, "csv", "money", most, -most).read_text().split()[1:] == [
        "9999999999999999.99",
        "-9999999999999999.99",
    ]


def test_what_a_sheet_cannot_hold_as_a_number_is_exact_text(tmp_path: Path) -> None:
    cells = [row["A"] for row in sheet(one(tmp_path, "xlsx", "money", 10**15 - 1, 10**15 + 1), 1)[1:]]
    assert cells == [("n", "9999999999999.99", "#,##0.00"), ("inlineStr", "10000000000000.01", "")]


@pytest.mark.parametrize("form", FORMATS)
def test_money_that_no_column_holds_is_refused_and_the_old_file_stands(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"out.{form}"
    path.write_bytes(b"before")
    frame = pl.DataFrame({"a": [10**18]})
    with pytest.raises(DataError, match="a holds a value"):
        write(path, [frame], [ColumnAbout("a", "money")], ABOUT, form)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["money", "int", "score"])
def test_whole_numbers_never_come_as_floats(tmp_path: Path, kind: str) -> None:
    with pytest.raises(TypeError, match="comes as integers"):
        one(tmp_path, "csv", kind, 1.5)


def test_a_long_text_is_cut_where_it_shows(tmp_path: Path) -> None:
    cells = [
        row["A"][1] for row in sheet(one(tmp_path, "xlsx", "text", "x" * LONGEST_TEXT, "é" * 40_000), 1)[1:]
    ]
    assert cells == ["x" * LONGEST_TEXT, "é" * (LONGEST_TEXT - 1) + "…"]


def rows(count: int) -> Iterator[pl.DataFrame]:
    while count:
        size = min(count, 200_000)
        yield pl.DataFrame({"a": pl.Series([None], dtype=pl.Int64).new_from_index(0, size)})
        count -= size


def test_a_sheet_that_would_be_too_long_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    columns = [ColumnAbout("a", "int")]
    with pytest.raises(UsageError, match=r"1,048,575 rows.*CSV or Parquet"):
        write(tmp_path / "out.xlsx", rows(1), columns, ABOUT, "xlsx", rows=MOST_ROWS + 1)
    with pytest.raises(UsageError, match="CSV or Parquet"):
        write(tmp_path / "out.xlsx", rows(MOST_ROWS + 1), columns, ABOUT, "xlsx")
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "out.xlsx", rows(MOST_ROWS), columns, ABOUT, "xlsx", rows=MOST_ROWS)
    write(tmp_path / "out.csv", rows(MOST_ROWS + 1), columns, ABOUT, "csv", rows=MOST_ROWS + 1)


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format: xslx"):
        write(tmp_path / "out", [], COLUMNS, ABOUT, "xslx")


def test_headers_are_safe_ascii() -> None:
    headers = ABOUT.as_headers()
    assert headers["Loanmetrics-Run-Id"] == ABOUT.run_id
    assert headers["Loanmetrics-As-Of"] == "2026-06-30"
    assert headers["Loanmetrics-Calculated-At"] == "2026-06-30T10:00:00Z"
    assert headers["Loanmetrics-Title"] == "Loans of %E1%BB%8Cl%C3%A1"
    assert parse_qs(headers["Loanmetrics-Filters"])["branch"] == ["Ikeja, Ọ̀yọ́\r\nX: y"]
    assert all(letter.isprintable() and letter.isascii() for value in headers.values() for letter in value)
    long = About("t", "r", None, None, None, {"officer_id": [f"O{number}" for number in range(10_000)]})
    assert max(map(len, long.as_headers().values())) <= 2000


STREAM = r"""
import re, sys
from pathlib import Path
import polars as pl
from loanmetrics.export import About, ColumnAbout, write

WIDE = [ColumnAbout(f"t{n}", "text") for n in range(4)] + [ColumnAbout(f"m{n}", "money") for n in range(4)]

def batches(count, size=20_000):
    for start in range(0, count, size):
        number = pl.int_range(start, start + size, eager=True)
        texts = {f"t{n}": "customer number " + number.cast(pl.String) for n in range(4)}
        yield pl.DataFrame(texts | {f"m{n}": number * 137 for n in range(4)})

write(Path(sys.argv[1]), batches(int(sys.argv[3])), WIDE, About("t", "r", None, None, None), sys.argv[2])
# ru_maxrss would be that of the process this one was started by, if that is larger.
print(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def peak(folder: Path, form: str, count: int) -> int:
    """Megabytes."""
    command = [sys.executable, "-c", STREAM, str(folder / "out"), form, str(count)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


linux = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


@linux
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_million_rows_stream_within_300_mb(tmp_path: Path, form: str) -> None:
    assert peak(tmp_path, form, 1_000_000) < 300


@linux
def test_a_sheets_rows_do_not_stay_in_memory(tmp_path: Path) -> None:
    assert peak(tmp_path, "xlsx", 60_000) - peak(tmp_path, "xlsx", 20_000) < 30


TEXTS = [
    "plain",
    " blanks at both ends ",
    "a & b < c > d \"quoted\" 'so'",
    "Ọ̀yọ́ 🙂",
    "line\nbreak\ttab",
    "control \x01 and \x1f and \r",
    "looks like _x0041_ a code",
    "_x005F_ and _xZZZZ_",
    "",
]
DAYS = [date(1900, 1, 1), date(1900, 2, 28), date(1900, 3, 1), date(1970, 1, 1), date(2199, 12, 31)]
MOMENTS = [datetime(1900, 1, 2, 6), datetime(1900, 3, 1, 12, 30), datetime(2026, 6, 30, 23, 59, 59, 500_000)]


def test_cells_are_those_that_xlsxwriter_writes(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.xlsx"
    with xlsxwriter.Workbook(str(theirs), {"constant_memory": True}) as book:
        page = book.add_worksheet()
        for row, value in enumerate([*TEXTS, *DAYS, *MOMENTS]):
            put = page.write_string if isinstance(value, str) else page.write_datetime
            put(row, 0, value)
    expected = [row["A"][:2] for row in sheet(theirs, 1)]
    made = [
        row["A"][:2]
        for kind, values in (("text", TEXTS), ("date", DAYS), ("timestamp", MOMENTS))
        for row in sheet(one(tmp_path / kind, "xlsx", kind, *values), 1)[1:]
    ]
    split = len(TEXTS) + len(DAYS)
    assert made[:split] == expected[:split]
    assert [float(text) for _, text in made[split:]] == pytest.approx(
        [float(text) for _, text in expected[split:]], abs=1e-9
    )


def test_ratios_that_are_no_numbers_are_errors_of_the_sheet(tmp_path: Path) -> None:
    cells = [row.get("A") for row in sheet(one(tmp_path, "xlsx", "ratio", 1.5, float("nan"), None), 1)[1:]]
    assert cells == [("n", "1.5", "0.00%"), ("e", "#NUM!", "0.00%"), None]
