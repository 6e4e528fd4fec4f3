from loanmetrics.engine.metric import Example, Metric

METRIC = Metric(
    name="had_float_gap",
    title="Had a float gap",
    formula="float_gap_count > 0",
    unit="flag",
    about="Whether any cash was recorded more than a day after it was taken.",
    examples=(Example({"float_gap_count": 2}, 1), Example({"float_gap_count": 0}, 0)),
)
