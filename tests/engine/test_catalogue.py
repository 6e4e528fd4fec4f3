import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from loanmetrics import reference
from loanmetrics.engine import catalogue as catalogue_module
from loanmetrics.engine import metrics as folder
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, derived_columns, everything, later_columns, load
from loanmetrics.engine.history import columns
from loanmetrics.engine.measures import LOAN_COLUMNS
from loanmetrics.engine.metric import Example, Measure, Metric, names_in, ratio
from loanmetrics.engine.run import half_away
from loanmetrics.engine.state import channels, open_shard
from loanmetrics.errors import UsageError
from loanmetrics.policy import Policy
from tests import oracle, support

EVERY = [metric for revisions in load().revisions.values() for metric in revisions]
EXAMPLES = [(metric, example) for metric in EVERY for example in metric.examples]
SECOND = Policy(revisions={"risk_score": {2: date(2026, 10, 1)}})
NEW_METRIC = """
from loanmetrics.engine.metric import Bands, Measure, Metric, ratio

METRIC = Metric(
    name="deep_share",
    title="Deep arrears",
    formula=ratio("deep_count", "active_loans"),
    unit="ratio",
    about="Share of loans more than 45 days past due.",
    bands=Bands("<=", (("Green", 0.1),), "Flag"),
    measures=(Measure("deep_count", "CASE WHEN dpd > 45 THEN 1 ELSE 0 END", "Loans deep in arrears.", unit="count"),),
)
"""


@pytest.fixture
def new_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "deep_share.py").write_text(NEW_METRIC)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    yield
    sys.modules.pop(f"{folder.__name__}.deep_share", None)


def _given(example: Example, metric: Metric) -> pl.DataFrame:
    return pl.DataFrame({name: [_typed(example.given.get(name))] for name in metric.needs})


def _typed(value: float | bool | None) -> float | bool | None:
    return value if value is None or isinstance(value, bool) else float(value)


@pytest.mark.parametrize(("metric", "example"), EXAMPLES, ids=lambda item: getattr(item, "name", ""))
def test_worked_example_holds_in_both_engines(metric: Metric, example: Example) -> None:
    given = _given(example, metric).with_columns(pl.col(pl.Null).cast(pl.Float64))
    rounding = half_away if metric.rounded else (lambda value: value)
    ours = given.select(rounding(pl.sql_expr(metric.formula).cast(pl.Float64))).item()
    referee = duckdb.execute(f"SELECT CAST({metric.formula} AS DOUBLE) FROM given").fetchall()[0][0]
    assert ours == (None if example.value is None else pytest.approx(example.value, abs=1e-12))
    raw = given.select(pl.sql_expr(metric.formula).cast(pl.Float64)).item()
    assert referee == raw


def test_every_metric_has_an_example() -> None:
    assert [(metric.name, metric.revision) for metric in EVERY if not metric.examples] == []


@pytest.mark.parametrize("policy", [Policy(), SECOND], ids=["first revisions", "later revisions"])
def test_the_oracle_knows_every_measure_and_metric(policy: Policy) -> None:
    catalogue, known = load(policy), oracle.measured(policy)
    figures = oracle.metrics(dict.fromkeys(known, 0), policy, support.SAMPLE_DAY)
    assert set(catalogue.measures) - set(known) == set(), "tests/oracle.py: MEASURES, and who sums them"
    bands = {f"{metric.name}_band" for metric in catalogue.metrics.values() if metric.bands}
    assert {*catalogue.metrics, *bands} - set(figures) == set(), "tests/oracle.py: exact_ratios, and bands"


@pytest.mark.parametrize(
    "formula",
    [item.formula for item in EVERY] + [item.sql for item in everything().measures.values()],
)
def test_formulas_keep_to_what_both_engines_share(formula: str) -> None:
    assert not any(word in formula.upper() for word in ("ROUND", "//", "%", "FLOOR", "CEIL"))


def test_people_read_titles_and_no_names() -> None:
    catalogue = everything()
    titles = [*catalogue.titles.values(), *(term.title for metric in EVERY for term in metric.terms)]
    assert all(title[:1].isupper() and "_" not in title for title in titles)
    assert len(set(catalogue.titles.values())) == len(catalogue.titles)
    shares = [term.share for metric in EVERY for term in metric.terms]
    assert None not in map(catalogue.in_words, shares)
    words = [catalogue.in_words(metric.formula) for metric in EVERY]
    assert sum(told is not None for told in words) > len(words) / 2
    assert not any("_" in told for told in words if told)


def test_bands_partition_the_line() -> None:
    for metric in EVERY:
        if metric.bands:
            edges = [limit for _, limit in metric.bands.limits]
            assert edges == sorted(edges, reverse=metric.bands.comparison == ">=")
            assert metric.bands.of(None) == "n/a"
            assert {metric.bands.of(edge) for edge in edges} == {name for name, _ in metric.bands.limits}


@pytest.mark.usefixtures("new_metric")
def test_a_dropped_file_is_a_metric_everywhere() -> None:
    import loanmetrics as lm

    assert ("deep_share", "ratio") in derived_columns() and ("deep_count", "bigint") in derived_columns()
    assert ("deep_share_band", "text") in derived_columns()
    assert "### deep_share" in reference.markdown(everything())
    assert "deep_share" in lm.metrics()["name"]
    figures = lm.compute(lm.Book.sample(), "deep_share", "deep_count", by="book").collect()
    assert figures["deep_count"].item() > 0 and figures["deep_share_band"].item() == "Flag"


def test_a_metric_in_need_of_the_unknown_is_refused_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(
        NEW_METRIC.replace('"active_loans"', '"active_loan"').replace("deep_share", "broken")
    )
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    with pytest.raises(UsageError, match="did you mean active_loans"):
        load()
    sys.modules.pop(f"{folder.__name__}.broken", None)


def test_a_measure_of_a_column_that_no_loan_has_is_refused_with_a_hint() -> None:
    measure = Measure("late_balance", "CASE WHEN dpd > 1 THEN outstandig ELSE 0 END", "", unit="money")
    metric = Metric(
        "late", "Late", ratio("late_balance", "total_portfolio"), "ratio", "", measures=(measure,)
    )
    with pytest.raises(UsageError, match=r"reads outstandig, which no loan has \(did you mean outstanding"):
        load(also=[metric])


def test_every_column_that_a_measure_may_read_is_there_today_and_in_the_past() -> None:
    book = Book(support.sample_facts(), support.SAMPLE_DAY)
    frame = open_shard(book.facts.shards[0], book, channels(book)).frame()
    assert set(LOAN_COLUMNS) == set(frame.columns) - {"cell"}
    assert set(LOAN_COLUMNS) == {*columns.DPD, *columns.STEPS, *columns.SUMS, *columns.RAMPS} - {"cell"}


def test_two_metrics_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "again.py").write_text(NEW_METRIC.replace("deep_share", "fimr"))
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    with pytest.raises(UsageError, match="share a name"):
        load()
    sys.modules.pop(f"{folder.__name__}.again", None)


def test_metrics_in_a_circle_are_refused() -> None:
    one = Metric("one", "One", "two", "ratio", "")
    two = Metric("two", "Two", "one", "ratio", "")
    with pytest.raises(UsageError, match="circle"):
        catalogue_module._ordered({"one": one, "two": two}, {})


def test_the_generated_page_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text() == reference.markdown(everything()), "run: make fresh"


def test_names_of_policy_reach_formulas() -> None:
    used = {need for metric in load().metrics.values() for need in metric.needs if need.startswith("policy_")}
    assert used <= {f"policy_{name}" for name in Policy.__struct_fields__} and used


def test_a_policy_says_which_revision_counts_on_a_day() -> None:
    before, since = load(SECOND, date(2026, 9, 30)), load(SECOND, date(2026, 10, 1))
    assert [it.metrics["risk_score"].revision for it in (load(), before, since)] == [1, 1, 2]
    assert before.metrics == load().metrics and before.on(SECOND, date(2026, 10, 1)).metrics == since.metrics
    later = {name for name, _ in later_columns()}
    assert later and later.isdisjoint(load().measures)
    assert before.measures.keys() == since.measures.keys() == load().measures.keys() | later
    assert [metric.revision for metric in load().revisions["fimr"]] == [1]


def test_every_revision_has_its_columns_in_the_tables() -> None:
    assert set(load(SECOND).columns) <= set(derived_columns())
    assert set(later_columns()) <= set(derived_columns())


def test_a_revision_that_is_not_there_is_refused_with_a_hint() -> None:
    begin = date(2026, 10, 1)
    for revisions, message in (
        ({"risk_scor": {2: begin}}, "did you mean risk_score"),
        ({"fimr": {2: begin}}, "known: dqi, risk_score"),
        ({"dqi": {3: begin}}, "dqi has no revision 3"),
    ):
        with pytest.raises(UsageError, match=message):
            load(Policy(revisions=revisions))


REVISION_APART = (
    NEW_METRIC.replace("METRIC = Metric(", "FIRST = Metric(") + "METRICS = (FIRST, FIRST.revised(3))"
)


def test_revisions_are_numbered_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep_share.py").write_text(REVISION_APART)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    with pytest.raises(UsageError, match="numbered from 1 on"):
        load()
    sys.modules.pop(f"{folder.__name__}.deep_share", None)


def test_measures_of_names_what_lies_beneath() -> None:
    catalogue: Catalogue = load()
    assert set(catalogue.measures_of("porr")) == {"overdue_15d_amount", "total_portfolio"}
    assert set(catalogue.measures_of("risk_score")) < set(catalogue.measures_of("dqi"))
    with pytest.raises(UsageError, match="did you mean fimr"):
        catalogue.measures_of("fmir")


def test_names_in_skips_sql_words() -> None:
    assert names_in("CASE WHEN a > 0 THEN COALESCE(b, 0) END") == ("a", "b")
