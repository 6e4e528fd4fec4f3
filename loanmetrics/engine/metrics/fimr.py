from loanmetrics.engine.metric import Bands, Example, Metric, ratio

METRIC = Metric(
    name="fimr",
    title="First installment miss rate",
    formula=ratio("first_miss_count", "disbursed_count"),
    unit="ratio",
    about="Share of recent loans whose first installment was missed: how well an officer chooses borrowers.",
    reason="no_disbursals",
    bands=Bands("<=", (("Green", 0.03), ("Watch", 0.06)), "Flag"),
    examples=(
        Example({"first_miss_count": 1, "disbursed_count": 4}, 0.25),
        Example({"first_miss_count": 0, "disbursed_count": 0}, None),
    ),
)
