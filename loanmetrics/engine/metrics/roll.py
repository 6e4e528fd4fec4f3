from loanmetrics.engine.metric import Bands, Example, Metric, ratio

METRIC = Metric(
    name="roll",
    title="Roll rate, 1-6 to 7-30 days",
    formula=ratio("moved_to_7to30", "prev_dpd_1to6_balance"),
    unit="ratio",
    about="Of the balance 1 to 6 days past due a week ago, the share now 7 to 30 days past due.",
    reason="no_early_arrears",
    bands=Bands("<=", (("Green", 0.25), ("Watch", 0.35)), "Flag"),
    examples=(
        Example({"moved_to_7to30": 90_000, "prev_dpd_1to6_balance": 90_000}, 1.0),
        Example({"moved_to_7to30": 0, "prev_dpd_1to6_balance": 0}, None),
    ),
)
