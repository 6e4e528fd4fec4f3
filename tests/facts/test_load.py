import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from loanmetrics.errors import DataError, LockHeldError, UsageError
from loanmetrics.facts.quarantine import hold_broken
from loanmetrics.facts.quoting import literal
from loanmetrics.facts.reading import check, layout, workshop
from loanmetrics.facts.sources import find, table_of
from loanmetrics.jobs.load import LOCK, LoadReport, load_sources
from loanmetrics.policy import Policy
from loanmetrics.tables import LENDER_TABLES

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
LOANS = "loan_id,loan_amount,disbursement_date"
REPAYMENTS = "repayment_id,loan_id,payment_date,payment_amount"
SCHEDULE = "loan_id,installment_number,due_date"
L1 = "L1,1000,2024-01-05"


def quiet(what: str, done: int, total: int) -> None:
    pass


def load(url: str, *paths: Path, policy: Policy | None = None, report: Path | None = None) -> LoadReport:
    return load_sources(url, find(paths), policy or Policy(), report=report, progress=quiet)


def csv(folder: Path, name: str, *lines: str) -> Path:
    file = folder / name
    file.write_bytes("\n".join([*lines, ""]).encode())
    return file


def parquet(folder: Path, name: str, select: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({select}) TO {literal(folder / name)} (FORMAT parquet)")
    return folder / name


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def contents(url: str) -> list[list[tuple[Any, ...]]]:
    names = [*(table.name for table in LENDER_TABLES), "quarantined_rows"]
    return [rows(url, f"SELECT * FROM {name} ORDER BY 1, 2, 3") for name in names if name != "holidays"]


def judged(file: Path) -> list[tuple[Any, ...]]:
    """Row number, rule and field of what a file's own rows break."""
    [source] = find([file])
    with workshop(Policy()) as (work, _):
        found = layout(work, source)
        hold_broken(work, source.table, check(work, source.table, found, Policy()))
        return work.execute("SELECT row_number, rule, field FROM held ORDER BY row_number").fetchall()


def select(cells: Mapping[str, str]) -> str:
    return f"SELECT {', '.join(f'{value} AS {name}' for name, value in cells.items())}"


def stored_cells(url: str, folder: Path, cells: Iterable[tuple[str, str, object]]) -> list[tuple[Any, ...]]:
    """The cells as the database has them, each from the loan numbered like it."""
    load(url, folder, policy=Policy(time_zone="Africa/Lagos"))
    return [
        (column, value, *rows(url, f"SELECT {column} FROM loans WHERE loan_id = 'L{place}'")[0])
        for place, (column, value, _) in enumerate(cells)
    ]


def held(url: str) -> list[tuple[Any, ...]]:
    return rows(url, "SELECT row_key, rule, field FROM quarantined_rows ORDER BY row_number")


SOUND_LOAN_CELLS = [
    ("loan_amount", "1000", Decimal("1000.00")),
    ("loan_amount", " +1000.5 ", Decimal("1000.50")),
    ("loan_amount", "1000.5000", Decimal("1000.50")),
    ("loan_amount", ".5", Decimal("0.50")),
    ("loan_amount", "1000000000000", Decimal("1000000000000.00")),
    ("disbursement_date", "2024-02-29", date(2024, 2, 29)),
    ("disbursement_date", "2024-02-29 23:59:59", date(2024, 2, 29)),
    ("disbursement_date", "2024-02-29T23:30:00Z", date(2024, 3, 1)),
    ("loan_term_days", "30.0", 30),
    ("interest_rate", "0.150000", Decimal("0.150000")),
    ("status", "", None),
    ("branch", '"two\nlines, ""quoted"""', 'two\nlines, "quoted"'),
    ("branch", "Abẹ́òkúta", "Abẹ́òkúta"),
    ("customer_phone", "2.34817E+12", "2.34817E+12"),
    ("created_at", "2024-01-05 12:00:00", datetime(2024, 1, 5, 11, tzinfo=UTC)),
    ("created_at", "2024-01-05T12:00:00Z", datetime(2024, 1, 5, 12, tzinfo=UTC)),
    ("created_at", "2024-01-05 12:00:00+02:00", datetime(2024, 1, 5, 10, tzinfo=UTC)),
]


def test_a_sound_cell_is_stored_as_it_is_meant(database: str, tmp_path: Path) -> None:
    for place, (column, value, _) in enumerate(SOUND_LOAN_CELLS):
        cells = {"loan_id": f"L{place}", "loan_amount": "1", "disbursement_date": "2024-01-05", column: value}
        csv(tmp_path, f"loans-{place}.csv", ",".join(cells), ",".join(cells.values()))
    assert stored_cells(database, tmp_path, SOUND_LOAN_CELLS) == SOUND_LOAN_CELLS


SOUND_PARQUET_CELLS = [
    ("loan_amount", "0.1::DOUBLE + 0.2::DOUBLE", Decimal("0.30")),
    ("loan_amount", "999999999999.99::DOUBLE", Decimal("999999999999.99")),
    ("loan_amount", "12.34::FLOAT", Decimal("12.34")),
    ("loan_amount", "12.3400::DECIMAL(18,4)", Decimal("12.34")),
    ("loan_amount", "1000::UBIGINT", Decimal("1000.00")),
    ("disbursement_date", "TIMESTAMP '2024-01-05 23:30:00'", date(2024, 1, 5)),
    ("disbursement_date", "TIMESTAMPTZ '2024-01-05 23:30:00+00'", date(2024, 1, 6)),
    ("loan_term_days", "30::DOUBLE", 30),
    ("branch", "encode('Ìbàdàn')", "Ìbàdàn"),
    ("created_at", "TIMESTAMP '2024-01-05 12:00:00'", datetime(2024, 1, 5, 11, tzinfo=UTC)),
    ("created_at", "TIMESTAMPTZ '2024-01-05 12:00:00+00'", datetime(2024, 1, 5, 12, tzinfo=UTC)),
]


def test_a_sound_parquet_cell_is_stored_as_it_is_meant(database: str, tmp_path: Path) -> None:
    for place, (column, value, _) in enumerate(SOUND_PARQUET_CELLS):
        cells = {"loan_id": f"'L{place}'", "loan_amount": "1", "disbursement_date": "DATE '2024-01-05'"}
        parquet(tmp_path, f"loans-{place}.parquet", select({**cells, column: value}))
    assert stored_cells(database, tmp_path, SOUND_PARQUET_CELLS) == SOUND_PARQUET_CELLS


def test_numbers_in_key_columns_are_the_text_of_the_number(database: str, tmp_path: Path) -> None:
    for place, kind in enumerate(("DOUBLE", "BIGINT", "FLOAT")):
        cells = {
            "loan_id": f"10{place}::{kind}",
            "loan_amount": "1",
            "disbursement_date": "DATE '2024-01-05'",
        }
        parquet(tmp_path, f"loans-{place}.parquet", select(cells))
    load(database, tmp_path)
    assert rows(database, "SELECT loan_id FROM loans ORDER BY 1") == [("100",), ("101",), ("102",)]


@pytest.mark.parametrize("row", ["L1,Ada,08031234567,2024-01-05", "L1,Ada,08031234567,08031234567"])
def test_a_first_line_that_is_no_header_is_not_quoted(tmp_path: Path, row: str) -> None:
    with pytest.raises(DataError, match=r"is its first line the header|two columns of one name") as caught:
        judged(csv(tmp_path, "loans.csv", row))
    assert not any(cell in str(caught.value) for cell in ("Ada", "08031234567"))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_byte_order_mark_separator_crlf_case_and_blanks_in_the_header_do_not_matter(
    database: str, tmp_path: Path, separator: str
) -> None:
    header = LOANS.upper().replace(",", f" {separator} ")
    text = f"\ufeff{header}\r\n{L1.replace(',', separator)}\r\n"
    (tmp_path / "loans.csv").write_bytes(text.encode())
    load(database, tmp_path / "loans.csv")
    assert rows(database, "SELECT loan_id FROM loans") == [("L1",)]


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("loans.parquet", "loans"),
        ("loans-0001.parquet", "loans"),
        ("loan_schedule_2024-01.CSV", "loan_schedule"),
        ("gl_balances.csv.gz", "gl_balances"),
    ],
)
def test_a_file_is_known_by_its_stem(name: str, table: str) -> None:
    assert table_of(Path(name)).name == table


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loan.csv", "did you mean loans"),
        ("repayment-01.csv", "did you mean repayments"),
        ("officer_metrics_daily.parquet", "computed here"),
        ("loans_old.csv", "unknown table: loans_old"),
    ],
)
def test_an_unknown_stem_is_refused_with_a_hint(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=message):
        find([tmp_path])


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loans.txt").touch()
    for path in (tmp_path, tmp_path / "loans.txt", tmp_path / "loans.csv", tmp_path / "no" / "loans.csv"):
        with pytest.raises(UsageError):
            find([path])


def test_parents_come_before_children_and_no_file_twice(tmp_path: Path) -> None:
    for name in ("repayments", "loans-2", "loans-1", "gl_balances", "customers", "loan_schedule"):
        (tmp_path / f"{name}.csv").touch()
    found = [source.name for source in find([tmp_path / "repayments.csv", tmp_path])]
    assert found == [
        *("customers.csv", "loans-1.csv", "loans-2.csv", "loan_schedule.csv", "repayments.csv"),
        "gl_balances.csv",
    ]


def test_of_a_shared_identity_the_first_by_content_stays(database: str, tmp_path: Path) -> None:
    lines = ["L1,5,2024-03-01", "L1,7,2024-01-05", "L1,6,2024-01-05"]
    load(database, csv(tmp_path, "loans.csv", LOANS, *lines))
    assert rows(database, "SELECT loan_amount FROM loans") == [(6,)]
    assert held(database) == [("L1", "duplicate_id", "loan_id")] * 2


def test_of_a_shared_identity_the_row_that_the_engine_would_keep_stays(database: str, tmp_path: Path) -> None:
    lines = ["L1,7,2024-01-05,C1", "L1,6,2024-01-05,C2"]
    load(database, csv(tmp_path, "loans.csv", f"{LOANS},customer_id", *lines))
    assert rows(database, "SELECT loan_amount, customer_id FROM loans") == [(6, "C2")]


def test_a_later_file_does_not_repeat_an_identity(database: str, tmp_path: Path) -> None:
    csv(tmp_path, "loans-1.csv", LOANS, L1)
    csv(tmp_path, "loans-2.csv", LOANS, "L1,2000,2024-01-05", "L2,1,2024-01-05")
    made = load(database, tmp_path)
    assert rows(database, "SELECT loan_id, loan_amount FROM loans ORDER BY 1") == [("L1", 1000), ("L2", 1)]
    assert made.tables["loans"].quarantined == {"duplicate_id": 1}


MOVED = [
    ("loans", f"{LOANS},branch", "L1,1000,2024-01-05,Ikeja", LOANS, "L1,1000,2024-02-05"),
    (
        "repayments",
        f"{REPAYMENTS},payment_method",
        "R1,L1,2024-02-01,5,Cash",
        REPAYMENTS,
        "R1,L1,2024-03-01,5",
    ),
    ("loan_schedule", f"{SCHEDULE},total_due", "L1,1,2024-02-01,5", SCHEDULE, "L1,1,2024-02-02"),
]


@pytest.mark.parametrize(("name", "header", "line", "less", "corrected"), MOVED)
def test_a_corrected_date_replaces_the_row_and_columns_not_given_stay(
    database: str, tmp_path: Path, name: str, header: str, line: str, less: str, corrected: str
) -> None:
    load(database, csv(tmp_path, "loans.csv", LOANS, L1, "L2,1,2024-01-05"))
    load(database, csv(tmp_path, f"{name}.csv", header, line))
    for written in (1, 0):
        made = load(database, csv(tmp_path, f"{name}.csv", less, corrected)).tables[name]
        assert (made.read, made.written, made.unchanged, made.held_back) == (1, written, 1 - written, 0)
    wanted = f"SELECT {header} FROM {name} WHERE loan_id = 'L1'"
    kept = [tuple(str(cell).removesuffix(".00") for cell in row) for row in rows(database, wanted)]
    assert kept == [(*corrected.split(","), line.rpartition(",")[2])]


def test_of_rows_that_a_correction_finds_twice_none_is_left(database: str, tmp_path: Path) -> None:
    load(database, csv(tmp_path, "loans.csv", LOANS, L1))
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO loans (loan_id, disbursement_date, loan_amount) VALUES ('L1', '2024-01-06', 7)"
        )
    assert load(database, csv(tmp_path, "loans.csv", LOANS, L1)).tables["loans"].written == 1
    assert rows(database, "SELECT disbursement_date, loan_amount FROM loans") == [(date(2024, 1, 5), 1000)]


def test_of_a_corrected_date_twice_in_a_file_the_first_counts(database: str, tmp_path: Path) -> None:
    load(database, csv(tmp_path, "loans.csv", LOANS, L1))
    load(database, csv(tmp_path, "loans.csv", LOANS, "L1,1000,2024-03-05", "L1,1000,2024-02-05"))
    assert rows(database, "SELECT disbursement_date FROM loans") == [(date(2024, 2, 5),)]
    assert held(database) == [("L1", "duplicate_id", "loan_id")]


def test_children_without_their_loan_are_held_back(database: str, tmp_path: Path) -> None:
    csv(tmp_path, "loans.csv", LOANS, L1, "L2,bad,2024-01-05")
    csv(tmp_path, "repayments.csv", REPAYMENTS, "R1,L1,2024-02-01,5", "R2,L2,2024-02-01,5")
    csv(tmp_path, "loan_schedule.csv", SCHEDULE, "L1,1,2024-02-01", "L9,1,2024-02-01")
    load(database, tmp_path)
    assert rows(database, "SELECT repayment_id FROM repayments") == [("R1",)]
    assert rows(database, "SELECT row_key FROM quarantined_rows WHERE rule = 'orphan' ORDER BY 1") == [
        ("L9/1",),
        ("R2",),
    ]


def test_children_alone_find_their_loans_in_the_database(database: str, tmp_path: Path) -> None:
    load(database, csv(tmp_path, "loans.csv", LOANS, L1))
    load(database, csv(tmp_path, "repayments.csv", REPAYMENTS, "R1,L1,2024-02-01,5"))
    assert rows(database, "SELECT repayment_id FROM repayments") == [("R1",)]


def test_loading_again_changes_nothing(database: str) -> None:
    first = load(database, SAMPLE)
    before = contents(database)
    again = load(database, SAMPLE)
    assert contents(database) == before
    for name, made in again.tables.items():
        assert made.written == 0
        assert made.quarantined == first.tables[name].quarantined
        assert made.read == made.unchanged + made.held_back


def test_the_sample_is_held_back_as_its_page_says(database: str) -> None:
    made = load(database, SAMPLE)
    assert {name: it.quarantined for name, it in made.tables.items() if it.quarantined} == {
        "loans": {"amount_too_large": 1, "duplicate_id": 1, "unknown_status": 1},
        "loan_schedule": {"orphan": 7},
        "repayments": {
            "amount_too_large": 1,
            "duplicate_id": 1,
            "negative_amount": 1,
            "orphan": 1,
            "split_mismatch": 1,
            "unknown_waiver_type": 1,
        },
    }


def test_a_changed_row_is_updated_and_columns_not_given_stay(database: str, tmp_path: Path) -> None:
    header = f"{LOANS},branch,status"
    load(database, csv(tmp_path, "loans.csv", header, f"{L1},Ikeja,Active", "L2,1,2024-01-05,Ikeja,Active"))
    made = load(
        database, csv(tmp_path, "loans.csv", f"{LOANS},status", f"{L1},Closed", "L2,1,2024-01-05,Active")
    )
    assert (made.tables["loans"].written, made.tables["loans"].unchanged) == (1, 1)
    assert rows(database, "SELECT loan_id, branch, status FROM loans ORDER BY 1") == [
        ("L1", "Ikeja", "Closed"),
        ("L2", "Ikeja", "Active"),
    ]


def test_what_a_file_does_not_tell_is_null(database: str, tmp_path: Path) -> None:
    load(database, csv(tmp_path, "loans.csv", LOANS, L1))
    assert rows(database, "SELECT created_at, updated_at, branch FROM loans") == [(None, None, None)]


def test_columns_nobody_needs_are_named(database: str, tmp_path: Path) -> None:
    made = load(database, csv(tmp_path, "loans.csv", f"{LOANS},current_dpd", f"{L1},3"))
    assert made.notices == ["loans.csv: columns not used: current_dpd"]


def test_empty_columns_without_a_name_do_not_matter(database: str, tmp_path: Path) -> None:
    lines = ["2024-01-01,New Year,,", "2024-05-01,, ,", "2024-06-12,Democracy Day,,slipped"]
    made = load(database, csv(tmp_path, "holidays.csv", "holiday_date,name,,", *lines))
    assert (made.tables["holidays"].written, made.notices) == (2, [])
    assert held(database) == [("2024-06-12", "unnamed_value", None)]
    [(content,)] = rows(database, "SELECT content FROM quarantined_rows")
    assert content["column 4"] == "slipped"


def test_row_labels_before_the_first_name_do_not_matter(database: str, tmp_path: Path) -> None:
    made = load(database, csv(tmp_path, "holidays.csv", ",holiday_date", "0,2024-01-01"))
    assert made.tables["holidays"].written == 1


def test_a_repaired_row_leaves_the_quarantine(database: str, tmp_path: Path) -> None:
    load(database, csv(tmp_path, "loans.csv", LOANS, "L1,bad,2024-01-05", "L2,bad,2024-01-05"))
    load(database, csv(tmp_path, "loans-2.csv", LOANS, L1))
    assert held(database) == [("L2", "bad_money", "loan_amount")]


def test_the_quarantine_keeps_the_whole_row(database: str, tmp_path: Path) -> None:
    file = csv(tmp_path, "loans.csv", f"{LOANS},customer_phone,memo", "L1,bad,2024-01-05,0803,x")
    load(database, file)
    [(source, number, content)] = rows(database, "SELECT source, row_number, content FROM quarantined_rows")
    assert (source, number) == ("loans.csv", 1)
    assert content == {
        "loan_id": "L1",
        "loan_amount": "bad",
        "disbursement_date": "2024-01-05",
        "customer_phone": "0803",
        "memo": "x",
    }


def test_the_report_masks_personal_data_and_unknown_columns(database: str, tmp_path: Path) -> None:
    header = f"{LOANS},customer_phone,customer_name,next_of_kin,branch"
    lines = ["=L1,bad,2024-01-05,08031234567,Ada,Obi,Ikeja", "L2,08031234567"]
    load(database, csv(tmp_path, "loans.csv", header, *lines), report=tmp_path / "report.csv")
    text = (tmp_path / "report.csv").read_text()
    assert "loans.csv,loans,1,'=L1,bad_money,loan_amount," in text
    assert "loans.csv,loans,3,,bad_line,," in text
    assert "Ikeja" in text
    assert not any(secret in text for secret in ("08031234567", "Ada", "Obi"))


def test_a_report_in_a_folder_is_no_data(database: str, tmp_path: Path) -> None:
    csv(tmp_path, "loans.csv", LOANS, "L1,bad,2024-01-05")
    for _ in range(2):
        assert load(database, tmp_path, report=tmp_path / "held.csv").tables["loans"].read == 1


def test_a_report_is_written_though_a_later_file_is_refused(database: str, tmp_path: Path) -> None:
    csv(tmp_path, "loans.csv", LOANS, "L1,bad,2024-01-05")
    csv(tmp_path, "repayments.csv", "repayment_id", "R1")
    with pytest.raises(DataError):
        load(database, tmp_path, report=tmp_path / "report.txt")
    assert "bad_money" in (tmp_path / "report.txt").read_text()
    assert held(database) == [("L1", "bad_money", "loan_amount")]


def test_every_table_loads_from_csv_and_gzip(database: str, tmp_path: Path) -> None:
    csv(tmp_path, "customers.csv", "customer_id,date_of_birth", "C1,1990-02-28")
    csv(tmp_path, "officers.csv", "officer_id,branch", "O1,Ikeja")
    csv(tmp_path, "holidays.csv", "holiday_date,name", "2024-01-01,New Year")
    csv(tmp_path, "gl_balances.csv", "branch,balance_date,principal", "Ikeja,2024-01-31,-5.25")
    (tmp_path / "loans.csv.gz").write_bytes(gzip.compress(f"{LOANS}\n{L1}\n".encode()))
    csv(tmp_path, "loan_schedule.csv", SCHEDULE, "L1,1,2024-02-01")
    csv(tmp_path, "repayments.csv", f"{REPAYMENTS},is_reversed", "R1,L1,2024-02-01,5,No")
    made = load(database, tmp_path)
    assert {name: it.written for name, it in made.tables.items()} == dict.fromkeys(made.tables, 1)
    assert len(made.tables) == len(LENDER_TABLES)
    assert rows(database, "SELECT principal FROM gl_balances") == [(Decimal("-5.25"),)]


def test_a_file_of_nothing_but_keys_loads(database: str, tmp_path: Path) -> None:
    file = csv(tmp_path, "holidays.csv", "holiday_date", "2024-01-01")
    assert load(database, file).tables["holidays"].written == 1
    assert load(database, file).tables["holidays"].unchanged == 1


def test_only_one_load_at_a_time(database: str, tmp_path: Path) -> None:
    file = csv(tmp_path, "loans.csv", LOANS, L1)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", LOCK)
        with pytest.raises(LockHeldError):
            load(database, file)


def test_odd_names_of_folders_do_not_matter(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "it's [1] *"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    csv(odd, "loans.csv", LOANS, L1, "L2,bad,2024-01-05")
    parquet(odd, "officers.parquet", "SELECT 'O1' AS officer_id")
    csv(odd, "repayments.csv", REPAYMENTS, "R1,L1,2024-02-01,5", "R2,L9,2024-02-01,5")
    made = load(database, odd, report=odd / "held's.txt")
    assert {name: it.written for name, it in made.tables.items()} == dict.fromkeys(made.tables, 1)
    assert "bad_money" in (odd / "held's.txt").read_text()


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with pytest.raises(UsageError, match=r"not a UTF-8 name: .*caf\\udce9/loans\.csv \(rename it\)"):
        find([csv(folder, "loans.csv", LOANS, L1)])


DYING = """
import os, sys
from pathlib import Path
from loanmetrics.facts.sources import find
from loanmetrics.jobs.load import load_sources
from loanmetrics.policy import Policy

def progress(what, done, total):
    if what == sys.argv[3]:
        os.kill(os.getpid(), 9)

load_sources(sys.argv[1], find([Path(sys.argv[2])]), Policy(), report=None, progress=progress)
"""


@pytest.mark.parametrize(
    "moment", ["reading loans.parquet", "sending loan_schedule.parquet", "writing repayments.parquet"]
)
def test_a_killed_load_leaves_whole_files_and_is_run_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    command = [sys.executable, "-c", DYING, database, str(SAMPLE), moment]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    assert subprocess.run(command, check=False, env=environment).returncode == -9
    counts = rows(database, "SELECT (SELECT count(*) FROM loans), (SELECT count(*) FROM repayments)")
    assert counts[0][0] in (0, 6055)
    assert counts[0][1] == 0
    assert list(temporary.iterdir()) != []
    load(database, SAMPLE)
    assert rows(database, "SELECT count(*) FROM repayments") == [(29767,)]
    assert list(temporary.iterdir()) == []
