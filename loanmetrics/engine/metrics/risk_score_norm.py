from loanmetrics.engine.metric import Example, Metric

METRIC = Metric(
    name="risk_score_norm",
    title="Risk quality (RQ)",
    formula="risk_score_raw / 100",
    unit="ratio",
    about="The unrounded risk score as a share.",
    reason="no_exposure",
    examples=(Example({"risk_score_raw": 85.5}, 0.855),),
)
