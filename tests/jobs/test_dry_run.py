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
