from loanmetrics.engine.metric import Example, Metric, ratio

METRIC = Metric(
    name="par15_ratio",
    title="Overdue ratio, 15 days",
    formula=ratio("overdue_15d_amount", "total_portfolio"),
    unit="ratio",
    better="low",
    about="Share of the book owed by loans more than 15 days past due.",
    reason="no_exposure",
    examples=(Example({"overdue_15d_amount": 3, "total_portfolio": 8}, 0.375),),
)
