"""The notebook API: one book from any source, its figures, and the loans behind them."""

import doctest
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import loanmetrics as lm
from loanmetrics import cohorts, explanation, formatting, notebook, reviewing
from loanmetrics.display import show
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.run import GROUPS
from loanmetrics.errors import DataError, StoreError, UsageError
from loanmetrics.facts import prepare, raw
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.writing import write
from loanmetrics.notebook import By
from tests.support import SAMPLE, SAMPLE_DAY

CATALOGUE = load()
TABLES = ("officers", "loans", "loan_schedule", "repayments", "holidays")
GROUPINGS: tuple[By, ...] = ("officer", "branch", "region", "book")
BRANCHES = 2
ONE_LOAN = pl.DataFrame({"loan_id": ["L1"], "loan_amount": [1], "disbursement_date": [SAMPLE_DAY]})


@cache
def tables() -> dict[str, pl.DataFrame]:
    """Some branches of the sample, with their mess: quick to ask again and again."""
    whole = {name: pl.read_parquet(SAMPLE / f"{name}.parquet") for name in TABLES}
    places = whole["loans"].select("region", "branch").unique().sort("region", "branch").head(BRANCHES)
    loans = whole["loans"].join(places, on=["region", "branch"], how="semi", nulls_equal=True)
    elsewhere = whole["loans"].join(loans, on="loan_id", how="anti")
    children = {
        name: whole[name].join(elsewhere, on="loan_id", how="anti")
        for name in ("loan_schedule", "repayments")
    }
    return {**whole, "loans": loans, **children}


def parquet_folder(folder: Path) -> Path:
    for name, table in tables().items():
        table.write_parquet(folder / f"{name}.parquet")
    return folder


def csv_folder(folder: Path) -> Path:
    for name, table in tables().items():
        table.write_csv(folder / f"{name}.csv")
    return folder


def facts_folder(folder: Path) -> Path:
    with raw.connect() as connection:
        raw.from_frames(connection, tables())
        intake = prepare.prepare(connection, lm.Policy())
        lake = Lake(folder)
        lake.point_to(write(connection, lake, "run", lm.Policy(), intake, 700, engine="test"))
    return folder


SOURCES: dict[str, Callable[[Path], Any]] = {
    "folder of Parquet": parquet_folder,
    "its name": lambda folder: str(parquet_folder(folder)),
    "folder of CSV": csv_folder,
    "folder of facts": facts_folder,
    "lazy frames": lambda _: {name: table.lazy() for name, table in tables().items()},
    "Arrow tables": lambda _: {name: table.to_arrow() for name, table in tables().items()},
}


@pytest.fixture(scope="module")
def book() -> lm.Book:
    return lm.Book.sample()


@pytest.fixture(scope="module")
def part() -> lm.Book:
    """The tables above, as Polars frames."""
    return lm.Book.scan(tables(), as_of=SAMPLE_DAY)


@pytest.mark.parametrize("source", SOURCES)
def test_a_book_is_the_same_from_any_source(part: lm.Book, tmp_path: Path, source: str) -> None:
    found = lm.Book.scan(SOURCES[source](tmp_path), as_of=SAMPLE_DAY)
    assert_frame_equal(figures(found, "officer"), figures(part, "officer"), check_exact=True)
    assert_frame_equal(figures(found, "branch"), figures(part, "branch"), check_exact=True)
    assert_frame_equal(lm.sql(found, "FROM loans"), lm.sql(part, "FROM loans"), check_exact=True)


def test_the_sample_is_its_folder(book: lm.Book) -> None:
    found = lm.Book.scan(SAMPLE, as_of=SAMPLE_DAY)
    assert_frame_equal(figures(found, "officer"), figures(book, "officer"), check_exact=True)


def figures(book: lm.Book, by: By) -> pl.DataFrame:
    return lm.compute(book, by=by).collect()


@pytest.mark.parametrize("by", GROUPINGS)
def test_figures_are_lazy_and_of_the_promised_shape(book: lm.Book, by: By) -> None:
    lazy = lm.compute(book, by=by)
    assert isinstance(lazy, pl.LazyFrame)
    found = lazy.collect()
    assert found.schema == lazy.collect_schema()
    assert found.select(GROUPS[by]).is_duplicated().sum() == 0
    assert set(CATALOGUE.measures) | set(CATALOGUE.metrics) <= set(found.columns)


@pytest.mark.parametrize("by", GROUPINGS)
def test_named_figures_come_with_their_bands_in_the_order_asked(book: lm.Book, by: By) -> None:
    found = lm.compute(book, "risk_score", "porr", "active_loans", "fimr", by=by).collect()
    assert found.columns == [
        *GROUPS[by],
        "risk_score",
        "risk_band",
        "porr",
        "active_loans",
        "fimr",
        "fimr_band",
    ]
    assert_frame_equal(found, figures(book, by).select(found.columns), check_exact=True)


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_grouping_sums_to_the_book(book: lm.Book, by: By) -> None:
    sums = [measure.name for measure in CATALOGUE.measures.values() if measure.kind == "sum"]
    assert_frame_equal(figures(book, by).select(pl.col(sums).sum()), figures(book, "book").select(sums))


def test_a_rank_is_an_officers(book: lm.Book) -> None:
    assert lm.compute(book, "rank").collect()["rank"].min() == 1
    with pytest.raises(UsageError, match=r"rank is a place among officers \(by=\"officer\"\)"):
        lm.compute(book, "rank", by="branch")


@pytest.mark.parametrize("name", [*CATALOGUE.measures, *CATALOGUE.metrics])
def test_the_loans_behind_a_figure_sum_exactly_to_it(part: lm.Book, name: str) -> None:
    behind = lm.loans(part, name).collect()
    formula = pl.col(name) if name in CATALOGUE.measures else lm.expr(name)
    for by in ("officer", "branch"):
        told = lm.compute(part, name, by=by).select(*GROUPS[by], name).collect()
        added = behind.group_by(GROUPS[by]).agg(lm.agg(name))
        again = added.select(*GROUPS[by], formula.cast(told.schema[name]))
        without = told.join(again, on=GROUPS[by], how="anti").filter(pl.col(name).cast(pl.Float64) != 0)
        assert without.is_empty()
        assert_frame_equal(
            again.sort(GROUPS[by]),
            told.join(again, on=GROUPS[by], how="semi").sort(GROUPS[by]),
            check_exact=True,
        )


def test_the_loans_of_one_place_are_those_of_the_whole(part: lm.Book) -> None:
    whole = lm.loans(part, "porr").collect()
    officer, region, branch = whole.select("officer_id", "region", "branch").row(0)
    for where in ({"officer_id": officer}, {"branch": branch}, {"region": region, "officer_id": officer}):
        found = lm.loans(part, "porr", **where)
        assert found.collect_schema() == whole.schema
        assert_frame_equal(found.collect(), whole.filter(**where))
    assert lm.loans(part, "porr", officer_id="nobody").collect().is_empty()


@pytest.mark.parametrize("by", GROUPINGS)
def test_sums_and_formulas_of_ones_own_are_the_figures(book: lm.Book, by: By) -> None:
    loans = lm.frame(book)
    sums = lm.agg(*CATALOGUE.metrics)
    grouped = loans.group_by(GROUPS[by]).agg(sums) if GROUPS[by] else loans.select(sums)
    banded = [metric.name for metric in CATALOGUE.metrics.values() if metric.bands]
    found = grouped.with_columns(lm.expr(name) for name in CATALOGUE.metrics)
    found = found.with_columns(lm.band(name) for name in banded).sort(GROUPS[by] or "fimr")
    told = (
        figures(book, by).join(found.collect(), on=GROUPS[by], how="semi")
        if GROUPS[by]
        else figures(book, by)
    )
    ours = found.cast({name: told.schema[name] for name in CATALOGUE.metrics}).collect()
    assert_frame_equal(ours, told.select(ours.columns), check_exact=True)


def test_a_formula_follows_the_policy(book: lm.Book) -> None:
    policy = lm.Policy(dqi_uses_channel_purity=False)
    told = lm.compute(lm.Book(book.facts, book.as_of, policy), "dqi", by="branch").select("dqi").collect()
    sums = lm.frame(book).group_by("region", "branch").agg(lm.agg("dqi")).sort("region", "branch")
    assert sums.select(lm.expr("dqi", policy).cast(pl.Int32)).collect().equals(told)
    assert not sums.select(lm.expr("dqi").cast(pl.Int32)).collect().equals(told)


def test_another_day_has_other_figures(book: lm.Book) -> None:
    before = book.on(date(2025, 12, 31))
    assert figures(before, "book")["active_loans"][0] < figures(book, "book")["active_loans"][0]
    assert_frame_equal(figures(before.on(SAMPLE_DAY), "branch"), figures(book, "branch"), check_exact=True)


@pytest.mark.parametrize(
    ("table", "by"),
    [("officers", "officer"), ("branches", "branch"), ("regions", "region"), ("book", "book")],
)
def test_sql_knows_every_grouping(book: lm.Book, table: str, by: By) -> None:
    found = lm.sql(book, f"SELECT * FROM {table}")
    assert_frame_equal(found.select(figures(book, by).columns), figures(book, by), check_exact=True)


def test_sql_joins_loans_with_figures(book: lm.Book) -> None:
    strangers = lm.sql(
        book,
        """
        SELECT branches.branch, total_portfolio FROM Branches JOIN (
            SELECT region, branch, sum(total_outstanding) AS owed FROM loans WHERE on_book GROUP BY ALL
        ) AS loans USING (region, branch) WHERE owed <> total_portfolio
        """,
    )
    assert strangers.is_empty()
    assert (
        lm.sql(book, "SELECT sum(active_loans) FROM cells").item() == figures(book, "book")["active_loans"][0]
    )


def test_a_book_shows_what_it_is(book: lm.Book) -> None:
    assert repr(book) == ("Book(6,053 loans disbursed by 2026-06-30, 44 officers, policy dd7c7cb93bcf25cf)")
    html = book._repr_html_()
    assert repr(book) in html
    assert "risk_score" in html
    empty = lm.Book.scan({}, as_of=SAMPLE_DAY)
    assert repr(empty).startswith("Book(0 loans")
    assert "<table" in empty._repr_html_()


def test_the_catalogue_is_a_frame() -> None:
    assert lm.metrics()["name"].to_list() == list(CATALOGUE.metrics)


@pytest.mark.parametrize(
    "module", [lm, notebook, cohorts, explanation, formatting, reviewing, show], ids=lambda it: it.__name__
)
def test_the_examples_hold(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0 == found.failed


MISTAKES: list[tuple[Callable[[lm.Book], object], type[Exception], str]] = [
    (lambda book: lm.compute(book, "fmir"), UsageError, "unknown metric: fmir (did you mean fimr?)"),
    (
        lambda book: lm.compute(book, by="offcer"),  # type: ignore[arg-type]
        UsageError,
        "unknown grouping: offcer (did you mean officer?)",
    ),
    (lambda book: lm.loans(book, "rol"), UsageError, "unknown metric: rol (did you mean roll"),
    (
        lambda book: lm.loans(book, "roll", brunch="Yaba"),
        UsageError,
        "unknown filter: brunch (did you mean branch?)",
    ),
    (lambda _: lm.agg("fmir"), UsageError, "unknown metric: fmir (did you mean fimr?)"),
    (lambda _: lm.expr("fmir"), UsageError, "unknown metric: fmir (did you mean fimr?)"),
    (lambda _: lm.band("porr"), UsageError, "porr has no bands (banded: "),
    (lambda book: lm.sql(book, "SELECT fmir FROM officers"), UsageError, "SQL: Binder Error"),
    (lambda book: lm.sql(book, "FROM offcers"), UsageError, "SQL: Catalog Error"),
    (lambda book: lm.sql(book, ""), UsageError, "SQL: the query asks for nothing"),
    (lambda _: scan("/nowhere"), UsageError, "/nowhere is no folder (give a folder,"),
    (lambda _: scan(Path(__file__).parent), UsageError, "holds no data files (looked for .parquet"),
    (lambda _: scan({"lons": pl.DataFrame()}), UsageError, "unknown table: lons (did you mean loans?)"),
    (
        lambda _: scan({"loans": pl.DataFrame({"loan_id": ["L1"]})}),
        DataError,
        "loans has no column loan_amount",
    ),
    (
        lambda _: scan({"loans": ONE_LOAN.with_columns(branch=pl.lit([["a"]]))}),
        DataError,
        "loans: column branch holds nested values",
    ),
    (lambda _: scan("postgresql:///x?host=/nowhere"), StoreError, "cannot connect to the database"),
    (lambda book: book.on(date(1969, 12, 31)), UsageError, "as-of day 1969-12-31 is out of range"),
    (lambda _: lm.frames, AttributeError, "has no attribute 'frames'"),
]


def scan(source: Any) -> lm.Book:
    return lm.Book.scan(source, as_of=SAMPLE_DAY)


@pytest.mark.parametrize(("mistake", "kind", "said"), MISTAKES, ids=[said for _, _, said in MISTAKES])
def test_a_mistake_is_answered_at_once(
    part: lm.Book, mistake: Callable[[lm.Book], object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as error:
        mistake(part)
    assert said in str(error.value)
    assert "\n\n" not in str(error.value)


def test_a_table_that_is_not_given_is_empty() -> None:
    lonely = lm.compute(scan({"loans": ONE_LOAN.with_columns(loan_term_days=30)}), by="book").collect()
    assert lonely.select("active_loans", "total_portfolio").row(0) == (1, 100)


@pytest.mark.parametrize("use", ["lm.Policy()", "dir(lm)"])
def test_nothing_heavy_is_imported_before_it_is_used(use: str) -> None:
    heavy = {"polars", "duckdb", "pyarrow", "psycopg", "numpy", "pandas", "rich"}
    script = f"import sys, loanmetrics as lm; {use}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
