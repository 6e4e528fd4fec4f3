from loanmetrics.engine.metric import Example, Metric, ratio

METRIC = Metric(
    name="channel_purity",
    title="Channel purity (CP)",
    formula=ratio("pure_channel_count", "channel_known_count"),
    unit="ratio",
    better="high",
    about="Share of recent loans sold through the officer's own channel.",
    reason="no_disbursals",
    examples=(Example({"pure_channel_count": 4, "channel_known_count": 5}, 0.8),),
)
