"""A policy is refused where it would be misread, and says what was meant."""

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

import polars as pl
import pytest

from loanmetrics.errors import UsageError
from loanmetrics.policy import NO_PLACES, Policy
from loanmetrics.tables import LOAN_STATUSES


def test_a_policy_made_in_python_is_checked_too() -> None:
    given: dict[str, Any] = {
        "calendar": "busines",
        "dpd_count": "Inclusive",
        "final_statuses": "Closed",
        "cash_methods": "Cash",
    }
    for name, value in given.items():
        with pytest.raises(UsageError, match=name):
            Policy(**{name: value})


def test_every_status_may_be_final_and_none_need_be() -> None:
    for statuses in (LOAN_STATUSES, ()):
        assert Policy(final_statuses=statuses).final_statuses == statuses


def test_the_bounds_themselves_are_fine() -> None:
    most = Policy(
        arrears_tolerance=Decimal(10**12), first_payment_share=Decimal(1), max_quarantine_share=Decimal(0)
    )
    assert (most.tolerance_minor, most.share_scaled) == (10**14, 10**6)
    assert Policy.from_toml(most.to_toml()) == most


def test_the_engine_knows_every_time_zone_that_is_accepted() -> None:
    moment = pl.Series([0]).cast(pl.Datetime("us", "UTC"))
    for name in sorted(available_timezones() - NO_PLACES):
        assert Policy(time_zone=name).time_zone == name
        moment.dt.convert_time_zone(name)
