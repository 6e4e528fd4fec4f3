"""The database as plain data: every table, column, key, personal-data mark and validity rule, once.

DDL, loading, extraction, quarantine, masking and exports derive from these declarations. A rule is a line of
SQL (DuckDB) that is true for a bad row; money is compared in units, as DECIMAL(18,2).
"""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "date", "int", "bigint", "money", "rate", "bool", "timestamp", "json", "serial", "xid"]
Writer = Literal["lender", "loanmetrics"]

LOAN_STATUSES = ("Active", "Closed", "Defaulted", "Restructured", "Written Off")
WRITTEN_OFF = "Written Off"
WAIVER_TYPES = ("Interest", "Fee", "Principal", "Penalty")
UNASSIGNED = "UNASSIGNED"
UNKNOWN = "Unknown"
MINOR_PER_UNIT = 100
RATE_SCALE = 1_000_000
MIN_DATE = "1900-01-01"
MAX_DATE = "2199-12-31"
ACCESS_ROLES = ("viewer", "auditor", "admin")
AUDIT_STATUSES = ("Unassigned", "Assigned", "In Progress", "Resolved")
DPD_BUCKETS = ("0", "1-6", "7-30", "31-60", "61-90", "90+")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``signed`` money may be negative, ``personal`` is masked by role and hashed in logs."""

    name: str
    kind: Kind
    null: bool = True
    personal: bool = False
    signed: bool = False
    one_of: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A validity rule of one table: ``bad`` is true for a row that must be held back."""

    name: str
    bad: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: ``key`` identifies a row in the database, ``identity`` across all partitions."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    writer: Writer = "loanmetrics"
    partition_by: str | None = None
    identity: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    about: str = ""

    def column(self, name: str) -> Column:
        """The column called ``name``."""
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)


def _required(name: str, kind: Kind, *, personal: bool = False, signed: bool = False) -> Column:
    return Column(name, kind, null=False, personal=personal, signed=signed)


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "text") for name in names)


def _personal(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "text", personal=True) for name in names)


STAMPS = (Column("created_at", "timestamp"), Column("updated_at", "timestamp"))

CUSTOMERS = Table(
    "customers",
    (
        _required("customer_id", "text"),
        *_personal("customer_name", "customer_phone", "customer_email"),
        Column("date_of_birth", "date", personal=True),
        *_texts("gender", "state", "lga"),
        *_personal("address"),
        *_texts("kyc_status"),
        Column("kyc_verified_date", "date"),
        *STAMPS,
    ),
    key=("customer_id",),
    identity=("customer_id",),
    writer="lender",
    about="Borrowers.",
)

OFFICERS = Table(
    "officers",
    (
        _required("officer_id", "text"),
        Column("officer_name", "text"),
        *_personal("officer_phone", "officer_email"),
        *_texts("region", "branch", "employment_status"),
        Column("hire_date", "date"),
        Column("termination_date", "date"),
        *_texts("primary_channel"),
        *STAMPS,
    ),
    key=("officer_id",),
    identity=("officer_id",),
    writer="lender",
    about="Loan officers with their home branch.",
)

LOANS = Table(
    "loans",
    (
        _required("loan_id", "text"),
        *_texts("customer_id"),
        *_personal("customer_name", "customer_phone"),
        *_texts("officer_id", "officer_name"),
        *_personal("officer_phone"),
        *_texts("region", "branch", "state"),
        _required("loan_amount", "money"),
        _required("disbursement_date", "date"),
        Column("maturity_date", "date"),
        Column("loan_term_days", "int"),
        Column("interest_rate", "rate", about="yearly fraction: 0.15 is 15 %"),
        Column("fee_amount", "money"),
        *_texts("channel", "channel_partner"),
        Column("status", "text", one_of=LOAN_STATUSES),
        Column("closed_date", "date"),
        *STAMPS,
    ),
    key=("loan_id", "disbursement_date"),
    identity=("loan_id",),
    writer="lender",
    partition_by="disbursement_date",
    rules=(
        Rule("term_out_of_range", "loan_term_days NOT BETWEEN 0 AND 36500", "0 to 36500 days"),
        Rule(
            "interest_too_large",
            "loan_amount::DECIMAL(24,2) * interest_rate * TRY_CAST(loan_term_days AS DECIMAL(5,0))"
            " > 365 * $max_amount::DECIMAL(24,2)",
            "interest of the whole term above Policy.max_amount",
        ),
    ),
    about="One row per loan.",
)

PARTS_GIVEN = " + ".join(
    f"COALESCE({part}, 0)" for part in ("principal_paid", "interest_paid", "fees_paid", "penalty_paid")
)

REPAYMENTS = Table(
    "repayments",
    (
        _required("repayment_id", "text"),
        _required("loan_id", "text"),
        _required("payment_date", "date"),
        _required("payment_amount", "money"),
        Column("principal_paid", "money"),
        Column("interest_paid", "money"),
        Column("fees_paid", "money"),
        Column("penalty_paid", "money"),
        *_texts("payment_method", "payment_reference", "payment_channel"),
        Column("dpd_at_payment", "int"),
        Column("is_backdated", "bool"),
        Column("is_reversed", "bool"),
        Column("reversal_date", "date"),
        Column("reversal_reason", "text"),
        Column("waiver_amount", "money"),
        Column("waiver_type", "text", one_of=WAIVER_TYPES, about="null means Interest"),
        Column("waiver_approved_by", "text"),
        *STAMPS,
    ),
    key=("repayment_id", "payment_date"),
    identity=("repayment_id",),
    writer="lender",
    partition_by="payment_date",
    rules=(
        Rule(
            "split_mismatch",
            f"{PARTS_GIVEN} > 0 AND {PARTS_GIVEN} <> payment_amount",
            "principal, interest, fees and penalty do not add up to the amount paid",
        ),
    ),
    about="One row per payment or waiver; a reversal is a mark on the row with its own date.",
)

LOAN_SCHEDULE = Table(
    "loan_schedule",
    (
        Column("schedule_id", "bigint"),
        _required("loan_id", "text"),
        _required("installment_number", "int"),
        _required("due_date", "date"),
        Column("principal_due", "money"),
        Column("interest_due", "money"),
        Column("fee_due", "money"),
        Column("total_due", "money"),
        Column("payment_status", "text", about="not read: settlement is computed"),
        Column("amount_paid", "money", about="not read"),
        Column("payment_date", "date", about="not read"),
        *STAMPS,
    ),
    key=("loan_id", "installment_number", "due_date"),
    identity=("loan_id", "installment_number"),
    writer="lender",
    partition_by="due_date",
    about="The contract: what falls due when.",
)

HOLIDAYS = Table(
    "holidays",
    (_required("holiday_date", "date"), Column("name", "text")),
    key=("holiday_date",),
    identity=("holiday_date",),
    writer="lender",
    about="Days that are not business days, beside the weekend.",
)

GL_BALANCES = Table(
    "gl_balances",
    (
        _required("branch", "text"),
        _required("balance_date", "date"),
        _required("principal", "money", signed=True),
    ),
    key=("branch", "balance_date"),
    identity=("branch", "balance_date"),
    writer="lender",
    about="The ledger's principal per branch and day, to tie out to.",
)

LENDER_TABLES = (CUSTOMERS, OFFICERS, LOANS, LOAN_SCHEDULE, REPAYMENTS, HOLIDAYS, GL_BALANCES)

FACT_COLUMNS: dict[str, tuple[str, ...]] = {
    "officers": ("officer_id", "officer_name", "region", "branch", "primary_channel"),
    "loans": (
        *("loan_id", "officer_id", "region", "branch", "loan_amount", "disbursement_date", "maturity_date"),
        *("loan_term_days", "interest_rate", "fee_amount", "channel", "status", "closed_date"),
    ),
    "loan_schedule": (
        *(
            "loan_id",
            "installment_number",
            "due_date",
            "principal_due",
            "interest_due",
            "fee_due",
            "total_due",
        ),
    ),
    "repayments": (
        *("repayment_id", "loan_id", "payment_date", "payment_amount", "principal_paid", "interest_paid"),
        *("fees_paid", "penalty_paid", "payment_method", "is_backdated", "is_reversed", "reversal_date"),
        *("waiver_amount", "waiver_type", "created_at"),
    ),
    "holidays": ("holiday_date",),
    "gl_balances": ("branch", "balance_date", "principal"),
}

LOAN_STATE = Table(
    "loan_state",
    (
        _required("loan_id", "text"),
        _required("disbursement_date", "date"),
        Column("schedule_source", "text", null=False, one_of=("schedule", "implied")),
        Column("on_book", "bool", null=False),
        Column(
            "closed_as",
            "text",
            one_of=("paid", "written_off"),
            about="null while on the book or not disbursed",
        ),
        Column("current_dpd", "int", null=False),
        Column("dpd_bucket", "text", null=False, one_of=DPD_BUCKETS),
        Column("max_dpd_ever", "int", null=False),
        Column("first_payment_missed", "bool", about="null until decided"),
        Column("first_payment_due_date", "date"),
        Column("first_payment_received_date", "date"),
        Column("last_payment_date", "date"),
        Column("next_payment_due", "date"),
        Column("principal_outstanding", "money", null=False),
        Column("interest_outstanding", "money", null=False),
        Column("fees_outstanding", "money", null=False),
        Column("total_outstanding", "money", null=False),
        Column("arrears_amount", "money", null=False),
        Column("overpaid", "money", null=False),
        Column("total_principal_paid", "money", null=False),
        Column("total_interest_paid", "money", null=False),
        Column("total_fees_paid", "money", null=False),
        Column("fimr_tagged", "bool", null=False),
        Column("early_indicator_tagged", "bool", null=False),
    ),
    key=("loan_id", "disbursement_date"),
    partition_by="disbursement_date",
    about="Every loan at the newest published day; core tables keep one writer.",
)

RUN_STAMPS = (_required("run_id", "text"), _required("calculated_at", "timestamp"))

OFFICER_METRICS = Table(
    "officer_metrics_daily",
    (
        _required("officer_id", "text"),
        _required("calculation_date", "date"),
        *_texts("officer_name", "region", "branch"),
        *RUN_STAMPS,
    ),
    key=("officer_id", "calculation_date"),
    about="One row per officer and day; measure and metric columns come from the catalogue.",
)

BRANCH_METRICS = Table(
    "branch_metrics_daily",
    (
        _required("region", "text"),
        _required("branch", "text"),
        _required("calculation_date", "date"),
        *RUN_STAMPS,
    ),
    key=("region", "branch", "calculation_date"),
    about="One row per branch and day; measure and metric columns come from the catalogue.",
)

DPD_TRANSITIONS = Table(
    "dpd_transitions",
    (
        _required("loan_id", "text"),
        Column("officer_id", "text"),
        _required("transition_date", "date"),
        Column("from_dpd_bucket", "text"),
        _required("to_dpd_bucket", "text"),
        _required("outstanding_balance", "money"),
    ),
    key=("loan_id", "transition_date"),
    partition_by="transition_date",
    about="Each day a loan's bucket changed.",
)

PAR15_SNAPSHOTS = Table(
    "par15_snapshots",
    (
        _required("snapshot_date", "date"),
        _required("officer_id", "text"),
        _required("region", "text"),
        _required("branch", "text"),
        _required("par15_exposure", "money"),
        _required("par15_count", "bigint"),
        _required("run_id", "text"),
    ),
    key=("snapshot_date", "officer_id", "region", "branch"),
    about="PAR15 on each 15th, frozen once published.",
)

TEAM_MEMBERS = Table(
    "team_members",
    (
        Column("member_id", "serial", null=False),
        _required("member_name", "text"),
        _required("member_email", "text", personal=True),
        Column("member_phone", "text", personal=True),
        *_texts("role", "department"),
        Column("is_active", "bool", null=False),
        Column("password_hash", "text", personal=True),
        Column("access_role", "text", one_of=ACCESS_ROLES),
        _required("member_version", "int"),
        *STAMPS,
    ),
    key=("member_id",),
    about="People who look and people who audit.",
)

AUDIT_TRACKING = Table(
    "audit_tracking",
    (
        Column("audit_id", "serial", null=False),
        Column("officer_id", "text"),
        _required("event", "text"),
        Column("actor", "text"),
        Column("assignee_id", "bigint"),
        Column("audit_status", "text", one_of=AUDIT_STATUSES),
        *_texts("action_type", "reason"),
        Column("old_value", "json"),
        Column("new_value", "json"),
        Column("figures", "json"),
        Column("run_id", "text"),
        _required("recorded_at", "timestamp"),
        Column("previous_hash", "text"),
        _required("row_hash", "text"),
    ),
    key=("audit_id",),
    about="Who did what to whom, having seen which figures; append-only.",
)

AUDIT_ANCHORS = Table(
    "audit_anchors",
    (
        Column("anchor_id", "serial", null=False),
        Column("kind", "text", null=False, one_of=("run", "export")),
        _required("reference", "text"),
        _required("audit_id", "bigint"),
        _required("row_hash", "text"),
        _required("recorded_at", "timestamp"),
    ),
    key=("anchor_id",),
    about="Where the audit chain ended when a run or an export was made; append-only.",
)

AUDIT_REQUESTS = Table(
    "audit_requests",
    (
        _required("actor", "text"),
        _required("request_key", "text"),
        _required("request_hash", "text"),
        _required("audit_id", "bigint"),
    ),
    key=("actor", "request_key"),
    about="Which audit row answered a request that may be sent again.",
)

REFRESH_TOKENS = Table(
    "refresh_tokens",
    (
        _required("token_hash", "text"),
        _required("family", "text"),
        _required("member_id", "bigint"),
        _required("issued_at", "timestamp"),
        _required("expires_at", "timestamp"),
        Column("used_at", "timestamp"),
        Column("revoked_at", "timestamp"),
    ),
    key=("token_hash",),
    about="Refresh tokens by their hash; those that followed from one log-in are a family.",
)

LOGIN_ATTEMPTS = Table(
    "login_attempts",
    (
        Column("attempt_id", "serial", null=False),
        _required("account_hash", "text"),
        _required("address_hash", "text"),
        _required("attempted_at", "timestamp"),
    ),
    key=("attempt_id",),
    about="Log-ins of late that failed or are under way, shared by all workers.",
)

CALCULATION_LOG = Table(
    "metric_calculation_log",
    (
        Column("log_id", "serial", null=False),
        _required("run_id", "text"),
        _required("calculation_type", "text"),
        _required("calculation_date", "date"),
        Column("known_at", "text"),
        _required("start_time", "timestamp"),
        Column("end_time", "timestamp"),
        Column("duration_seconds", "rate"),
        Column("records_processed", "bigint"),
        Column("records_updated", "bigint"),
        Column("records_failed", "bigint"),
        Column("status", "text", null=False, one_of=("Running", "Completed", "Failed")),
        Column("error_message", "text"),
        _required("engine_version", "text"),
        _required("policy_hash", "text"),
        Column("policy", "json"),
        Column("metric_revisions", "json"),
        Column("quarantine", "json"),
        Column("findings", "json"),
        Column("reconciliation", "json"),
    ),
    key=("log_id",),
    identity=("run_id",),
    about="Every run: what it read, what it held back, how it ended.",
)

QUARANTINED_ROWS = Table(
    "quarantined_rows",
    (
        Column("quarantine_id", "serial", null=False),
        _required("source", "text"),
        _required("table_name", "text"),
        Column("row_number", "bigint"),
        Column("row_key", "text"),
        _required("rule", "text"),
        Column("field", "text"),
        Column("content", "json", personal=True),
        _required("quarantined_at", "timestamp"),
    ),
    key=("quarantine_id",),
    about="Rows held back by the loader, whole, under the rule they broke.",
)

CHANGE_LOG = Table(
    "change_log",
    (
        Column("change_id", "serial", null=False),
        _required("source_table", "text"),
        Column("loan_id", "text", about="null: the whole table"),
        _required("xid", "xid"),
    ),
    key=("xid", "change_id"),
    about="What each transaction touched in the lender's tables, written by triggers.",
)

CHANGE_READERS = Table(
    "change_readers",
    (
        _required("reader", "text"),
        _required("token", "text"),
        _required("since", "xid"),
        _required("mark", "json"),
        _required("advanced_at", "timestamp"),
    ),
    key=("reader",),
    about="How far each reader of the change log has come.",
)

CHANGE_HORIZON = Table(
    "change_horizon",
    (_required("xid", "xid"),),
    key=("xid",),
    about="One row: the newest transaction whose rows were pruned from the change log.",
)

LOAN_REASSIGNMENTS = Table(
    "loan_reassignments",
    (
        Column("reassignment_id", "serial", null=False),
        Column("loan_id", "text", about="null: of before then nothing is known of any loan"),
        *_texts("officer_id", "region", "branch"),
        Column(
            "reassigned_at", "timestamp", null=False, about="until when the loan was with this officer, there"
        ),
    ),
    key=("reassignment_id",),
    about="Whom each loan was taken from and when, written by triggers; append-only, but a record may last longer.",
)

SCHEDULE_SLOTS = Table(
    "schedule_slots",
    (_required("task", "text"), _required("slot", "timestamp"), _required("done_at", "timestamp")),
    key=("task",),
    about="Which slot of the worker's schedule each task was last done for.",
)

RESTATEMENTS = Table(
    "restatements",
    (
        Column("restatement_id", "serial", null=False),
        _required("table_name", "text"),
        _required("row_key", "text"),
        _required("calculation_date", "date"),
        Column("before", "json", about="the figures that changed, as they were; null: the row is new"),
        Column("after", "json", about="the same figures as they are; null: the row went"),
        _required("before_run_id", "text"),
        _required("run_id", "text"),
        _required("restated_at", "timestamp"),
        Column(
            "causes",
            "json",
            about="by cause: how often, which loans, its effect on each figure; or why unknown",
        ),
    ),
    key=("restatement_id",),
    about="Published figures of past days that a later run changed.",
)

OWN_TABLES = (
    LOAN_STATE,
    OFFICER_METRICS,
    BRANCH_METRICS,
    DPD_TRANSITIONS,
    PAR15_SNAPSHOTS,
    TEAM_MEMBERS,
    AUDIT_TRACKING,
    CALCULATION_LOG,
    QUARANTINED_ROWS,
    CHANGE_LOG,
    CHANGE_READERS,
    CHANGE_HORIZON,
    LOAN_REASSIGNMENTS,
    SCHEDULE_SLOTS,
    RESTATEMENTS,
    AUDIT_ANCHORS,
    AUDIT_REQUESTS,
    REFRESH_TOKENS,
    LOGIN_ATTEMPTS,
)
TABLES = {table.name: table for table in (*LENDER_TABLES, *OWN_TABLES)}


def column_rules(table: Table) -> tuple[Rule, ...]:
    """Rules that follow from the columns alone, for the lender's tables.

    >>> [rule.name for rule in column_rules(HOLIDAYS)]
    ['missing_value', 'date_out_of_range']
    """
    made: list[Rule] = []
    for name, about, terms in (
        (
            "missing_value",
            "a required field is empty",
            [f"{c.name} IS NULL" for c in table.columns if not c.null],
        ),
        (
            "date_out_of_range",
            f"a date outside {MIN_DATE}..{MAX_DATE}",
            [*map(_bad_date, _of(table, "date")), *map(_bad_time, _of(table, "timestamp"))],
        ),
        (
            "negative_amount",
            "an amount below zero",
            [f"{c.name} < 0" for c in _of(table, "money", "rate") if not c.signed],
        ),
        (
            "amount_too_large",
            "an amount above Policy.max_amount",
            [f"abs({c.name}) > $max_amount" for c in _of(table, "money")],
        ),
        *(
            (f"unknown_{c.name}", "a value outside its list", [_not_listed(c)])
            for c in table.columns
            if c.one_of
        ),
    ):
        if terms:
            made.append(Rule(name, " OR ".join(terms), about))
    return tuple(made)


def rules(table: Table) -> tuple[Rule, ...]:
    """All rules that one row of ``table`` can break by itself, in order of precedence."""
    return (*column_rules(table), *table.rules)


def facts_only(table: Table) -> Table:
    """``table`` with just the columns the engine reads; rules about other columns fall away."""
    wanted = FACT_COLUMNS[table.name]
    return replace(table, columns=tuple(column for column in table.columns if column.name in wanted))


def _of(table: Table, *kinds: Kind) -> list[Column]:
    return [column for column in table.columns if column.kind in kinds]


def _bad_date(column: Column) -> str:
    return f"{column.name} NOT BETWEEN DATE '{MIN_DATE}' AND DATE '{MAX_DATE}'"


def _bad_time(column: Column) -> str:
    return f"{column.name} NOT BETWEEN TIMESTAMPTZ '{MIN_DATE} 00:00:00+00' AND TIMESTAMPTZ '{MAX_DATE} 00:00:00+00'"


def _not_listed(column: Column) -> str:
    return f"{column.name} NOT IN ({', '.join(repr(value) for value in column.one_of)})"
