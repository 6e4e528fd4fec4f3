from loanmetrics.engine.metric import Bands, Example, Metric

WEIGHED = (
    "COALESCE(40 * risk_score_norm, 0.0) + COALESCE(35 * on_time_rate, 0.0) + COALESCE(25 * (1 - fimr), 0.0)"
)
WEIGHTS = (
    "CASE WHEN risk_score_norm IS NULL THEN 0.0 ELSE 40.0 END"
    " + CASE WHEN on_time_rate IS NULL THEN 0.0 ELSE 35.0 END"
    " + CASE WHEN fimr IS NULL THEN 0.0 ELSE 25.0 END"
)
PURITY = "CASE WHEN policy_dqi_uses_channel_purity THEN COALESCE(channel_purity, 1.0) ELSE 1.0 END"

METRIC = Metric(
    name="dqi",
    title="Disbursement quality index",
    formula=f"100 * ({WEIGHED}) / NULLIF({WEIGHTS}, 0.0) * {PURITY}",
    unit="score",
    about="Risk quality, punctuality and first installments in one, times channel purity; no evidence, no weight.",
    reason="no_evidence",
    bands=Bands(">=", (("Green", 75), ("Watch", 65)), "Flag"),
    rounded=True,
    examples=(
        Example(
            {
                **{"risk_score_norm": 0.855, "on_time_rate": 0.9, "fimr": 0.2, "channel_purity": 0.8},
                "policy_dqi_uses_channel_purity": True,
            },
            69,
        ),
        Example(
            {
                **{"risk_score_norm": 0.865, "on_time_rate": None, "fimr": 0.2, "channel_purity": None},
                "policy_dqi_uses_channel_purity": True,
            },
            84,
        ),
        Example(
            {
                **{"risk_score_norm": None, "on_time_rate": None, "fimr": None, "channel_purity": 0.5},
                "policy_dqi_uses_channel_purity": True,
            },
            None,
        ),
    ),
)
