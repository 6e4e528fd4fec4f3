from loanmetrics.engine.metric import Bands, Example, Metric, ratio

METRIC = Metric(
    name="d06_slippage",
    title="D0-6 slippage",
    formula=ratio("dpd_1to6_balance", "amount_due_7d"),
    unit="ratio",
    about="Balance 1 to 6 days past due against what falls due next: a balance over dues, so it may exceed 1.",
    reason="no_dues",
    bands=Bands("<=", (("Green", 0.05), ("Watch", 0.08)), "Flag"),
    examples=(Example({"dpd_1to6_balance": 90_000, "amount_due_7d": 30_000}, 3.0),),
)
