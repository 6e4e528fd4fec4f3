"""A policy is refused where it would be misread, and says what was meant."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

import polars as pl
import pytest

from loanmetrics.engine.diff.wording import policies
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


BEGIN = date(2026, 10, 1)


def test_revisions_come_back_as_they_were_and_a_policy_without_any_is_what_it_was() -> None:
    policy = Policy(revisions={"risk_score": {2: BEGIN, 3: date(2027, 1, 1)}, "dqi": {2: BEGIN}})
    assert Policy.from_toml(policy.to_toml()) == Policy.from_dict(policy.as_dict()) == policy
    stored = json.loads(json.dumps(policy.as_dict()))
    assert Policy.from_dict(stored) == policy and stored["revisions"]["dqi"] == {"2": "2026-10-01"}
    assert policy.hash != Policy().hash == Policy(revisions={}).hash == "dd7c7cb93bcf25cf"
    other = Policy(revisions={"dqi": {2: BEGIN}, "risk_score": {3: date(2027, 1, 1), 2: BEGIN}})
    assert (other, other.hash) == (policy, policy.hash)


def test_a_policy_that_leaves_the_review_alone_keeps_its_hash_and_tells_the_thresholds() -> None:
    other = Policy(review_days=30, review_token_share=Decimal("0.25"))
    assert Policy.from_toml(other.to_toml()) == Policy.from_dict(other.as_dict()) == other
    assert set(other.as_dict()) - set(Policy().as_dict()) == {"review_days", "review_token_share"}
    assert Policy(review_days=90).hash == Policy().hash != other.hash
    assert "review_duplicate_days = 1\n" in Policy().to_toml()
    assert policies(Policy(), other) == "review_days 90 -> 30, review_token_share 0.2 -> 0.25"


@pytest.mark.parametrize(
    "given",
    [{"review_days": 0}, {"review_month_end_days": 11}, {"review_token_share": Decimal("1.1")}],
    ids=str,
)
def test_thresholds_of_the_review_are_checked(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(UsageError, match=name):
        Policy(**given)


def test_the_latest_revision_that_has_begun_counts() -> None:
    policy = Policy(revisions={"risk_score": {3: date(2027, 1, 1), 2: BEGIN}})
    days = [BEGIN - timedelta(1), BEGIN, date(2026, 12, 31), date(2027, 1, 1), date(2190, 1, 1)]
    assert [policy.revision("risk_score", day) for day in days] == [1, 2, 2, 3, 3]
    assert policy.revision("fimr", BEGIN) == 1
    assert policy.turns(BEGIN, date(2027, 1, 1)) == (date(2027, 1, 1),)
    assert policy.turns(BEGIN - timedelta(1), BEGIN) == (BEGIN,)


def test_a_revision_can_be_put_in_force_or_out_of_it() -> None:
    policy = Policy(revisions={"risk_score": {2: BEGIN}, "dqi": {2: BEGIN}})
    changed = policy.with_revisions({"risk_score": 1}, since=date(2026, 1, 1))
    assert changed.revisions == {"dqi": {2: BEGIN}}
    early = Policy().with_revisions({"dqi": 2}, since=date(2026, 1, 1))
    assert early.revision("dqi", date(2026, 1, 1)) == 2


@pytest.mark.parametrize(
    "begins",
    [
        {},
        {1: BEGIN},
        {"2": BEGIN},
        {2.0: BEGIN},
        {2: "2026-10-01"},
        {2: BEGIN, 3: BEGIN},
        {3: BEGIN, 2: date(2027, 1, 1)},
    ],
    ids=str,
)
def test_revisions_given_in_python_are_checked_too(begins: Any) -> None:
    with pytest.raises(UsageError, match=r"revisions\.risk_score"):
        Policy(revisions={"risk_score": begins})


def test_the_engine_knows_every_time_zone_that_is_accepted() -> None:
    moment = pl.Series([0]).cast(pl.Datetime("us", "UTC"))
    for name in sorted(available_timezones() - NO_PLACES):
        assert Policy(time_zone=name).time_zone == name
        moment.dt.convert_time_zone(name)
