"""The measures: counts and sums over loans, additive over any split of the book. See ``metric.Measure``."""

from loanmetrics.engine.metric import Measure

# What a measure may read of a loan: the columns of ``state.State.frame``, and of ``history.columns`` for its past.
LOAN_COLUMNS: dict[str, str] = {
    "amount": "the loan's amount",
    "disbursed": "whether it was disbursed by the day",
    "in_cohort": "whether it was disbursed in the cohort window",
    "on_book": "whether it is on the book",
    "dpd": "days past due, 0 off the book",
    "outstanding": "owed in all, be it on the book or not",
    "principal_outstanding": "principal owed, likewise",
    "loan_age": "days since disbursement, 0 off the book",
    "days_unpaid": "days since a counting payment last brought money, or since disbursement; 0 off the book",
    "decided": "whether its first installment is decided",
    "first_missed": "whether that was missed; means nothing until decided",
    "dpd_before": "days past due on the roll day, as it stood",
    "outstanding_before": "owed on the roll day, as it stood",
    "dpd_mid_month": "days past due on the latest 15th",
    "outstanding_mid_month": "owed on the latest 15th",
    "due_ahead": "falling due in the days ahead and not paid yet",
    "in_fee_window": "whether it was disbursed in the fee window",
    "fee_owed": "fee fallen due, less fee waivers",
    "fee_received": "fee received, at most what is owed",
    "installments_due": "installments that fell due in the flow window",
    "installments_on_time": "of those, settled by their due date",
    "interest_this_month": "interest received since the first of the month",
    "fees_this_month": "fees received since the first of the month",
    "yield_in_flow": "interest and fees received in the flow window",
    "waived_in_window": "waived in the waiver window, penalties aside",
    "entries": "repayment rows dated in the flow window",
    "backdated": "of those, entered backdated",
    "reversals": "rows reversed in the flow window",
    "float_gaps": "cash payments of the float window recorded late",
    "channel_known": "whether it is of the cohort window and its officer has a reference channel",
    "channel_pure": "whether it was sold through that channel",
}
LATE_BEFORE = "dpd_before BETWEEN 1 AND 6"


def _money(name: str, value: str, where: str, about: str, title: str = "") -> Measure:
    return Measure(name, f"CASE WHEN {where} THEN {value} ELSE 0 END", about, unit="money", title=title)


def _count(name: str, where: str, about: str, title: str = "") -> Measure:
    return Measure(name, f"CASE WHEN {where} THEN 1 ELSE 0 END", about, unit="count", title=title)


MEASURES: tuple[Measure, ...] = (
    _money("total_portfolio", "outstanding", "on_book", "Owed by loans on the book.", title="Portfolio"),
    _money(
        "principal_portfolio",
        "principal_outstanding",
        "on_book",
        "Principal owed by loans on the book.",
        title="Principal of the portfolio",
    ),
    _count("active_loans", "on_book", "Loans on the book."),
    _count("total_disbursed_count", "disbursed", "Loans ever disbursed.", title="Loans ever disbursed"),
    _money(
        "total_disbursed_amount",
        "amount",
        "disbursed",
        "Amount ever disbursed.",
        title="Amount ever disbursed",
    ),
    _money(
        "overdue_15d_amount",
        "outstanding",
        "dpd > 15",
        "Owed by loans more than 15 days past due.",
        title="Overdue balance, 15 days",
    ),
    _count(
        "overdue_15d_count", "dpd > 15", "Loans more than 15 days past due.", title="Overdue loans, 15 days"
    ),
    *(
        _money(
            f"par{days}_principal",
            "principal_outstanding",
            f"dpd > {days}",
            f"Principal of loans more than {days} days past due.",
            title=f"PAR{days} principal",
        )
        for days in (1, 7, 15, 30, 60, 90)
    ),
    _count(
        "first_miss_count",
        "in_cohort AND decided AND first_missed",
        "Recent loans whose first installment was missed.",
        title="First installments missed",
    ),
    _count(
        "disbursed_count",
        "in_cohort AND decided",
        "Recent loans whose first installment is decided.",
        title="First installments decided",
    ),
    _count(
        "all_time_first_miss_count",
        "disbursed AND decided AND first_missed",
        "Loans whose first installment was missed.",
        title="First installments missed, all time",
    ),
    _count(
        "all_time_decided_count",
        "disbursed AND decided",
        "Loans whose first installment is decided.",
        title="First installments decided, all time",
    ),
    _money(
        "dpd_1to6_balance",
        "outstanding",
        "dpd BETWEEN 1 AND 6",
        "Owed by loans 1 to 6 days past due.",
        title="Balance 1 to 6 days past due",
    ),
    _money(
        "amount_due_7d",
        "due_ahead",
        "on_book",
        "Falling due in the days ahead and not yet paid.",
        title="Falling due in the days ahead",
    ),
    _money(
        "prev_dpd_1to6_balance",
        "outstanding_before",
        LATE_BEFORE,
        "Owed a week ago by loans then 1 to 6 days past due.",
        title="Balance 1 to 6 days past due a week ago",
    ),
    _money(
        "moved_to_7to30",
        "outstanding_before",
        f"{LATE_BEFORE} AND dpd BETWEEN 7 AND 30",
        "Of those, what has rolled to 7 to 30 days past due.",
        title="Balance rolled to 7 to 30 days past due",
    ),
    _money(
        "fees_due",
        "fee_owed",
        "in_fee_window",
        "Fees fallen due on loans of the fee window, less fee waivers.",
    ),
    _money("fees_collected", "fee_received", "in_fee_window", "Of those, fees received."),
    Measure(
        "interest_collected",
        "interest_this_month",
        "Interest received this month.",
        unit="money",
        title="Interest received this month",
    ),
    Measure(
        "total_fees_collected",
        "fees_this_month",
        "Fees received this month.",
        unit="money",
        title="Fees received this month",
    ),
    Measure(
        "yield_30d",
        "yield_in_flow",
        "Interest and fees received in the flow window.",
        unit="money",
        title="Yield of the flow window",
    ),
    _money(
        "par15_mid_month",
        "outstanding_mid_month",
        "dpd_mid_month > 15",
        "Overdue by more than 15 days on the latest 15th.",
        title="Overdue balance on the latest 15th",
    ),
    Measure(
        "due_installments",
        "installments_due",
        "Installments that fell due in the flow window.",
        unit="count",
        title="Installments due",
    ),
    Measure(
        "on_time_installments",
        "installments_on_time",
        "Of those, settled by their due date.",
        unit="count",
        title="Installments on time",
    ),
    _count(
        "channel_known_count",
        "channel_known",
        "Recent loans of officers with a reference channel.",
        title="Loans with a reference channel",
    ),
    _count(
        "pure_channel_count",
        "channel_known AND channel_pure",
        "Of those, sold through that channel.",
        title="Loans sold through that channel",
    ),
    Measure(
        "waivers_amount", "waived_in_window", "Waived lately, penalties aside.", unit="money", title="Waivers"
    ),
    Measure(
        "total_entries",
        "entries",
        "Repayment rows dated in the flow window.",
        unit="count",
        title="Repayment entries",
    ),
    Measure(
        "backdated_count",
        "backdated",
        "Of those, entered backdated.",
        unit="count",
        title="Backdated entries",
    ),
    Measure(
        "reversals_count",
        "reversals",
        "Repayments reversed in the flow window.",
        unit="count",
        title="Reversals",
    ),
    Measure(
        "float_gap_count",
        "float_gaps",
        "Cash payments recorded late.",
        unit="count",
        title="Cash payments recorded late",
    ),
    Measure(
        "total_officers",
        "CASE WHEN on_book OR in_cohort THEN 1 ELSE 0 END",
        "Officers at work.",
        unit="count",
        kind="distinct",
        title="Officers at work",
    ),
    Measure(
        "float_gap_officers",
        "CASE WHEN total_officers > 0 AND float_gap_count > 0 THEN 1 ELSE 0 END",
        "Of those, officers who recorded cash late.",
        unit="count",
        kind="distinct_cell",
        title="Officers who recorded cash late",
    ),
)
