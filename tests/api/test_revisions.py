"""Figures by other revisions, as fields of the lists of officers and branches."""

import csv
import io

import loanmetrics as lm
from tests import support
from tests.api.conftest import FIRST, Api

FIELDS = "risk_score,risk_band,risk_score_r1,risk_band_r1,risk_score_r2,risk_band_r2,dqi_r2"


def test_officers_by_either_revision(api: Api) -> None:
    told = api.get(f"/metrics/officers?fields=officer_id,{FIELDS}&per_page=500").json["data"]
    book = lm.Book.sample()
    both = lm.compute(book, "risk_score", "dqi", revision=2).collect()
    wanted = {row["officer_id"]: row for row in both.to_dicts()}
    assert len(told) == len(wanted)
    for row in told:
        mine = wanted[row["officer_id"]]
        assert (row["risk_score_r1"], row["risk_band_r1"]) == (row["risk_score"], row["risk_band"])
        for name in ("risk_score", "risk_band", "risk_score_r2", "risk_band_r2", "dqi_r2"):
            assert row[name] == mine[name], name


def test_they_are_there_when_asked_for_only(api: Api) -> None:
    assert not [name for name in api.get("/metrics/officers").json["data"][0] if "_r2" in name]
    falling = api.get("/metrics/branches?sort=-risk_score_r2&fields=branch,risk_score_r2").json["data"]
    scores = [row["risk_score_r2"] for row in falling if row["risk_score_r2"] is not None]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) > 1


def test_exports_hold_them_too(api: Api) -> None:
    text = api.get("/metrics/branches?fields=branch,risk_score,risk_score_r2&format=csv").text
    (first, *_) = csv.DictReader(io.StringIO(text))
    assert list(first) == ["branch", "risk_score", "risk_score_r2"]


def test_a_day_that_nobody_published_has_them_and_a_stretch_of_days_has_not(api: Api) -> None:
    early = api.get("/metrics/officers?date=2026-01-31&fields=officer_id,risk_score_r2").json["data"]
    assert any(row["risk_score_r2"] is not None for row in early)
    span = f"start_date={FIRST}&end_date={support.SAMPLE_DAY}"
    found = api.get(f"/metrics/officers?{span}&fields=officer_id,risk_score_r2")
    assert found.status_code == 400
    assert found.json["errors"][0]["message"] == "risk_score_r2 goes with one day"
