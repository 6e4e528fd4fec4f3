from loanmetrics.engine.metric import Example, Metric, ratio

METRICS = tuple(
    Metric(
        name=f"par{days}",
        title=f"PAR{days}",
        formula=ratio(f"par{days}_principal", "principal_portfolio"),
        unit="ratio",
        better="low",
        about=f"Portfolio at risk: principal of loans over {days} days past due, as a share of all principal (CGAP).",
        reason="no_exposure",
        examples=(Example({f"par{days}_principal": 1, "principal_portfolio": 4}, 0.25),),
    )
    for days in (1, 7, 15, 30, 60, 90)
)
