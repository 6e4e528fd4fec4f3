"""What ``show`` prints is what is published, in every format, filtered and sorted."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.errors import GateError
from loanmetrics.jobs.catalogue import kinds
from loanmetrics.store.publish import read_branches, read_officers
from loanmetrics.store.runs import fail, start
from loanmetrics.store.session import connect
from loanmetrics.tables import UNASSIGNED
from loanmetrics.testing import Databases
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import asked, told

WHAT = ("officers", "branches")
Published = Callable[[str], pl.DataFrame]


@pytest.fixture
def sample(published_sample: str) -> str:
    """Nothing here writes, so all tests may share one database."""
    return published_sample


@pytest.fixture
def published(sample: str) -> Published:
    """Officers or branches as stored, money in units."""

    def read(what: str) -> pl.DataFrame:
        with connect(sample) as connection:
            rows = (read_officers if what == "officers" else read_branches)(connection)
        money = [name for name in rows.columns if kinds().get(name) == "money"]
        return rows.with_columns((pl.col(money).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(38, 2)))

    return read


@pytest.mark.parametrize("what", WHAT)
def test_parquet_is_exact(run: Cli, sample: str, tmp_path: Path, published: Published, what: str) -> None:
    assert run(sample, "show", what, "--output", "out.parquet") == (0, "", "")
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), published(what), check_exact=True)


@pytest.mark.parametrize("what", WHAT)
def test_csv_is_exact(run: Cli, sample: str, published: Published, what: str) -> None:
    code, out, err = run(sample, "show", what, "--format", "csv")
    assert (code, err) == (0, "")
    expected = published(what).drop("calculated_at")
    found = pl.read_csv(io.StringIO(out), schema_overrides=expected.schema).drop("calculated_at")
    assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("what", WHAT)
def test_files_say_what_they_are(run: Cli, sample: str, tmp_path: Path, what: str) -> None:
    words = (
        "show",
        what,
        "--branch",
        "Ikeja",
        "--columns",
        f"{'officer_id' if what == 'officers' else 'branch'},fimr",
    )
    for suffix in ("csv", "parquet"):
        assert run(sample, *words, "--output", f"out.{suffix}") == (0, "", "")
    [(run_id, hash_)] = asked(sample, "SELECT run_id, policy_hash FROM metric_calculation_log")
    told = json.loads((tmp_path / "out.csv-metadata.json").read_text())
    assert (told["url"], told["dc:title"]) == ("out.csv", what.title())
    assert (told["loanmetrics:run_id"], told["loanmetrics:policy_hash"]) == (run_id, hash_)
    assert told["loanmetrics:as_of"] == str(support.SAMPLE_DAY)
    assert told["loanmetrics:filters"] == {"branch": "Ikeja"}
    first, fimr = told["tableSchema"]["columns"]
    assert (fimr["name"], fimr["datatype"]) == ("fimr", "double")
    assert fimr["dc:description"].startswith("Share of recent loans whose first installment was missed")
    metadata = pl.read_parquet_metadata(tmp_path / "out.parquet")
    assert metadata["loanmetrics.run_id"] == run_id
    assert json.loads(metadata["loanmetrics.filters"]) == {"branch": "Ikeja"}
    assert json.loads(metadata["loanmetrics.columns"])[1]["about"] == fimr["dc:description"]
    assert pl.read_csv(tmp_path / "out.csv").columns == [first["name"], "fimr"]


@pytest.mark.parametrize("what", WHAT)
def test_json_is_exact(run: Cli, sample: str, published: Published, what: str) -> None:
    code, out, err = run(sample, "show", what, "--format", "json")
    assert (code, err) == (0, "")
    expected = published(what).drop("calculated_at", "calculation_date")
    found = pl.DataFrame(json.loads(out), infer_schema_length=None).select(expected.columns)
    assert_frame_equal(found.cast(expected.schema), expected, check_exact=True)


@pytest.mark.parametrize("what", WHAT)
def test_a_table_shows_the_same(run: Cli, sample: str, published: Published, what: str) -> None:
    code, out, _ = run(sample, "show", what, "--columns", "branch,active_loans,total_portfolio,fimr")
    assert code == 0
    rows = published(what).select(
        "branch",
        pl.col("active_loans").map_elements("{:,}".format, pl.String),
        pl.col("total_portfolio").map_elements("{:,.2f}".format, pl.String),
        pl.col("fimr").map_elements(lambda value: f"{value * 100:,.1f} %", pl.String).fill_null("-"),
    )
    assert [line.split() for line in out.splitlines()[1:]] == [" ".join(row).split() for row in rows.rows()]


def shown(run: Cli, database: str, *words: str) -> pl.DataFrame:
    code, out, err = run(database, "show", *words, "--format", "csv")
    assert (code, err) == (0, "")
    return pl.read_csv(io.StringIO(out), infer_schema_length=None)


def test_a_branch_and_a_band(run: Cli, sample: str, published: Published) -> None:
    everyone = published("officers")
    branch, band = everyone.filter(pl.col("risk_band") != "n/a").select("branch", "risk_band").row(0)
    for words, wanted in (
        (["--branch", branch], pl.col("branch") == branch),
        (["--band", band], pl.col("risk_band") == band),
        (["--branch", branch, "--band", band], (pl.col("branch") == branch) & (pl.col("risk_band") == band)),
    ):
        found = shown(run, sample, "officers", *words)
        assert found["officer_id"].to_list() == everyone.filter(wanted)["officer_id"].to_list() != []


def test_sorting_puts_the_unknown_last(run: Cli, sample: str, published: Published) -> None:
    for sort, descending in (("fimr", False), ("-fimr", True)):
        rates = shown(run, sample, "officers", "--sort", sort)["fimr"]
        known = rates.drop_nulls().sort(descending=descending).to_list()
        assert 0 < len(known) < len(rates)
        assert rates.to_list() == [*known, *([None] * rates.null_count())]
    found = shown(run, sample, "officers", "--sort", "branch,-total_portfolio")
    expected = published("officers").sort("branch", "total_portfolio", descending=[False, True])
    assert found["officer_id"].to_list() == expected["officer_id"].to_list()


def test_the_worst_come_first(run: Cli, sample: str, published: Published) -> None:
    scores = sorted(published("officers").filter(pl.col("rank").is_not_null())["risk_score"])
    assert shown(run, sample, "officers", "--worst", "5")["risk_score"].to_list() == scores[:5]


@pytest.fixture
def own(databases: Databases, published_sample: str) -> Iterator[str]:
    """A copy to write to."""
    with databases._copy_of(str(conninfo_to_dict(published_sample)["dbname"])) as url:
        yield url


def test_nobody_is_not_among_the_worst(run: Cli, own: str) -> None:
    told(own, "UPDATE loans SET officer_id = NULL WHERE officer_id = 'O0032'")
    assert run(own, "compute", "--as-of", str(support.SAMPLE_DAY))[0] == 0
    lowest = shown(run, own, "officers", "--sort", "risk_score").row(0, named=True)
    assert (lowest["officer_id"], lowest["rank"] is None) == (UNASSIGNED, False)
    code, out, err = run(own, "show", "officers", "--worst", "3", "--columns", "officer_id")
    assert (code, out.split()) == (0, ["officer_id", "O0038", "O0012", "O0026"])
    assert "left out, though as low: 1 with too few loans for a rank, or no officer" in err


def test_of_a_lender_too_small_for_ranks_everybody_may_be_among_the_worst(run: Cli, small: str) -> None:
    assert run(small, "compute", "--as-of", "2026-03-16")[0] == 0
    assert shown(run, small, "officers", "--worst", "2")["rank"].to_list() == [None, None]


def test_the_worst_may_be_sorted_otherwise(run: Cli, sample: str) -> None:
    worst = shown(run, sample, "officers", "--worst", "5")
    found = shown(run, sample, "officers", "--worst", "5", "--sort", "-total_portfolio")
    assert (
        found["officer_id"].to_list()
        == worst.sort("total_portfolio", descending=True)["officer_id"].to_list()
    )
    assert found["officer_id"].to_list() != worst["officer_id"].to_list()


def test_why_is_shown_beside_named_columns(run: Cli, sample: str) -> None:
    for columns in ("officer_id", "officer_id,why"):
        found = shown(run, sample, "officers", "--worst", "2", "--why", "--columns", columns)
        assert found.columns == ["officer_id", "why"]
        assert found["why"].str.contains(r"^\w+ -\d").all()


def test_the_day_may_be_named(run: Cli, sample: str) -> None:
    named = shown(run, sample, "branches", "--as-of", str(support.SAMPLE_DAY))
    assert_frame_equal(named, shown(run, sample, "branches"))


REFUSED = [
    (("--branch", "Ikeeja"), "error: unknown branch: Ikeeja\nhint: "),
    (("--band", "Gren"), "error: unknown risk band: Gren\nhint: did you mean Green?\n"),
    (("--sort", "fimmr"), "error: unknown column: fimmr\nhint: did you mean fimr"),
    (("--columns", "fimmr"), "error: unknown column: fimmr\nhint: did you mean fimr"),
    (
        ("--as-of", "2020-02-29"),
        "error: nothing is published for 2020-02-29\nhint: run: loanmetrics compute --as-of 2020-02-29\n",
    ),
    (
        ("--output", "out.txt"),
        "error: a table goes to the terminal\nhint: name the file .csv, .json or .parquet\n",
    ),
]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_is_not_there_is_refused_with_a_hint(
    run: Cli, sample: str, what: str, words: tuple[str, ...], said: str
) -> None:
    code, out, err = run(sample, "show", what, *words)
    assert (code, out) == (2, "")
    assert err.startswith(said)


def test_runs_are_listed_newest_first(run: Cli, sample: str) -> None:
    code, out, _ = run(sample, "runs")
    assert code == 0
    header, row = (line.split() for line in out.splitlines())
    assert header == ["run_id", "kind", "as_of", "status", "took", "rows"]
    assert row[1:4] == ["day", str(support.SAMPLE_DAY), "Completed"]


def test_a_failed_run_says_why_below_its_row(run: Cli, small: str) -> None:
    with connect(small) as connection:
        this = start(connection, "day", DAY, engine_version="0", policy_hash="0")
        fail(connection, this, GateError("loans: 12 of 500 rows held back (orphan 12)"))
    _, out, _ = run(small, "runs")
    _, row, reason = out.splitlines()
    assert row.split()[:4] == [this.run_id, "day", str(DAY), "Failed"]
    assert reason == "    loans: 12 of 500 rows held back (orphan 12)"
