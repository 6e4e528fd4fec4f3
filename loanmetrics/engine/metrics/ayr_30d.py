from loanmetrics.engine.metric import Bands, Example, Metric, ratio

METRIC = Metric(
    name="ayr_30d",
    title="Arrears yield ratio, 30 days",
    formula=ratio("yield_30d", "overdue_15d_amount"),
    unit="ratio",
    about="As the arrears yield ratio, over a moving window: without the saw-tooth within the month.",
    reason="no_exposure",
    bands=Bands(">=", (("Green", 0.50), ("Watch", 0.30)), "Flag"),
    examples=(Example({"yield_30d": 3, "overdue_15d_amount": 10}, 0.3),),
)
