import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.tables import LENDER_TABLES, Table

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
FILES = [path.name for path in sorted(SAMPLE.glob("*.parquet"))]
TABLES = [table for table in LENDER_TABLES if f"{table.name}.parquet" in FILES]


def generate(out: Path, loans: int, *options: str) -> Path:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "generate.py"),
        "--loans",
        str(loans),
        "--out",
        str(out),
    ]
    subprocess.run([*command, *options], check=True)
    return out


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("some"), 1_000)


@pytest.fixture(scope="module")
def book() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in FILES:
        connection.execute(f"CREATE VIEW {Path(name).stem} AS FROM '{SAMPLE / name}'")
    return connection


def count(book: duckdb.DuckDBPyConnection, rows: str) -> int:
    found = book.execute(f"SELECT count(*) FROM {rows}").fetchone()
    assert found is not None
    return int(found[0])


def test_the_same_seed_gives_the_same_bytes(some: Path, tmp_path: Path) -> None:
    again = generate(tmp_path, 1_000)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in some.iterdir()
    }


def test_another_seed_gives_other_loans(some: Path, tmp_path: Path) -> None:
    other = generate(tmp_path, 1_000, "--seed", "8")
    assert not pl.read_parquet(other / "loans.parquet").equals(pl.read_parquet(some / "loans.parquet"))


def test_chunks_do_not_change_the_rows(some: Path, tmp_path: Path) -> None:
    chunked = generate(tmp_path, 1_000, "--chunk", "137")
    for name in FILES:
        assert_frame_equal(pl.read_parquet(chunked / name), pl.read_parquet(some / name))


def test_a_loan_does_not_depend_on_how_many_there_are(some: Path, tmp_path: Path) -> None:
    fewer = generate(tmp_path, 400)
    for name in ("loans.parquet", "loan_schedule.parquet", "repayments.parquet"):
        rows = pl.read_parquet(some / name).filter(
            ~pl.col("loan_id").is_between(pl.lit("L00000401"), pl.lit("L00001000"))
        )
        assert_frame_equal(pl.read_parquet(fewer / name), rows)


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    options = ["--officers", "40", "--months", "18", "--end", "2026-06-30", "--mess"]
    fresh = generate(tmp_path, 6_000, *options)
    assert sorted(path.name for path in fresh.iterdir()) == sorted(path.name for path in SAMPLE.iterdir())
    assert (fresh / "README.md").read_text() == (SAMPLE / "README.md").read_text()
    for name in FILES:
        assert_frame_equal(pl.read_parquet(fresh / name), pl.read_parquet(SAMPLE / name))


def test_the_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 1_500_000


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_the_databases_and_each_nullable_one_has_a_null(table: Table) -> None:
    rows = pl.read_parquet(SAMPLE / f"{table.name}.parquet")
    assert rows.columns == list(table.names)
    holes = {name for name, nulls in rows.null_count().row(0, named=True).items() if nulls}
    assert holes == {column.name for column in table.columns if column.null}


def test_ratios_hold_at_scale(tmp_path: Path) -> None:
    out = generate(tmp_path, 20_000, "--months", "24", "--officers", "100")
    rows = {
        path.stem: pl.scan_parquet(path).select(pl.len()).collect().item() for path in out.glob("*.parquet")
    }
    assert rows["repayments"] / rows["loans"] == pytest.approx(5, abs=0.4)
    assert rows["loan_schedule"] / rows["loans"] == pytest.approx(10, abs=0.4)
    assert rows["customers"] / rows["loans"] == pytest.approx(0.6, abs=0.02)


def test_without_mess_nothing_is_odd(tmp_path: Path) -> None:
    rows = pl.read_parquet(generate(tmp_path, 1_000, "--no-mess") / "repayments.parquet")
    assert not rows["is_reversed"].any()
    assert not rows["is_backdated"].any()
    assert rows["waiver_amount"].sum() == 0
    parts = pl.sum_horizontal("principal_paid", "interest_paid", "fees_paid", "penalty_paid")
    assert rows.filter(parts != pl.col("payment_amount")).is_empty()


def test_every_oddity_in_the_readme_has_rows(book: duckdb.DuckDBPyConnection) -> None:
    listed = [
        line.split(" | ")[0][2:] for line in (SAMPLE / "README.md").read_text().splitlines() if "| L9" in line
    ]
    assert len(listed) > 50
    for loan in listed:
        tables = ("loans", "loan_schedule", "repayments")
        assert sum(count(book, f"{table} WHERE loan_id = '{loan}'") for table in tables), loan


@pytest.mark.parametrize("status", ["Active", "Closed", "Defaulted", "Restructured", "Written Off"])
def test_every_status_occurs(book: duckdb.DuckDBPyConnection, status: str) -> None:
    assert count(book, f"loans WHERE status = '{status}'") > 10


def test_the_lender_is_a_small_one(book: duckdb.DuckDBPyConnection) -> None:
    assert count(book, "(SELECT DISTINCT region FROM loans WHERE region IS NOT NULL)") == 4
    assert count(book, "(SELECT DISTINCT branch FROM loans WHERE branch IS NOT NULL)") == 12
    branches = "SELECT officer_id FROM loans GROUP BY ALL HAVING count(DISTINCT branch) = 2"
    assert count(book, f"({branches})") >= 3


def test_due_dates_are_business_days(book: duckdb.DuckDBPyConnection) -> None:
    closed = "isodow(due_date) > 5 OR due_date IN (SELECT holiday_date FROM holidays WHERE name IS NOT NULL)"
    assert count(book, f"loan_schedule WHERE loan_id < 'L9' AND ({closed})") == 0


def test_installments_sum_to_the_loan(book: duckdb.DuckDBPyConnection) -> None:
    sums = (
        "SELECT loan_id, sum(principal_due) AS due FROM loan_schedule WHERE loan_id < 'L9' GROUP BY loan_id"
    )
    assert count(book, f"({sums}) JOIN loans USING (loan_id) WHERE due <> loan_amount") == 0


def test_nothing_is_recorded_after_the_last_day(book: duckdb.DuckDBPyConnection) -> None:
    assert count(book, "repayments WHERE loan_id < 'L9' AND created_at >= '2026-06-30 23:00:00+00'") == 0


PAID = "loans JOIN repayments USING (loan_id)"
PARTS = "principal_paid + interest_paid + fees_paid + penalty_paid"
NO_SCHEDULE = "loans ANTI JOIN loan_schedule USING (loan_id) WHERE"
RECORDED = "(created_at AT TIME ZONE 'Africa/Lagos')::DATE - payment_date"
ODDITIES = {
    "unknown status": "loans WHERE status = 'Dormant'",
    "duplicate loan": "(SELECT loan_id FROM loans GROUP BY ALL HAVING count(DISTINCT disbursement_date) > 1)",
    "huge loan": "loans WHERE loan_amount > 1e12",
    "unknown officer": "loans ANTI JOIN officers USING (officer_id) WHERE officer_id IS NOT NULL",
    "no officer": "loans WHERE officer_id IS NULL AND loan_amount > 0",
    "no branch or region": "loans WHERE branch IS NULL AND region IS NULL AND officer_id IS NOT NULL",
    "officer without loans": "officers ANTI JOIN loans USING (officer_id)",
    "officer without channel": "officers SEMI JOIN loans USING (officer_id) WHERE primary_channel IS NULL",
    "unused channel": "officers WHERE primary_channel NOT IN (SELECT channel FROM loans "
    "WHERE channel IS NOT NULL)",
    "unknown customer": "loans ANTI JOIN customers USING (customer_id) WHERE customer_id IS NOT NULL",
    "written off": "loans WHERE status = 'Written Off' AND closed_date IS NOT NULL",
    "written off undated": "loans WHERE status = 'Written Off' AND closed_date IS NULL",
    "closed undated": "loans SEMI JOIN repayments USING (loan_id) "
    "WHERE status = 'Closed' AND closed_date IS NULL",
    "closed undated, unpaid": "loans ANTI JOIN repayments USING (loan_id) "
    "WHERE status = 'Closed' AND closed_date IS NULL",
    "paid after write-off": f"{PAID} WHERE status = 'Written Off' AND payment_date > closed_date",
    "reversed after closing": f"{PAID} WHERE payment_date <= closed_date AND reversal_date > closed_date",
    "disbursed later": "loans WHERE disbursement_date > '2026-06-30'",
    "no schedule, maturity": f"{NO_SCHEDULE} maturity_date IS NOT NULL",
    "no schedule, term": f"{NO_SCHEDULE} maturity_date IS NULL AND loan_term_days IS NOT NULL",
    "no schedule, neither": f"{NO_SCHEDULE} maturity_date IS NULL AND loan_term_days IS NULL",
    "no schedule, no rate, no fee": f"{NO_SCHEDULE} interest_rate IS NULL AND fee_amount IS NULL",
    "zero installment": "loan_schedule WHERE principal_due + interest_due + fee_due = 0",
    "renumbered": "(SELECT loan_id FROM loan_schedule "
    "GROUP BY ALL HAVING max(installment_number) > count(*) + 1)",
    "moved out": "loans JOIN loan_schedule USING (loan_id) "
    "WHERE due_date > disbursement_date + loan_term_days + 14",
    "two on one day": "(SELECT loan_id FROM loan_schedule GROUP BY loan_id, due_date HAVING count(*) > 1)",
    "total_due differs": "loan_schedule WHERE total_due <> principal_due + interest_due + fee_due",
    "orphan installment": "loan_schedule ANTI JOIN loans USING (loan_id)",
    "orphan repayment": "repayments ANTI JOIN loans USING (loan_id)",
    "duplicate repayment": "(SELECT repayment_id FROM repayments GROUP BY ALL HAVING count(*) > 1)",
    "same-day payments": "(SELECT loan_id FROM repayments "
    "GROUP BY loan_id, payment_date HAVING count(*) > 1)",
    "split mismatch": f"repayments WHERE {PARTS} > 0 AND {PARTS} <> payment_amount",
    "unsplit zero": f"repayments WHERE {PARTS} = 0 AND payment_amount > 0",
    "unsplit null": "repayments "
    "WHERE principal_paid IS NULL AND payment_amount > 0 AND payment_method IS NOT NULL",
    "unknown waiver": "repayments WHERE waiver_type NOT IN ('Interest', 'Fee', 'Principal', 'Penalty')",
    "untyped waiver": "repayments WHERE waiver_amount > 0 AND waiver_type IS NULL",
    "only a waiver": "repayments WHERE waiver_amount > 0 AND payment_amount = 0",
    "negative part": "repayments WHERE fees_paid < 0",
    "huge payment": "repayments WHERE payment_amount > 1e12",
    "before disbursement": f"{PAID} WHERE payment_date < disbursement_date",
    "reversed": "repayments WHERE is_reversed AND reversal_date IS NOT NULL",
    "reversed undated": "repayments WHERE is_reversed AND reversal_date IS NULL",
    "reversed before paid": "repayments WHERE reversal_date < payment_date",
    "reversed later": "repayments WHERE reversal_date > '2026-06-30'",
    "reposted": "repayments r JOIN repayments a USING (loan_id, payment_date, payment_amount) "
    "WHERE r.is_reversed AND NOT a.is_reversed AND a.created_at > r.created_at",
    "future payment": "repayments WHERE payment_date > '2026-06-30'",
    "backdated": f"repayments WHERE is_backdated AND {RECORDED} > 1",
    "cash gap": "repayments "
    f"WHERE payment_method = 'Cash' AND payment_date > '2026-06-23' AND {RECORDED} > 1",
    "cash after midnight": f"repayments WHERE {RECORDED} > 1 AND created_at::DATE - payment_date = 1",
    "penalty": "repayments WHERE penalty_paid > 0",
    "kobo": "loans WHERE loan_amount % 1 > 0",
    "fee outside the schedule": "(SELECT loan_id FROM loan_schedule GROUP BY ALL HAVING sum(fee_due) = 0) "
    "JOIN loans USING (loan_id) WHERE fee_amount > 0",
}


@pytest.mark.parametrize("rows", ODDITIES.values(), ids=ODDITIES.keys())
def test_oddity_is_planted(book: duckdb.DuckDBPyConnection, rows: str) -> None:
    assert count(book, rows) > 0


@pytest.mark.parametrize("kind", ["Interest", "Fee", "Principal", "Penalty"])
def test_each_waiver_occurs(book: duckdb.DuckDBPyConnection, kind: str) -> None:
    assert count(book, f"repayments WHERE waiver_type = '{kind}' AND waiver_amount > 0") > 1
