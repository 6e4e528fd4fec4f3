"""The raw tables, as the lender's database holds them."""

import pyarrow as pa

from synthetic.arrow import INSTANT, MONEY, RATE

_TEXT, _DATE, _FLAG, _SMALL, _BIG = pa.string(), pa.date32(), pa.bool_(), pa.int32(), pa.int64()
_STAMPS = [("created_at", INSTANT), ("updated_at", INSTANT)]


def _texts(names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, _TEXT) for name in names.split()]


SCHEMAS = {
    "customers": pa.schema(
        [
            *_texts("customer_id customer_name customer_phone customer_email"),
            ("date_of_birth", _DATE),
            *_texts("gender state lga address kyc_status"),
            ("kyc_verified_date", _DATE),
            *_STAMPS,
        ]
    ),
    "officers": pa.schema(
        [
            *_texts("officer_id officer_name officer_phone officer_email region branch employment_status"),
            ("hire_date", _DATE),
            ("termination_date", _DATE),
            ("primary_channel", _TEXT),
            *_STAMPS,
        ]
    ),
    "loans": pa.schema(
        [
            *_texts("loan_id customer_id customer_name customer_phone officer_id officer_name officer_phone"),
            *_texts("region branch state"),
            ("loan_amount", MONEY),
            ("disbursement_date", _DATE),
            ("maturity_date", _DATE),
            ("loan_term_days", _SMALL),
            ("interest_rate", RATE),
            ("fee_amount", MONEY),
            *_texts("channel channel_partner status"),
            ("closed_date", _DATE),
            *_STAMPS,
        ]
    ),
    "loan_schedule": pa.schema(
        [
            ("schedule_id", _BIG),
            ("loan_id", _TEXT),
            ("installment_number", _SMALL),
            ("due_date", _DATE),
            ("principal_due", MONEY),
            ("interest_due", MONEY),
            ("fee_due", MONEY),
            ("total_due", MONEY),
            ("payment_status", _TEXT),
            ("amount_paid", MONEY),
            ("payment_date", _DATE),
            *_STAMPS,
        ]
    ),
    "repayments": pa.schema(
        [
            *_texts("repayment_id loan_id"),
            ("payment_date", _DATE),
            ("payment_amount", MONEY),
            ("principal_paid", MONEY),
            ("interest_paid", MONEY),
            ("fees_paid", MONEY),
            ("penalty_paid", MONEY),
            *_texts("payment_method payment_reference payment_channel"),
            ("dpd_at_payment", _SMALL),
            ("is_backdated", _FLAG),
            ("is_reversed", _FLAG),
            ("reversal_date", _DATE),
            ("reversal_reason", _TEXT),
            ("waiver_amount", MONEY),
            *_texts("waiver_type waiver_approved_by"),
            *_STAMPS,
        ]
    ),
    "holidays": pa.schema([("holiday_date", _DATE), ("name", _TEXT)]),
}
