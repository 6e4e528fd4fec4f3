from loanmetrics.engine.metric import Example, Metric, ratio

METRIC = Metric(
    name="on_time_rate",
    title="On-time installments (OTI)",
    formula=ratio("on_time_installments", "due_installments"),
    unit="ratio",
    better="high",
    about="Share of installments due in the flow window that were settled by their due date.",
    reason="no_dues",
    examples=(Example({"on_time_installments": 2, "due_installments": 3}, 2 / 3),),
)
