"""One file dropped into the catalogue is a metric in the pipeline, the tables, the command line and the docs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loanmetrics import reference
from loanmetrics.engine import catalogue
from loanmetrics.engine import metrics as folder
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import DERIVED, asked, rows, statuses

COMPUTE = ("compute", "--as-of", str(DAY))
NAME = "second_week_share"
FILE = f"""
from loanmetrics.engine.metric import Bands, Measure, Metric, ratio

METRIC = Metric(
    name="{NAME}",
    title="Second week share",
    formula=ratio("second_week_balance", "total_portfolio"),
    unit="ratio",
    about="Share of the portfolio that is 8 to 14 days past due.",
    bands=Bands("<=", (("Green", 0.1),), "Flag"),
    measures=(
        Measure(
            "second_week_balance",
            "CASE WHEN dpd BETWEEN 8 AND 14 THEN outstanding ELSE 0 END",
            "Owed by loans 8 to 14 days past due.",
            unit="money",
        ),
    ),
)
"""
COLUMNS = {"second_week_balance": "numeric", NAME: "double precision", f"{NAME}_band": "text"}


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    place = tmp_path / "metrics"
    place.mkdir()
    (place / f"{NAME}.py").write_text(FILE)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(place)])
    yield
    sys.modules.pop(f"{folder.__name__}.{NAME}", None)


def columns(url: str, table: str) -> dict[str, str]:
    listed = ", ".join(f"'{name}'" for name in COLUMNS)
    return dict(
        asked(
            url,
            "SELECT column_name, data_type FROM information_schema.columns"
            f" WHERE table_name = '{table}' AND column_name IN ({listed})",
        )
    )


def test_nobody_knows_it_before(run: Cli, small: str) -> None:
    assert columns(small, DERIVED[0]) == {}
    assert run(small, "metrics", NAME)[0] == 2


@pytest.mark.usefixtures("dropped")
def test_a_database_without_its_columns_is_left_as_it_is(run: Cli, small: str) -> None:
    code, _, err = run(small, *COMPUTE)
    assert code == 1
    assert err == (
        f"error: table officer_metrics_daily has no column {', '.join(COLUMNS)}\n"
        "hint: run: loanmetrics migrate\n"
    )
    assert rows(small) == [[], [], []]
    assert statuses(small)[0][0] == "Failed"


@pytest.mark.usefixtures("dropped")
def test_it_is_everywhere_after_a_migration(run: Cli, small: str, tmp_path: Path) -> None:
    code, out, _ = run(small, "migrate")
    assert code == 0
    assert out.endswith("officer_metrics_daily: 3 columns\nbranch_metrics_daily: 3 columns\n")
    for table in DERIVED[:2]:
        assert columns(small, table) == COLUMNS

    assert f"\n{NAME} " in run(small, "metrics")[1]
    assert "second_week_balance / NULLIF(total_portfolio, 0)" in run(small, "metrics", NAME)[1]
    assert f"### {NAME}" in reference.markdown(catalogue.everything())

    changes = tmp_path / "changes.csv"
    assert run(small, *COMPUTE, "--dry-run", "--output", str(changes))[0] == 0
    assert f",{NAME}," in changes.read_text()
    assert run(small, *COMPUTE)[0] == 0
    code, out, _ = run(
        small, "show", "branches", "--columns", f"branch,{','.join(COLUMNS)}", "--format", "json"
    )
    assert code == 0
    assert json.loads(out) == [
        {"branch": "Ikeja", "second_week_balance": "600.00", NAME: 600 / 2200, f"{NAME}_band": "Flag"},
        {"branch": "Yaba", "second_week_balance": "900.00", NAME: 1.0, f"{NAME}_band": "Flag"},
    ]

    code, out, _ = run(small, "verify")
    assert code == 0
    assert "DuckDB does not know second_week_balance: not compared" in out
