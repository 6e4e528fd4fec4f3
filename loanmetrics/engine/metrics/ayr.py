from loanmetrics.engine.metric import Bands, Example, Metric, ratio

METRIC = Metric(
    name="ayr",
    title="Arrears yield ratio",
    formula=ratio("total_yield", "par15_mid_month"),
    unit="ratio",
    about="Yield this month against the balance over 15 days past due on the latest 15th: what a book earns on risk.",
    reason="no_exposure",
    bands=Bands(">=", (("Green", 0.50), ("Watch", 0.30)), "Flag"),
    examples=(
        Example({"total_yield": 80_00, "par15_mid_month": 820_00}, 80 / 820),
        Example({"total_yield": 80_00, "par15_mid_month": 0}, None),
    ),
)
