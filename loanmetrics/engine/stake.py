"""What a measure could change by at most, if rows that are held back were used."""

from loanmetrics.engine.metric import Measure, names_in

# By column of the loan frame, which total of a loan bounds it: a loan can owe, at any time, what falls due on it in
# all, and receive what was paid on it in all. Columns that only tell which loans are meant bound nothing.
BOUNDS = {
    "amount": "owed",
    "outstanding": "owed",
    "principal_outstanding": "owed",
    "outstanding_before": "owed",
    "outstanding_mid_month": "owed",
    "due_ahead": "owed",
    "fee_owed": "owed",
    "fee_received": "paid",
    "interest_this_month": "paid",
    "fees_this_month": "paid",
    "yield_in_flow": "paid",
    "waived_in_window": "paid",
    "installments_due": "installments",
    "installments_on_time": "installments",
    "entries": "entries",
    "backdated": "entries",
    "reversals": "entries",
    "float_gaps": "entries",
}
CONDITIONS = (
    *("disbursed", "in_cohort", "on_book", "dpd", "decided", "first_missed", "dpd_before", "dpd_mid_month"),
    *("in_fee_window",),
)
# Which channels the whole book uses decides over everybody's, so one row may change those of all loans.
BOOKWIDE = ("channel_known", "channel_pure")
# A row held back may begin, end or silence a loan on any day.
DAYS = ("loan_age", "days_unpaid")
OFFICERS, LOANS = "officers", "loans"


def bounded_by(measure: Measure) -> str | None:
    """The total of touched loans that bounds what a measure could change by; None where there is no such bound."""
    if measure.kind != "sum":
        return OFFICERS
    reads = names_in(measure.sql)
    if any(name in (*BOOKWIDE, *DAYS) or not (name in BOUNDS or name in CONDITIONS) for name in reads):
        return None
    found = {BOUNDS[name] for name in reads if name in BOUNDS}
    return found.pop() if len(found) == 1 else None if found else LOANS
