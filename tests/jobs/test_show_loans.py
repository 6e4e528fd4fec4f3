"""``show loans`` prints the loans behind the figures, phone numbers masked."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.testing import Databases
from tests.jobs.conftest import Cli
from tests.jobs.lender import Lender, lender_at
from tests.jobs.stored import asked
from tests.support import SAMPLE_DAY


@pytest.fixture(scope="module")
def lender(
    databases: Databases, published_sample: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lender]:
    with (
        databases._copy_of(str(conninfo_to_dict(published_sample)["dbname"])) as url,
        lender_at(url, tmp_path_factory.mktemp("home")) as made,
    ):
        made.compute(SAMPLE_DAY)
        yield made


@pytest.fixture
def home(lender: Lender) -> Path:
    """Where the facts are."""
    return lender.settings.home


def shown(run: Cli, lender: Lender, *words: str) -> pl.DataFrame:
    code, out, err = run(lender.url, "show", "loans", *words, "--format", "csv")
    assert (code, err) == (0, "")
    return pl.read_csv(io.StringIO(out), infer_schema_length=None)


def test_every_loan_with_names_and_masked_phones(run: Cli, lender: Lender, tmp_path: Path) -> None:
    assert run(lender.url, "show", "loans", "--sort", "loan_id", "--output", "out.parquet") == (0, "", "")
    found = pl.read_parquet(tmp_path / "out.parquet").with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    )
    rows = lender.rows(SAMPLE_DAY)
    money = [name for name, kind in rows.schema.items() if kind == pl.Int64()]
    units = rows.with_columns((pl.col(money).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(38, 2)))
    assert_frame_equal(found.select(rows.columns), units, check_exact=True)
    known = asked(
        lender.url,
        "SELECT customer_name, '****' || right(customer_phone, 4), o.officer_name"
        " FROM loans LEFT JOIN officers o USING (officer_id) WHERE loan_id IN (SELECT loan_id FROM loan_state)"
        ' ORDER BY loan_id COLLATE "C"',
    )
    assert found.select("customer_name", "customer_phone", "officer_name").rows() == known


@pytest.mark.parametrize(("tag", "column"), [("fimr", "fimr_tagged"), ("early", "early_indicator_tagged")])
def test_tagged_loans_of_some(run: Cli, lender: Lender, tag: str, column: str) -> None:
    found = shown(
        run, lender, "--tagged", tag, "--region", "Lagos", "--officer", "O0001", "--officer", "O0003"
    )
    rows = lender.rows(SAMPLE_DAY).filter(
        pl.col(column), pl.col("officer_id").is_in(["O0001", "O0003"]), pl.col("region") == "Lagos"
    )
    assert sorted(found["loan_id"]) == rows["loan_id"].to_list() != []


def test_the_riskiest_come_first(run: Cli, lender: Lender) -> None:
    scores = lender.rows(SAMPLE_DAY)["loan_risk_score"].drop_nulls().sort(descending=True)
    code, out, err = run(lender.url, "show", "loans", "--limit", "7", "--format", "csv")
    assert (code, err) == (0, "6,046 more loans: --limit N or --output FILE\n")
    assert pl.read_csv(io.StringIO(out))["loan_risk_score"].to_list() == scores.head(7).to_list()


def test_a_metric_shows_what_each_loan_adds(run: Cli, lender: Lender) -> None:
    found = shown(run, lender, "--metric", "d06_slippage", "--branch", "Ikeja")
    expected = asked(
        lender.url,
        "SELECT dpd_1to6_balance, amount_due_7d FROM branch_metrics_daily WHERE branch = 'Ikeja'",
    )
    measures = ("dpd_1to6_balance", "amount_due_7d")
    totals = found.select(pl.col(measures).cast(pl.Decimal(38, 2)).sum()).row(0)
    assert [totals] == expected
    assert all(total > Decimal(0) for total in totals)
    assert found["customer_name"].null_count() == 0
    assert found["dpd_1to6_balance"].is_sorted(descending=True)


def test_a_table_shows_the_first_fifty_and_what_they_add(run: Cli, lender: Lender) -> None:
    code, out, err = run(lender.url, "show", "loans", "--metric", "fimr", "--as-of", "2026-05-31")
    assert code == 0
    header, *lines = (line.split() for line in out.splitlines())
    assert header[:3] == ["loan_id", "customer_name", "customer_phone"]
    assert header[-2:] == ["first_miss_count", "disbursed_count"]
    assert len(lines) == 50
    assert all(line[-2:] == ["1", "1"] for line in lines)
    assert "more loans: --limit N or --output FILE" in err


REFUSED = [
    (("--branch", "Ikejaa"), "error: unknown branch: Ikejaa\nhint: did you mean Ikeja?\n"),
    (("--officer", "O0O01"), "error: unknown officer: O0O01\nhint: did you mean O"),
    (("--region", "Lagoss"), "error: unknown region: Lagoss\nhint: did you mean Lagos?\n"),
    (("--metric", "fimmr"), "error: unknown metric: fimmr\nhint: did you mean fimr"),
    (("--sort", "fimmr_tagged"), "error: unknown column: fimmr_tagged\nhint: did you mean fimr_tagged"),
    (("--as-of", "1969-12-31"), "error: 1969-12-31 cannot be computed\n"),
    (("--as-of", "2199-12-31"), "error: 2199-12-31 cannot be computed\n"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_is_not_there_is_refused_with_a_hint(
    run: Cli, lender: Lender, words: tuple[str, ...], said: str
) -> None:
    code, out, err = run(lender.url, "show", "loans", *words)
    assert (code, out) == (2, "")
    assert err.startswith(said)


def test_nothing_published_says_to_compute(run: Cli, database: str) -> None:
    code, out, err = run(database, "show", "loans")
    assert (code, out) == (2, "")
    assert err == "error: nothing is published\nhint: run: loanmetrics compute\n"
