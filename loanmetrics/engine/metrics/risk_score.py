from loanmetrics.engine.metric import Bands, Example, Measure, Metric, Term, penalties, ratio

TERMS = (
    Term("porr", 20, "porr", "Portfolio at risk"),
    Term("fimr", 15, "fimr", "First payments missed"),
    Term("roll", 10, "roll"),
    Term("waivers", 10, ratio("waivers_amount", "amount_due_7d")),
    Term("backdated", 10, ratio("backdated_count", "total_entries"), "Backdated entries"),
    Term("reversals", 10, ratio("reversals_count", "total_entries")),
    Term("fees_not_realised", 10, "1 - frr", "Fees not collected"),
    Term("channel_impurity", 5, "1 - channel_purity", "Impure channel"),
    Term("float_gap", 10, "float_gap_share", "Cash recorded late"),
)

FIRST = Metric(
    name="risk_score",
    title="Risk score",
    formula=penalties(TERMS, when="total_officers > 0"),
    unit="score",
    about="100 less a penalty per warning sign; a sign without evidence costs nothing.",
    reason="no_exposure",
    bands=Bands(">=", (("Green", 80), ("Watch", 60), ("Amber", 40)), "Red"),
    band_column="risk_band",
    terms=TERMS,
    rounded=True,
    examples=(
        Example(
            {
                **{
                    "total_officers": 1,
                    "porr": 0.1,
                    "fimr": 0.2,
                    "roll": 0.5,
                    "waivers_amount": 10,
                    "amount_due_7d": 100,
                },
                **{
                    "backdated_count": 1,
                    "reversals_count": 2,
                    "total_entries": 20,
                    "frr": 0.9,
                    "channel_purity": 0.8,
                },
                "float_gap_share": 0,
            },
            86,
        ),
        Example(
            {
                **{
                    "total_officers": 1,
                    "porr": 3 / 8,
                    "fimr": 5 / 18,
                    "roll": 1 / 5,
                    "waivers_amount": 1,
                    "amount_due_7d": 1,
                },
                **{
                    "backdated_count": 4,
                    "reversals_count": 25,
                    "total_entries": 60,
                    "frr": None,
                    "channel_purity": None,
                },
                "float_gap_share": None,
            },
            72,
        ),
    ),
)

# What a loan's age is divided by: who has paid nothing for a quarter of it has stopped paying.
QUIET_SHARE = 0.25
SECOND_TERMS = (
    *TERMS[:3],
    Term("repayment_delay", 40, f"{ratio('days_since_repayment', 'loan_age_days')} / {QUIET_SHARE}"),
    Term("yield_gap", 15, "1 - ayr"),
)
SECOND = FIRST.revised(
    2,
    formula=penalties(SECOND_TERMS, when="total_officers > 0"),
    about="100 less a penalty for arrears, first misses, rolling, silence since the last repayment and yield forgone; "
    "a sign without evidence costs nothing.",
    terms=SECOND_TERMS,
    measures=(
        Measure(
            "loan_age_days",
            "loan_age",
            "Days since disbursement, added up over loans on the book.",
            unit="count",
            title="Days since disbursement, added up",
        ),
        Measure(
            "days_since_repayment",
            "days_unpaid",
            "Days since the last repayment, or since disbursement if there was none, added up over loans on the book.",
            unit="count",
            title="Days since the last repayment, added up",
        ),
    ),
    examples=(
        Example(
            {
                **{"total_officers": 1, "porr": 0.1, "fimr": 0.2, "roll": 0.5},
                **{"days_since_repayment": 10, "loan_age_days": 100, "ayr": 0.4},
            },
            65,
        ),
        Example(
            {
                **{"total_officers": 1, "porr": 0.0, "fimr": None, "roll": None},
                **{"days_since_repayment": 30, "loan_age_days": 100, "ayr": None},
            },
            60,
        ),
    ),
)
METRICS = (FIRST, SECOND)
