from loanmetrics.engine.metric import Example, Metric, ratio

METRIC = Metric(
    name="float_gap_share",
    title="Officers with float gaps",
    formula=ratio("float_gap_officers", "total_officers"),
    unit="ratio",
    about="Share of officers at work who recorded cash more than a day after taking it.",
    reason="no_exposure",
    examples=(Example({"float_gap_officers": 1, "total_officers": 1}, 1.0),),
)
