"""Another formula from a day on: what is published on either side, why it differs, and both side by side."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import loanmetrics as lm
from loanmetrics.errors import UsageError
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, rows, told

BEGIN = DAY - timedelta(3)
BEFORE = BEGIN - timedelta(1)
POLICY = f"[revisions.risk_score]\n2 = {BEGIN}\n\n[revisions.dqi]\n2 = {BEGIN}\n"
REVISED = lm.Policy.from_toml(POLICY)
STORED = "officer_id, risk_score, risk_band, dqi, rank, loan_age_days, days_since_repayment"


@pytest.fixture(autouse=True)
def file(tmp_path: Path) -> Path:
    path = tmp_path / "second.toml"
    path.write_text(POLICY)
    return path


def compute(run: Cli, url: str, day: date, *more: str) -> str:
    assert run(url, "compute", "--as-of", str(day), *more)[0] == 0
    return str(asked(url, f"SELECT run_id FROM {LOG} ORDER BY log_id DESC LIMIT 1")[0][0])


def stored(url: str, day: date) -> list[tuple[Any, ...]]:
    return asked(
        url, f"SELECT {STORED} FROM officer_metrics_daily WHERE calculation_date = '{day}' ORDER BY 1"
    )


def figures(url: str, day: date, policy: lm.Policy) -> list[tuple[Any, ...]]:
    names = [name.strip() for name in STORED.split(",")]
    return lm.compute(lm.Book.scan(url, as_of=day, policy=policy)).select(names).collect().rows()


def test_a_day_and_the_day_before_it_are_each_by_their_own_revision(run: Cli, small: str) -> None:
    for day, revision in ((BEFORE, 1), (BEGIN, 2)):
        run_id = compute(run, small, day, "--policy", "second.toml")
        assert stored(small, day) == figures(small, day, REVISED)
        [(named,)] = asked(small, f"SELECT metric_revisions FROM {LOG} WHERE run_id = '{run_id}'")
        assert (named["risk_score"], named["dqi"], named["fimr"]) == (revision, revision, 1)
    before, begin = ({row[0]: row[1] for row in stored(small, day)} for day in (BEFORE, BEGIN))
    assert begin["O1"] < before["O1"] - 30


def test_before_its_day_the_scores_are_what_the_default_policy_gives(run: Cli, small: str) -> None:
    compute(run, small, BEFORE)
    without = stored(small, BEFORE)
    compute(run, small, BEFORE, "--policy", "second.toml")
    assert [row[:5] for row in stored(small, BEFORE)] == [row[:5] for row in without]
    assert {row[5:] for row in without} == {(None, None)}
    assert stored(small, BEFORE)[0][5:] == (111, 60)


def test_under_the_default_policy_again_nothing_of_it_stays(run: Cli, small: str) -> None:
    compute(run, small, DAY)
    columns = "to_jsonb(t) - '{run_id,calculated_at}'::text[]"
    query = f"SELECT {columns} FROM officer_metrics_daily t ORDER BY officer_id"
    plain = asked(small, query)
    compute(run, small, DAY, "--policy", "second.toml")
    assert asked(small, query) != plain
    compute(run, small, DAY)
    assert asked(small, query) == plain


def test_a_backfill_over_the_day_is_right_on_both_sides(run: Cli, small: str) -> None:
    code, out, _ = run(small, "backfill", "--from", "2026-03-01", "--to", str(DAY), "--policy", "second.toml")
    assert code == 0
    spans = [f"2026-03-01 to {BEFORE}", f"{BEGIN} to {DAY}"]
    assert [line.split(":")[0] for line in out.splitlines()] == spans
    for day in (BEFORE, BEGIN, DAY):
        assert stored(small, day) == figures(small, day, REVISED)
    named = asked(small, f"SELECT metric_revisions ->> 'risk_score' FROM {LOG} ORDER BY log_id")
    assert named == [("1",), ("2",)]
    again = rows(small, "officer_metrics_daily", "branch_metrics_daily")
    assert run(small, "backfill", "--from", "2026-03-01", "--to", str(DAY), "--policy", "second.toml")[0] == 0
    assert rows(small, "officer_metrics_daily", "branch_metrics_daily") == again


def test_what_is_touched_alone_gives_what_everything_does(run: Cli, small: str) -> None:
    compute(run, small, DAY, "--policy", "second.toml")
    told(small, "UPDATE repayments SET is_reversed = true, reversal_date = '2026-03-12' WHERE loan_id = 'L2'")
    compute(run, small, DAY, "--policy", "second.toml")
    assert stored(small, DAY) == figures(small, DAY, REVISED)
    assert stored(small, DAY)[0][5:] == (123, 42 + 41 + 15)


def test_restated_figures_say_that_the_definition_changed(run: Cli, small: str) -> None:
    compute(run, small, DAY)
    compute(run, small, DAY + timedelta(1))
    compute(run, small, DAY, "--policy", "second.toml")
    [(causes,)] = asked(
        small,
        "SELECT causes FROM restatements WHERE row_key = 'O1' AND table_name = 'officer_metrics_daily'",
    )
    effects = causes["definition_changed"]["effects"]
    assert effects["loan_age_days"] == 123
    assert effects["risk_score"] < -30


def test_diff_names_the_definition(run: Cli, small: str) -> None:
    first = compute(run, small, DAY)
    second = compute(run, small, DAY, "--policy", "second.toml")
    code, out, err = run(small, "diff", first, second, "--officer", "O1", "--metric", "risk_score")
    assert (code, err) == (0, "")
    assert "definition_changed -" in out
    assert "published by other formulas" not in out
    third = compute(run, small, BEFORE, "--policy", "second.toml")
    told_of = run(small, "diff", third, second, "--officer", "O1", "--metric", "risk_score")[1]
    assert "definition_changed -" in told_of


def test_explain_takes_the_terms_of_the_right_revision_apart(run: Cli, small: str) -> None:
    for day, term, other in (
        (BEFORE, "float_gap", "repayment_delay"),
        (BEGIN, "repayment_delay", "float_gap"),
    ):
        compute(run, small, day, "--policy", "second.toml")
        code, out, _ = run(small, "explain", "O1", "risk_score", "--as-of", str(day))
        assert code == 0
        terms = [line.split()[0] for line in out.splitlines() if line]
        assert term in terms and other not in terms
    out = run(small, "explain", "O1", "risk_score", "--as-of", str(BEGIN), "--from", str(BEFORE))[1]
    assert "definition_changed" in out and "aged" in out
    assert "repayment_delay -40.0" in run(small, "show", "officers", "--why", "--format", "csv")[1]


def test_whatif_tells_who_would_change_band(run: Cli, small: str) -> None:
    compute(run, small, DAY)
    code, out, _ = run(small, "whatif", "--policy", "second.toml", "--metric", "risk_score")
    assert code == 0
    assert f"  revisions: none -> dqi 2 from {BEGIN}, risk_score 2 from {BEGIN}" in out
    assert "2 officers would be in another band" in out
    words = (
        "whatif",
        "--policy",
        "second.toml",
        "--metric",
        "risk_score",
        "--from",
        str(BEFORE),
        "--format",
        "json",
    )
    days = {row["calculation_date"] for row in json.loads(run(small, *words)[1])}
    assert str(BEGIN) in days and str(BEFORE) not in days


def test_both_revisions_side_by_side_whichever_is_in_force(run: Cli, small: str) -> None:
    words = ("show", "officers", "--revision", "risk_score=1", "--revision", "dqi=2", "--format", "json")
    compute(run, small, DAY)
    from_facts = json.loads(run(small, *words)[1])
    other = {row[0]: row for row in figures(small, DAY, REVISED)}
    for row in from_facts:
        assert row["risk_score_r1"] == row["risk_score"] and row["risk_band_r1"] == row["risk_band"]
        assert row["dqi_r2"] == other[row["officer_id"]][3]
    compute(run, small, DAY, "--policy", "second.toml")
    from_measures = json.loads(run(small, *words)[1])
    for row, first in zip(from_measures, from_facts, strict=True):
        assert (row["risk_score_r1"], row["dqi_r2"]) == (first["risk_score"], row["dqi"])
    branches = run(small, "show", "branches", "--revision", "risk_score=1", "--columns", "branch")[1]
    assert "risk_score_r1" in branches and "risk_band_r1" in branches


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("risk_score", "cannot be read"),
        ("risk_score=two", "cannot be read"),
        ("risk_score=3", "risk_score has no revision 3 (its revisions: 1, 2"),
        ("risk_score=0", "risk_score has no revision 0"),
        ("risk_scor=2", "did you mean risk_score"),
    ],
)
def test_a_revision_that_is_not_there_is_refused(run: Cli, small: str, word: str, message: str) -> None:
    compute(run, small, DAY)
    code, out, err = run(small, "show", "officers", "--revision", word)
    assert (code, out) == (2, "") and message in err.replace("\nhint: ", " (")


def test_facts_that_are_gone_are_said_to_be(run: Cli, small: str, home: Path) -> None:
    first = compute(run, small, DAY)
    compute(run, small, DAY + timedelta(1))
    [manifest] = home.rglob(f"manifests/{first}.json")
    manifest.unlink()
    code, _, err = run(small, "show", "officers", "--as-of", str(DAY), "--revision", "risk_score=2")
    assert (code, "are no longer kept" in err) == (1, True)


def test_a_notebook_asks_for_both() -> None:
    book = lm.Book.sample()
    both = lm.compute(book, "risk_score", "dqi", by="branch", revision=2)
    assert both.collect_schema() == both.collect().schema
    second = lm.Policy(revisions={name: {2: support.SAMPLE_DAY} for name in ("risk_score", "dqi")})
    alone = lm.compute(lm.Book.sample(policy=second), "risk_score", "dqi", by="branch").collect()
    assert both.collect().select("risk_score_r2", "risk_band_r2", "dqi_r2", "dqi_band_r2").rows() == (
        alone.select("risk_score", "risk_band", "dqi", "dqi_band").rows()
    )
    mixed = lm.compute(book, "fimr", by="branch", revision={"risk_score": 2, "dqi": 1}).collect()
    assert mixed["dqi_r1"].to_list() == both.collect()["dqi"].to_list()
    with pytest.raises(UsageError, match="fimr has no revision 2"):
        lm.compute(book, "fimr", revision=2)


def test_verify_holds_a_revision_to_the_second_engine(run: Cli, small: str) -> None:
    compute(run, small, DAY, "--policy", "second.toml")
    code, out, _ = run(small, "verify")
    assert code == 0, out
    told(small, "UPDATE officer_metrics_daily SET days_since_repayment = 1 WHERE officer_id = 'O1'")
    assert run(small, "verify")[0] != 0
