from loanmetrics.engine.metric import Example, Metric

METRIC = Metric(
    name="total_yield",
    title="Yield this month",
    formula="interest_collected + total_fees_collected",
    unit="money",
    about="Interest and fees received from the first of the month to the as-of day.",
    examples=(Example({"interest_collected": 80_00, "total_fees_collected": 20_00}, 100_00),),
)
