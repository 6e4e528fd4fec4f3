"""Rows that stand in the lender's own tables, where nothing of ours kept them out: held back, or odd and used."""

from typing import NamedTuple

from loanmetrics.tables import FACT_COLUMNS, TABLES


class Row(NamedTuple):
    """``cells`` (SQL) in place of a sound row's; held back under ``rule``, or used and counted as that finding."""

    table: str
    cells: dict[str, str]
    rule: str


SOUND: dict[str, dict[str, str]] = {
    "officers": {"officer_id": "'B{}'", "region": "'West'", "branch": "'Ikeja'"},
    "holidays": {"holiday_date": "DATE '2026-03-01' + {}"},
    "loans": {
        "loan_id": "'B{}'",
        "officer_id": "'O1'",
        "region": "'West'",
        "branch": "'Ikeja'",
        "loan_amount": "900",
        "disbursement_date": "'2026-02-02'",
        "maturity_date": "'2026-03-02'",
        "status": "'Active'",
    },
    "loan_schedule": {
        "loan_id": "'L1'",
        "installment_number": "{}",
        "due_date": "'2026-03-02'",
        "principal_due": "50",
    },
    "repayments": {
        "repayment_id": "'B{}'",
        "loan_id": "'L1'",
        "payment_date": "'2026-03-02'",
        "payment_amount": "50",
    },
    "gl_balances": {"branch": "'Nowhere'", "balance_date": "DATE '2026-01-01' + {}", "principal": "1"},
}
CELLS = [
    ("loans", "loan_amount", "'NaN'", "bad_money"),
    ("loans", "loan_amount", "-0.01", "negative_amount"),
    ("loans", "loan_amount", "1000000000000.01", "amount_too_large"),
    ("loans", "loan_amount", "9999999999999999.99", "amount_too_large"),
    ("loans", "disbursement_date", "'infinity'", "date_out_of_range"),
    ("loans", "disbursement_date", "'-infinity'", "date_out_of_range"),
    ("loans", "disbursement_date", "'0001-01-01'", "date_out_of_range"),
    ("loans", "disbursement_date", "'0044-03-15 BC'", "bad_date"),
    ("loans", "disbursement_date", "'9999-12-31'", "date_out_of_range"),
    ("loans", "disbursement_date", "'5874897-12-31'", "date_out_of_range"),
    ("loans", "maturity_date", "'infinity'", "date_out_of_range"),
    ("loans", "maturity_date", "'0044-03-15 BC'", "bad_date"),
    ("loans", "closed_date", "'-infinity'", "date_out_of_range"),
    ("loans", "loan_term_days", "-1", "term_out_of_range"),
    ("loans", "loan_term_days", "2147483647", "term_out_of_range"),
    ("loans", "interest_rate", "'NaN'", "bad_rate"),
    ("loans", "interest_rate", "-0.000001", "negative_amount"),
    ("loans", "fee_amount", "'NaN'", "bad_money"),
    ("loans", "fee_amount", "-1", "negative_amount"),
    ("loans", "status", "'Dormant'", "unknown_status"),
    ("loans", "status", "''", "unknown_status"),
    ("loans", "status", "' Active'", "unknown_status"),
    ("loans", "maturity_date", "NULL", "no_due_date"),
    ("loan_schedule", "principal_due", "-50", "negative_amount"),
    ("loan_schedule", "principal_due", "'NaN'", "bad_money"),
    ("loan_schedule", "interest_due", "2000000000000", "amount_too_large"),
    ("loan_schedule", "fee_due", "-0.01", "negative_amount"),
    ("loan_schedule", "due_date", "'infinity'", "date_out_of_range"),
    ("loan_schedule", "due_date", "'1899-12-31'", "date_out_of_range"),
    ("loan_schedule", "loan_id", "'nobody''s'", "orphan"),
    ("loan_schedule", "loan_id", "''", "orphan"),
    ("repayments", "payment_amount", "-50", "negative_amount"),
    ("repayments", "payment_amount", "'NaN'", "bad_money"),
    ("repayments", "payment_amount", "3000000000000", "amount_too_large"),
    ("repayments", "payment_date", "'infinity'", "date_out_of_range"),
    ("repayments", "payment_date", "'0044-03-15 BC'", "bad_date"),
    ("repayments", "fees_paid", "-1", "negative_amount"),
    ("repayments", "penalty_paid", "'NaN'", "bad_money"),
    ("repayments", "waiver_amount", "-1", "negative_amount"),
    ("repayments", "waiver_amount", "'NaN'", "bad_money"),
    ("repayments", "waiver_type", "'Goodwill'", "unknown_waiver_type"),
    ("repayments", "reversal_date", "'infinity'", "date_out_of_range"),
    ("repayments", "created_at", "'infinity'", "date_out_of_range"),
    ("repayments", "created_at", "'-infinity'", "date_out_of_range"),
    ("repayments", "created_at", "'0001-01-01 00:00:00+00'", "date_out_of_range"),
    ("repayments", "created_at", "'294000-01-01 00:00:00+00'", "date_out_of_range"),
    ("repayments", "created_at", "'0044-03-15 00:00:00+00 BC'", "bad_timestamp"),
    ("repayments", "loan_id", "'nobody''s'", "orphan"),
    ("repayments", "loan_id", "'l1'", "orphan"),
    ("repayments", "loan_id", "'L1 '", "orphan"),
    ("repayments", "repayment_id", "'R2'", "duplicate_id"),
    ("holidays", "holiday_date", "'infinity'", "date_out_of_range"),
    ("gl_balances", "principal", "'NaN'", "bad_money"),
    ("gl_balances", "principal", "-9999999999999", "amount_too_large"),
    ("gl_balances", "balance_date", "'0001-01-01'", "date_out_of_range"),
]
HELD = [
    *(Row(table, {column: value}, rule) for table, column, value, rule in CELLS),
    Row("repayments", {"principal_paid": "30", "interest_paid": "10"}, "split_mismatch"),
    Row("loan_schedule", {"installment_number": "1"}, "duplicate_id"),
    Row("loans", {"loan_id": "'L1'", "disbursement_date": "'2026-02-09'"}, "duplicate_id"),
    Row(
        "loans",
        {"loan_amount": "1000000000000", "interest_rate": "900", "loan_term_days": "36500"},
        "interest_too_large",
    ),
]
# Used as the definitions say, which the oracle says too.
ODD = [
    Row("repayments", {"loan_id": "'L4'", "payment_date": "'2025-12-01'"}, "payment_before_disbursement"),
    Row(
        "repayments",
        {"loan_id": "'L4'", "is_reversed": "true", "reversal_date": "'2026-03-01'"},
        "reversal_before_payment",
    ),
    Row("repayments", {"loan_id": "'L4'", "is_reversed": "true"}, "unsplit_payment"),
    Row("repayments", {"loan_id": "'L4'", "payment_date": "'2199-12-31'"}, "unsplit_payment"),
    Row("repayments", {"loan_id": "'L4'", "payment_amount": "0"}, ""),
    Row("repayments", {"loan_id": "'L4'", "principal_paid": "50", "waiver_type": "'Penalty'"}, ""),
    Row("repayments", {"loan_id": "'L4'", "payment_amount": "1000000000000"}, "unsplit_payment"),
    Row("loan_schedule", {"loan_id": "'L4'", "due_date": "'2025-12-01'"}, "due_before_disbursement"),
    Row("loan_schedule", {"loan_id": "'L4'", "installment_number": "-7"}, "principal_mismatch"),
    Row("loan_schedule", {"loan_id": "'L4'", "principal_due": "0"}, "principal_mismatch"),
    Row("loan_schedule", {"loan_id": "'L4'", "total_due": "1"}, "schedule_total_mismatch"),
    Row("loan_schedule", {"loan_id": "'L5'", "due_date": "'2199-12-31'"}, "principal_mismatch"),
    Row("loans", {"maturity_date": "'2026-01-01'"}, "end_before_disbursement"),
    Row("loans", {"closed_date": "'1900-01-01'"}, "end_before_disbursement"),
    Row("loans", {"disbursement_date": "'2199-12-31'"}, "end_before_disbursement"),
    Row("loans", {"status": "'Closed'"}, "closed_without_date"),
    Row("loans", {"status": "'Written Off'"}, "closed_without_date"),
    Row("loans", {"loan_amount": "0"}, ""),
    Row("loans", {"loan_amount": "0.01", "maturity_date": "NULL", "loan_term_days": "0"}, ""),
    Row("loans", {"loan_amount": "1000000000000"}, ""),
    Row("loans", {"loan_term_days": "36500", "maturity_date": "NULL", "interest_rate": "0.5"}, ""),
    Row("loans", {"disbursement_date": "'1900-01-01'"}, ""),
    Row("loans", {"officer_id": "'nobody'", "region": "''", "branch": "''"}, ""),
    Row("loans", {"channel": "''"}, ""),
    Row("officers", {"primary_channel": "'Pigeon'"}, "channel_unknown"),
    Row("officers", {"officer_name": "repeat('x', 100000)"}, ""),
]
# As text that is taken as it is, wherever it stands.
TEXTS = [
    *(
        "'",
        '"',
        ",",
        ";",
        "\\",
        "\\.",
        "\n",
        "a\r\nb",
        "\t",
        " ",
        "  padded ",
        "NULL",
        "null",
        "NaN",
        "-",
        "--",
    ),
    *(
        "%s",
        "{}",
        "$1",
        "'; DROP TABLE loans; --",
        "<script>",
        "=1+1",
        "\u0301",
        "Ìbàdàn",
        "东京",
        "🏦",
        "\u202e",
    ),
    *("\ufeff", "\u00a0", "0", "1e9", "true", "x" * 3_000),
]
# Where a lender's own types hold more than ours: what would be lost by reading it is held back.
FOREIGN = [
    ("fee_amount", "0.005", "too_many_decimals"),
    ("fee_amount", "0.5000", ""),
    ("interest_rate", "0.00000049", "too_many_decimals"),
    ("maturity_date", "'31/03/2026'", "bad_date"),
    ("loan_term_days", "30.7", "bad_int"),
    ("loan_term_days", "30", ""),
    ("loan_term_days", "'NaN'", "bad_int"),
]
NULLS = [
    (name, column.name)
    for name, read in FACT_COLUMNS.items()
    for column in TABLES[name].columns
    if column.null and column.name in read
]
