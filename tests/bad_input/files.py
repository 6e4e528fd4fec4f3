"""Files that a load must not take as they are: rows that it holds back by name, and files that it refuses."""

import gzip
from collections.abc import Mapping
from typing import NamedTuple

from tests import support


class Row(NamedTuple):
    """``cells`` in place of a sound row's; it is held back under ``rule``, for ``field``."""

    table: str
    cells: Mapping[str, str]
    rule: str
    field: str | None


class Refused(NamedTuple):
    """A whole file, and the words that say why it is not read."""

    name: str
    content: bytes
    message: str


# As sound as can be, so that a mended one would show in the figures. {} is a number of its own.
SOUND: dict[str, dict[str, str]] = {
    "customers": {"customer_id": "C{}"},
    "officers": {"officer_id": "B{}", "region": "West", "branch": "Ikeja"},
    "holidays": {"holiday_date": "2026-03-{}"},
    "loans": {
        "loan_id": "B{}",
        "officer_id": "O1",
        "region": "West",
        "branch": "Ikeja",
        "loan_amount": "900",
        "disbursement_date": "2026-02-02",
        "maturity_date": "2026-03-02",
        "status": "Active",
    },
    "loan_schedule": {
        "loan_id": "L1",
        "installment_number": "{}",
        "due_date": "2026-03-02",
        "principal_due": "50",
    },
    "repayments": {
        "repayment_id": "B{}",
        "loan_id": "L1",
        "payment_date": "2026-03-02",
        "payment_amount": "50",
    },
    "gl_balances": {"branch": "Ikeja", "balance_date": "2026-01-{}", "principal": "1"},
}
LOAN_CELLS = [
    ("loan_amount", "12.345", "too_many_decimals"),
    ("loan_amount", "1e5", "bad_money"),
    ("loan_amount", "NaN", "bad_money"),
    ("loan_amount", "inf", "bad_money"),
    ("loan_amount", "-Infinity", "bad_money"),
    ("loan_amount", '"1,000.00"', "bad_money"),
    ("loan_amount", "N1000", "bad_money"),
    ("loan_amount", "0x10", "bad_money"),
    ("loan_amount", "1_000", "bad_money"),
    ("loan_amount", "\uff11\uff10\uff10\uff10", "bad_money"),
    ("loan_amount", "--1", "bad_money"),
    ("loan_amount", "99999999999999999999", "bad_money"),
    ("loan_amount", "9" * 5_000, "bad_money"),
    ("loan_amount", "2000000000000", "amount_too_large"),
    ("loan_amount", "-0.01", "negative_amount"),
    ("loan_amount", "", "missing_value"),
    ("loan_amount", '"  "', "missing_value"),
    ("disbursement_date", "05/01/2024", "bad_date"),
    ("disbursement_date", "2024-1-5", "bad_date"),
    ("disbursement_date", "2024-02-30", "bad_date"),
    ("disbursement_date", "20240105", "bad_date"),
    ("disbursement_date", "45296", "bad_date"),
    ("disbursement_date", "infinity", "bad_date"),
    ("disbursement_date", "0044-03-15 BC", "bad_date"),
    ("disbursement_date", "2024-01-05 25:00:00", "bad_date"),
    ("disbursement_date", "0001-01-01", "date_out_of_range"),
    ("disbursement_date", "1899-12-31", "date_out_of_range"),
    ("disbursement_date", "2200-01-01", "date_out_of_range"),
    ("disbursement_date", "9999-12-31", "date_out_of_range"),
    ("disbursement_date", "", "missing_value"),
    ("maturity_date", "0000-00-00", "bad_date"),
    ("maturity_date", "9999-12-31", "date_out_of_range"),
    ("closed_date", "0001-01-01", "date_out_of_range"),
    ("loan_term_days", "thirty", "bad_int"),
    ("loan_term_days", "1.5", "bad_int"),
    ("loan_term_days", "3000000000", "bad_int"),
    ("loan_term_days", "-1", "term_out_of_range"),
    ("loan_term_days", "40000", "term_out_of_range"),
    ("interest_rate", "0.1234567", "too_many_decimals"),
    ("interest_rate", "15%", "bad_rate"),
    ("interest_rate", "1000", "bad_rate"),
    ("interest_rate", "-0.1", "negative_amount"),
    ("fee_amount", "nan", "bad_money"),
    ("fee_amount", "-1", "negative_amount"),
    ("status", "Dormant", "unknown_status"),
    ("status", "active", "unknown_status"),
    ("loan_id", "", "missing_value"),
    ("loan_id", "L" * 201, "bad_text"),
    ("branch", "a\0b", "bad_text"),
    ("branch", "x" * 10_001, "bad_text"),
    ("branch", '"a\n\\."', "bad_text"),
    ("created_at", "yesterday", "bad_timestamp"),
    ("created_at", "infinity", "bad_timestamp"),
    ("created_at", "0001-01-01 00:00:00", "date_out_of_range"),
]
OTHER_CELLS = [
    ("repayments", "payment_amount", "-50", "negative_amount"),
    ("repayments", "payment_amount", "3000000000000", "amount_too_large"),
    ("repayments", "payment_amount", "fifty", "bad_money"),
    ("repayments", "payment_date", "2026-13-01", "bad_date"),
    ("repayments", "payment_date", "9999-12-31", "date_out_of_range"),
    ("repayments", "fees_paid", "-1", "negative_amount"),
    ("repayments", "waiver_amount", "-1", "negative_amount"),
    ("repayments", "waiver_type", "Goodwill", "unknown_waiver_type"),
    ("repayments", "is_reversed", "maybe", "bad_bool"),
    ("repayments", "is_backdated", "2", "bad_bool"),
    ("repayments", "reversal_date", "0001-01-01", "date_out_of_range"),
    ("repayments", "dpd_at_payment", "9" * 30, "bad_int"),
    ("repayments", "repayment_id", "", "missing_value"),
    ("repayments", "loan_id", "", "missing_value"),
    ("repayments", "loan_id", "nobody's", "orphan"),
    ("repayments", "loan_id", "l1", "orphan"),
    ("repayments", "repayment_id", "R2", "duplicate_id"),
    ("loan_schedule", "principal_due", "-50", "negative_amount"),
    ("loan_schedule", "interest_due", "inf", "bad_money"),
    ("loan_schedule", "fee_due", "2000000000000", "amount_too_large"),
    ("loan_schedule", "due_date", "2026-02-31", "bad_date"),
    ("loan_schedule", "due_date", "", "missing_value"),
    ("loan_schedule", "installment_number", "one", "bad_int"),
    ("loan_schedule", "installment_number", "", "missing_value"),
    ("loan_schedule", "loan_id", "nobody's", "orphan"),
    ("loans", "loan_id", "L1", "duplicate_id"),
    ("officers", "officer_id", "", "missing_value"),
    ("officers", "officer_id", "O1", "duplicate_id"),
    ("officers", "hire_date", "soon", "bad_date"),
    ("customers", "date_of_birth", "1990-02-30", "bad_date"),
    ("customers", "customer_id", "", "missing_value"),
    ("holidays", "holiday_date", "Easter", "bad_date"),
    ("gl_balances", "principal", "much", "bad_money"),
    ("gl_balances", "balance_date", "infinity", "bad_date"),
    ("gl_balances", "branch", "", "missing_value"),
]
PARTS = "payment_amount, principal_paid, interest_paid, fees_paid, penalty_paid"
ROWS = [
    *(Row("loans", {column: value}, rule, column) for column, value, rule in LOAN_CELLS),
    *(Row(table, {column: value}, rule, column) for table, column, value, rule in OTHER_CELLS),
    Row("repayments", {"principal_paid": "30", "interest_paid": "10"}, "split_mismatch", PARTS),
    Row("loan_schedule", {"installment_number": "1"}, "duplicate_id", "loan_id, installment_number"),
    Row(
        "loans",
        {"loan_amount": "1000000000000", "interest_rate": "900", "loan_term_days": "36500"},
        "interest_too_large",
        "loan_amount, loan_term_days, interest_rate",
    ),
]
# Lines that are no rows; what follows them is read.
LINES = {
    "Latin-1": b"B1,1,caf\xe9",
    "too few cells": b"B2",
    "too many cells": b"B3,1,2024-01-05,extra",
    "a decimal comma": b"B4,1000,50,2024-01-05",
    "an encoded surrogate": b"B5,1,\xed\xa0\x80",
    "bytes of nothing": b"\xff\xfe\xfd",
}
PARQUET_CELLS = [
    ("loan_amount", "12.345::DOUBLE", "too_many_decimals"),
    ("loan_amount", "12.345::FLOAT", "too_many_decimals"),
    ("loan_amount", "12.345::DECIMAL(9,3)", "too_many_decimals"),
    ("loan_amount", "'nan'::DOUBLE", "bad_money"),
    ("loan_amount", "'inf'::FLOAT", "bad_money"),
    ("loan_amount", "1e300::DOUBLE", "bad_money"),
    ("loan_amount", "true", "bad_money"),
    ("loan_amount", "DATE '2024-01-01'", "bad_money"),
    ("loan_amount", "'12,5'", "bad_money"),
    ("loan_amount", "NULL::DOUBLE", "missing_value"),
    ("loan_amount", "-5::BIGINT", "negative_amount"),
    ("loan_amount", "170141183460469231731687303715884105727::HUGEINT", "bad_money"),
    ("loan_amount", "99999999999999999.99::DECIMAL(38,2)", "bad_money"),
    ("disbursement_date", "20240105", "bad_date"),
    ("disbursement_date", "'infinity'::DATE", "date_out_of_range"),
    ("disbursement_date", "DATE '0044-03-15 (BC)'", "date_out_of_range"),
    ("disbursement_date", "DATE '9999-12-31'", "date_out_of_range"),
    ("disbursement_date", "TIMESTAMP '0001-01-01 00:00:00'", "date_out_of_range"),
    ("disbursement_date", "TIME '10:00:00'", "bad_date"),
    ("loan_term_days", "1.5::DOUBLE", "bad_int"),
    ("loan_term_days", "'nan'::DOUBLE", "bad_int"),
    ("loan_term_days", "3000000000::BIGINT", "bad_int"),
    ("created_at", "'infinity'::TIMESTAMP", "bad_timestamp"),
    ("created_at", "TIMESTAMP '9999-12-31 00:00:00'", "date_out_of_range"),
    ("branch", "repeat('x', 20000000)", "bad_text"),
    ("branch", "'a' || chr(0)", "bad_text"),
    ("status", "3::TINYINT", "unknown_status"),
]

HEADER = "loan_id,loan_amount,disbursement_date"
LINE = "L7,1000,2024-01-05"
SAMPLE = (support.SAMPLE / "loans.parquet").read_bytes()


def _damaged(content: bytes) -> bytes:
    """A page in the middle is zeros."""
    return content[:5_000] + bytes(85_000) + content[90_000:]


def _with(text: str) -> bytes:
    return f"{HEADER},branch\n{text}\n".encode()


NOT_READ = [
    Refused("loans.csv", b"", "loans.csv is empty"),
    Refused("loans.csv", b"\n\n", "loans.csv is empty"),
    Refused("loans.csv", b"\xef\xbb\xbf", "loans.csv is empty"),
    Refused("loans.csv", b"\nloan_id\n", "line 1 is empty"),
    Refused("loans.csv", bytes(5_000), "loans.csv has no column loan_id"),
    Refused("loans.csv", b"loan_id,disbursement_date\nL7,2024-01-05\n", "has no column loan_amount"),
    Refused("loans.csv", b"loan_id loan_amount disbursement_date\nL7 1 2024-01-05\n", "no column loan_id"),
    Refused("loans.csv", b"loan_id,loan_amount,disbursement_date,loan_id\n", "two columns loan_id"),
    Refused("loans.csv", f"{LINE}\n{LINE}\n".encode(), "is its first line the header?"),
    Refused("loans.csv", HEADER.encode("utf-16"), "line 1: not UTF-8"),
    Refused("loans.csv", HEADER.encode("utf-16-le"), "loans.csv has no column loan_id"),
    Refused("loans.csv", f"{HEADER},br\xe9nch\n".encode("latin-1"), "line 1: not UTF-8"),
    Refused("loans.csv", b"x" * (1 << 20), "line 1 is longer than"),
    Refused("loans.csv", b"\xef\xbb\xbf" + b"x" * (1 << 20), "line 1 is longer than"),
    Refused("loans.csv", _with(f"{LINE},{'x' * 2_500_000}"), "line 2: longer than 2,000,000 bytes"),
    Refused("loans.csv", SAMPLE[:10_000], "loans.csv"),
    Refused("loans.csv", _with(f'{LINE},"open\n{LINE},b'), "line 2: a quote is not closed"),
    Refused("loans.csv", _with(f'{LINE},"x"y'), "line 2: a quote is not closed"),
    Refused("loans.csv", f"{HEADER}\r\n{LINE}\nL8,1,2024-01-05\r\n".encode(), "line ends are mixed"),
    Refused("loans.csv.gz", gzip.compress(f"{HEADER}\n{LINE}\n".encode() * 100)[:60], "cut short"),
    Refused("loans.csv.gz", f"{HEADER}\n{LINE}\n".encode(), "cannot be read"),
    Refused("loans.csv.gz", b"", "loans.csv.gz is empty"),
    Refused("loans.csv.gz", gzip.compress(b""), "loans.csv.gz is empty"),
    Refused("loans.csv.gz", gzip.compress(bytes(64 << 20)), "line 1 is longer than"),
    Refused("loans.parquet", b"", "loans.parquet is empty"),
    Refused("loans.parquet", b"PAR1", "not a whole Parquet file"),
    Refused("loans.parquet", b"PAR1" + bytes(1000), "not a whole Parquet file"),
    Refused("loans.parquet", SAMPLE[:-100], "not a whole Parquet file"),
    Refused("loans.parquet", SAMPLE[: len(SAMPLE) // 2], "not a whole Parquet file"),
    Refused("loans.parquet", _damaged(SAMPLE), "loans.parquet cannot be read"),
    Refused("loans.parquet", f"{HEADER}\n{LINE}\n".encode(), "not a whole Parquet file"),
    Refused("loans.xlsx", b"PK\x03\x04", "loans.xlsx is no data file"),
    Refused("loan.csv", f"{HEADER}\n{LINE}\n".encode(), "unknown table: loan"),
    Refused("officer_metrics_daily.csv", b"officer_id\n", "is computed here, not loaded"),
    Refused("loan\udce9s.csv", f"{HEADER}\n{LINE}\n".encode(), "not a UTF-8 name"),
]
NESTED = {"a list": "['a']", "a struct": "{'a': 1}", "a map": "map {'a': 1}"}
