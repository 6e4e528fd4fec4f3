"""A dry run writes nothing and says exactly what a real run then changes."""

from pathlib import Path
from typing import Any

import polars as pl

from loanmetrics.jobs.compute import compute, dry_run
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import DERIVED, LOG, rows, told

STAMPS = {"calculation_date", "run_id", "calculated_at"}
Figures = dict[tuple[str, str], Any]
CHANGES = {
    "a payment": "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'",
    "a new officer": "INSERT INTO officers (officer_id, officer_name) VALUES ('O9', 'New')",
    "an officer gone": "DELETE FROM officers WHERE officer_id = 'O3'",
    "a loan moved": "UPDATE loans SET officer_id = 'O3', region = 'North', branch = 'Kano' WHERE loan_id > 'L3'",
    "a renamed officer": "UPDATE officers SET officer_name = 'Ada, \"Eze\"' WHERE officer_id = 'O1'",
    "a late entry": "UPDATE repayments SET payment_method = 'Cash', payment_date = '2026-03-14',"
    " created_at = '2026-03-16 12:00Z' WHERE repayment_id = 'R4'",
}


def figures(url: str) -> tuple[Figures, dict[str, pl.DataType]]:
    """Every published figure by whose it is and its name, and the types."""
    found: Figures = {}
    types: dict[str, pl.DataType] = {}
    with connect(url) as connection:
        for table, key in zip(stored(connection, DAY), (["officer_id"], ["region", "branch"]), strict=True):
            types |= table.schema
            for row in table.iter_rows(named=True):
                whose = " / ".join(row[name] for name in key)
                found |= {(whose, name): row[name] for name in table.columns if name not in {*key, *STAMPS}}
    return found, types


def typed(changes: pl.DataFrame, types: dict[str, pl.DataType]) -> dict[tuple[str, str], tuple[Any, Any]]:
    return {
        (row["of"], row["figure"]): (
            as_type(row["stored"], types[row["figure"]]),
            as_type(row["computed"], types[row["figure"]]),
        )
        for row in changes.iter_rows(named=True)
    }


def as_type(text: str | None, kind: pl.DataType) -> Any:
    return (
        {"true": True, "false": False}.get(text or "")
        if kind == pl.Boolean
        else pl.Series([text]).cast(kind)[0]
    )


def test_what_it_says_is_what_a_run_changes(small: str, home: Path) -> None:
    compute(Settings(database_url=small, home=home), DAY, Policy())
    for change in CHANGES.values():
        told(small, change)
        assert_foretold(small, home)


def assert_foretold(small: str, home: Path) -> None:
    settings = Settings(database_url=small, home=home)
    before, _ = figures(small)
    untouched = (rows(small, *DERIVED, LOG), sorted(home.rglob("*")))
    made = dry_run(settings, DAY, Policy())
    assert (rows(small, *DERIVED, LOG), sorted(home.rglob("*"))) == untouched

    compute(settings, DAY, Policy())
    after, types = figures(small)
    differing = {
        place: (before.get(place), after.get(place))
        for place in before | after
        if before.get(place) != after.get(place)
    }
    assert made.changes is not None
    assert typed(made.changes, types) == differing
    assert differing


def test_before_anything_is_published_all_is_new(small: str, home: Path) -> None:
    settings = Settings(database_url=small, home=home)
    made = dry_run(settings, DAY, Policy())
    compute(settings, DAY, Policy())
    after, types = figures(small)
    assert made.changes is not None
    assert typed(made.changes, types) == {
        place: (None, value) for place, value in after.items() if value is not None
    }


def test_another_day_is_compared_with_that_day(sample: str, home: Path) -> None:
    settings = Settings(database_url=sample, home=home)
    same = dry_run(settings, support.SAMPLE_DAY, Policy()).changes
    assert same is not None
    assert same.is_empty()
    other = dry_run(settings, DAY, Policy()).changes
    assert other is not None
    assert other["stored"].null_count() == len(other) > 0


def test_it_reads_well(run: Cli, small: str) -> None:
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    told(small, CHANGES["a late entry"])
    code, out, err = run(small, "compute", "--as-of", str(DAY), "--dry-run")
    assert (code, err) == (0, "")
    assert "would publish 3 officers and 2 branches from 5 loans" in out
    shown = [line.split() for line in out.splitlines()]
    assert ["O2", "float_gap_count", "0", "1"] in shown
    assert ["O2", "had_float_gap", "no", "yes"] in shown
    assert ["West", "/", "Yaba", "float_gap_share", "0.0", "%", "100.0", "%"] in shown


def test_a_long_list_of_changes_is_summed_up(run: Cli, sample: str, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("roll_days = 14\nfrr_days = 100\n")
    words = ("compute", "--as-of", str(support.SAMPLE_DAY), "--dry-run", "--policy", "policy.toml")
    code, out, err = run(sample, *words, "--output", "changes.csv")
    assert code == 0
    _, _, rows, figures, first = out.split("\n\n")
    assert [line.split() for line in rows.splitlines()] == [
        ["rows", "added", "changed", "removed"],
        ["officers", "0", "38", "0"],
        ["branches", "0", "12", "0"],
    ]
    changes = pl.read_csv(tmp_path / "changes.csv", infer_schema_length=None)
    assert "figures changed: fees_collected 50, fees_due 50, frr 50," in figures
    assert len(first.splitlines()) == 41
    assert err == f"{len(changes) - 40} more changes: --output FILE writes all\n"


def test_rows_that_come_and_go_are_counted_not_listed(run: Cli, small: str) -> None:
    new = run(small, "compute", "--as-of", str(DAY), "--dry-run")[1]
    assert ["officers", "3", "0", "0"] in [line.split() for line in new.splitlines()]
    assert len(new.splitlines()) == 5
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    told(small, CHANGES["an officer gone"])
    gone = run(small, "compute", "--as-of", str(DAY), "--dry-run")[1]
    assert ["officers", "0", "0", "1"] in [line.split() for line in gone.splitlines()]


def test_all_changes_go_to_a_file(run: Cli, small: str, tmp_path: Path) -> None:
    words = ("compute", "--as-of", str(DAY), "--dry-run", "--output", "changes.parquet")
    assert run(small, *words)[0] == 0
    changes = pl.read_parquet(tmp_path / "changes.parquet")
    owed = changes.filter(of="West / Ikeja", figure="total_portfolio")
    assert owed.rows() == [("West / Ikeja", "total_portfolio", None, "2200.00")]
