"""Metrics of given measures, ranks of given metrics."""

from fractions import Fraction

from loanmetrics.policy import Policy
from tests.cases.case import Formula, Ranking

TEN_PERCENT_LATE = {
    "total_officers": 1,
    **{"overdue_15d_amount": 10, "total_portfolio": 100},
    **{"first_miss_count": 1, "disbursed_count": 5},
    **{"moved_to_7to30": 1, "prev_dpd_1to6_balance": 2},
    **{"waivers_amount": 10, "amount_due_7d": 100},
    **{"backdated_count": 1, "reversals_count": 2, "total_entries": 20},
    **{"fees_collected": 9, "fees_due": 10},
}
WITH_PURITY = {**TEN_PERCENT_LATE, "pure_channel_count": 4, "channel_known_count": 5}
PUNCTUAL = {**WITH_PURITY, "on_time_installments": 9, "due_installments": 10}
ROUNDING_TRAP = {
    "total_officers": 1,
    **{"overdue_15d_amount": 3, "total_portfolio": 8},
    **{"first_miss_count": 5, "disbursed_count": 18},
    **{"moved_to_7to30": 1, "prev_dpd_1to6_balance": 5},
    **{"waivers_amount": 1, "amount_due_7d": 1},
    **{"backdated_count": 4, "reversals_count": 25, "total_entries": 60},
}
ALL_BAD = {
    "total_officers": 1,
    "float_gap_officers": 1,
    **{"overdue_15d_amount": 1, "total_portfolio": 1},
    **{"first_miss_count": 1, "disbursed_count": 1},
    **{"moved_to_7to30": 1, "prev_dpd_1to6_balance": 1},
    **{"waivers_amount": 700, "amount_due_7d": 1},
    **{"backdated_count": 1, "reversals_count": 9, "total_entries": 1},
    **{"fees_collected": 0, "fees_due": 1},
    **{"pure_channel_count": 0, "channel_known_count": 1},
}

FORMULAS = [
    Formula(
        "n: risk score 85.5",
        WITH_PURITY,
        {"risk_score": 86, "risk_band": "Green", "risk_score_norm": Fraction(855, 1000)},
    ),
    Formula("n: dqi 68.56", PUNCTUAL, {"risk_score": 86, "dqi": 69, "dqi_band": "Watch"}),
    Formula(
        "n: without punctuality and purity",
        TEN_PERCENT_LATE,
        {"on_time_rate": None, "channel_purity": None, "risk_score": 87, "dqi": 84, "dqi_band": "Green"},
    ),
    Formula(
        "n: the rounding trap", ROUNDING_TRAP, {"risk_score": 72, "risk_score_norm": Fraction(715, 1000)}
    ),
    Formula(
        "dqi without purity",
        PUNCTUAL,
        {"dqi": 86, "dqi_band": "Green"},
        Policy(dqi_uses_channel_purity=False),
    ),
    Formula("every penalty is clamped", ALL_BAD, {"risk_score": 0, "risk_band": "Red", "dqi": 0}),
    Formula(
        "no evidence of anything",
        {},
        {
            **{
                "risk_score": None,
                "risk_band": "n/a",
                "risk_score_norm": None,
                "dqi": None,
                "dqi_band": "n/a",
            },
            **{"fimr": None, "frr": None, "roll": None, "ayr": None, "float_gap_share": None},
            "had_float_gap": False,
        },
    ),
    Formula(
        "upper edges of bands belong to the better band",
        {
            **{"first_miss_count": 3, "disbursed_count": 100},
            **{"all_time_first_miss_count": 6, "all_time_decided_count": 100},
            **{"dpd_1to6_balance": 8, "amount_due_7d": 100},
            **{"moved_to_7to30": 35, "prev_dpd_1to6_balance": 100},
            **{"interest_collected": 1, "total_fees_collected": 2, "par15_mid_month": 10},
            **{"yield_30d": 5, "overdue_15d_amount": 10},
        },
        {
            **{"fimr_band": "Green", "all_time_fimr_band": "Watch", "d06_slippage_band": "Watch"},
            **{"roll_band": "Watch", "ayr_band": "Watch", "ayr_30d_band": "Green"},
        },
    ),
    Formula(
        "just beyond the edges of bands",
        {
            **{"first_miss_count": 301, "disbursed_count": 10_000},
            **{"all_time_first_miss_count": 601, "all_time_decided_count": 10_000},
            **{"dpd_1to6_balance": 801, "amount_due_7d": 10_000},
            **{"moved_to_7to30": 3501, "prev_dpd_1to6_balance": 10_000},
            **{"interest_collected": 2999, "par15_mid_month": 10_000},
            **{"yield_30d": 4999, "overdue_15d_amount": 10_000},
        },
        {
            **{"fimr_band": "Watch", "all_time_fimr_band": "Flag", "d06_slippage_band": "Flag"},
            **{"roll_band": "Flag", "ayr_band": "Flag", "ayr_30d_band": "Watch"},
        },
    ),
]

RANKINGS = [
    Ranking(
        "p: 2.2, 2.4, 2.2, 3.2",
        {"A": ("95", "0.1"), "B": ("90", "0.3"), "C": ("80", "0.9"), "D": ("70", "0.5")},
        {"A": 1, "B": 2, "C": 1, "D": 3},
    ),
    Ranking(
        "g: no exposure ranks first by ayr",
        {"A": ("90", "0.1"), "B": ("90", None), "C": ("90", "8.63")},
        {"A": 3, "B": 1, "C": 2},
    ),
    Ranking(
        "inner ranks leave gaps after a tie",
        {"A": ("90", "0.1"), "B": ("80", "0.5"), "C": ("80", "0.4"), "D": ("70", "0.9")},
        {"A": 2, "B": 1, "C": 3, "D": 4},
    ),
]
