from loanmetrics.engine.metric import Example, Metric

METRIC = Metric(
    name="porr",
    title="Portfolio overdue risk ratio",
    formula="par15_ratio",
    unit="ratio",
    better="low",
    about="The overdue ratio under the name the risk score uses.",
    reason="no_exposure",
    examples=(Example({"par15_ratio": 0.1}, 0.1), Example({"par15_ratio": None}, None)),
)
