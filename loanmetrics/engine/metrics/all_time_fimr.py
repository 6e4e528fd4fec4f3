from loanmetrics.engine.metric import Bands, Example, Metric, ratio

METRIC = Metric(
    name="all_time_fimr",
    title="First installment miss rate, all time",
    formula=ratio("all_time_first_miss_count", "all_time_decided_count"),
    unit="ratio",
    about="Share of all loans ever disbursed whose first installment was missed.",
    reason="no_disbursals",
    bands=Bands("<=", (("Green", 0.03), ("Watch", 0.06)), "Flag"),
    examples=(Example({"all_time_first_miss_count": 3, "all_time_decided_count": 100}, 0.03),),
)
