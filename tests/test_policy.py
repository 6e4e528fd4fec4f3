"""A policy is refused where it would be misread, and says what was meant."""

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

import polars as pl
import pytest

from loanmetrics.errors import UsageError
from loanmetrics.policy import NO_PLACES, Policy
from loanmetrics.tables import LOAN_STATUSES

REFUSED = [
    ('final_statuses = ["closed"]', "unknown name in policy final_statuses: closed (did you mean Closed?)"),
    ('final_statuses = ["Settled"]', "unknown name in policy final_statuses: Settled (known: Active"),
    ('final_statuses = ["Closed", ""]', "policy: final_statuses is out of range (a list of names"),
    ('cash_methods = ["Cash "]', "policy: cash_methods is out of range (a list of names"),
    ('pure_channels = [""]', "policy: pure_channels is out of range (a list of names"),
    ('dpd_count = "inclusiv"', "Invalid enum value 'inclusiv' - at `$.dpd_count`"),
    ("max_quarantine_share = nan", "policy: max_quarantine_share is out of range (0 to 1"),
    ("max_quarantine_share = -inf", "policy: max_quarantine_share is out of range"),
    ("max_quarantine_share = 1e-99999999", "policy: max_quarantine_share is out of range"),
    ("first_payment_share = nan", "policy: first_payment_share is out of range"),
    ("first_payment_share = 0.3333333", "at most 6 decimals"),
    ("arrears_tolerance = nan", "policy: arrears_tolerance is out of range"),
    ("arrears_tolerance = 0.001", "at most 2 decimals"),
    ("arrears_tolerance = -1", "policy: arrears_tolerance is out of range"),
    ("arrears_tolerance = 1e18", "policy: arrears_tolerance is out of range (0 to 1000000000000"),
    ("arrears_tolerance = 1e99999999", "policy: arrears_tolerance is out of range"),
    ("arrears_tolerance = 1e9999999999999999999", "policy: a number is out of range"),
    ("gl_tolerance = 0.001", "policy: gl_tolerance is out of range (0 to 1000000000000, at most 2 decimals)"),
    ("gl_required = 1", "Expected `bool`, got `int` - at `$.gl_required`"),
    ("max_amount = 100\narrears_tolerance = 101", "policy: arrears_tolerance is out of range (0 to 100,"),
    ("max_amount = 1000000000001", "policy: max_amount is out of range"),
    ("max_amount = 0", "policy: max_amount is out of range"),
    ('time_zone = "Africa"', "policy: time_zone 'Africa' is not known"),
    ('time_zone = "Africa/Lagoss"', "(did you mean Africa/Lagos"),
    ('time_zone = "africa/lagos"', "did you mean"),
    ('time_zone = "localtime"', "policy: time_zone 'localtime' is not known"),
    ('time_zone = "Factory"', "policy: time_zone 'Factory' is not known"),
    ('time_zone = "../etc/passwd"', "is not known (e.g. Africa/Lagos)"),
    ('time_zone = ""', "is not known (e.g. Africa/Lagos)"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_would_be_misread_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        Policy.from_toml(text)
    assert message in str(error.value)


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
