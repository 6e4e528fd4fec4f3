from loanmetrics.engine.metric import Bands, Example, Metric


def weighted(risk: int, punctuality: int, first: int) -> str:
    """The mean of those components that there is evidence of, 0 to 1, weighted in hundredths."""
    components = (
        ("risk_score_norm", "risk_score_norm", risk),
        ("on_time_rate", "on_time_rate", punctuality),
        ("fimr", "(1 - fimr)", first),
    )
    weighed = " + ".join(f"COALESCE({weight} * {value}, 0.0)" for _, value, weight in components)
    weights = " + ".join(
        f"CASE WHEN {name} IS NULL THEN 0.0 ELSE {weight}.0 END" for name, _, weight in components
    )
    return f"100 * ({weighed}) / NULLIF({weights}, 0.0)"


PURITY = "CASE WHEN policy_dqi_uses_channel_purity THEN COALESCE(channel_purity, 1.0) ELSE 1.0 END"

FIRST = Metric(
    name="dqi",
    title="Disbursement quality index",
    formula=f"{weighted(40, 35, 25)} * {PURITY}",
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
SECOND = FIRST.revised(
    2,
    formula=weighted(50, 35, 15),
    about="Risk quality, punctuality and first installments in one; no evidence, no weight.",
    examples=(
        Example({"risk_score_norm": 0.855, "on_time_rate": 0.9, "fimr": 0.2}, 86),
        Example({"risk_score_norm": 0.6, "on_time_rate": None, "fimr": 0.5}, 58),
        Example({"risk_score_norm": None, "on_time_rate": None, "fimr": None}, None),
    ),
)
METRICS = (FIRST, SECOND)
