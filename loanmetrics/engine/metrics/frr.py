from loanmetrics.engine.metric import Example, Metric, ratio

METRIC = Metric(
    name="frr",
    title="Fee realisation rate",
    formula=ratio("fees_collected", "fees_due"),
    unit="ratio",
    better="high",
    about="Share of the fees fallen due, less waivers, that was received.",
    reason="no_fees_due",
    examples=(Example({"fees_collected": 30_00, "fees_due": 40_00}, 0.75),),
)
