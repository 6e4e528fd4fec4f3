"""Whom loans were taken from, as runs know it: by increments or whole, from any source; and no figure rests on it."""

import json
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from loanmetrics.engine.book import REASSIGNED
from loanmetrics.facts.lake import Lake
from loanmetrics.notebook import Book
from loanmetrics.testing import Databases
from tests import support
from tests.jobs.conftest import Cli
from tests.jobs.lender import lender_at
from tests.jobs.small import DAY, SMALL_BOOK
from tests.jobs.stored import asked, told

COMPUTE = ("compute", "--as-of", str(DAY))
GIVEN = "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L2'"
Record = tuple[object, ...]


def kept(home: Path) -> list[Record]:
    """The newest version's records of loans."""
    (folder,) = (home / "facts").iterdir()
    lake = Lake(folder)
    rows = lake.facts(lake.current).reassigned
    assert rows.schema == REASSIGNED
    return [row[1:5] for row in rows.iter_rows() if row[1] is not None]


def test_runs_know_what_was_recorded(small: str, home: Path) -> None:
    with lender_at(small, home) as lender:
        first = lender.compute(DAY)
        assert kept(home) == []
        told(small, GIVEN)
        lender.compute(DAY)
        assert kept(home) == [("L2", "O1", "West", "Ikeja")]
        told(small, "UPDATE loans SET region = NULL, branch = NULL, officer_id = NULL WHERE loan_id = 'L2'")
        for table in ("loans", "loan_schedule", "repayments"):
            told(small, f"DELETE FROM {table} WHERE loan_id = 'L2'")
        lender.compute(DAY)
        places = [("O1", "West", "Ikeja"), ("O3", "West", "Ikeja"), ("UNASSIGNED", "Unknown", "Unknown")]
        assert kept(home) == [("L2", *place) for place in places]
        partial = lender.lake.facts(lender.version(DAY)).reassigned
        lender.compute(DAY, full=True)
        assert_frame_equal(lender.lake.facts(lender.version(DAY)).reassigned, partial)
        assert len(lender.lake.facts(lender.lake.version(first)).reassigned) == 1, "what was known then stays"


def test_names_are_kept_as_they_are(small: str, home: Path) -> None:
    names = ['O "4",\n5', "", "Ọlá"]
    with lender_at(small, home) as lender:
        for name in (*names, "O1"):
            lender.connection.execute("UPDATE loans SET officer_id = %s WHERE loan_id = 'L2'", [name])
        lender.compute(DAY)
    assert [record[1] for record in kept(home)] == ["O1", *names]


def test_a_loan_given_away_and_back_between_two_runs_is_known_by_hashes_too(
    by_hashes: Cli, small: str, home: Path
) -> None:
    assert by_hashes(small, *COMPUTE)[0] == 0
    told(small, GIVEN)
    told(small, "UPDATE loans SET officer_id = 'O1' WHERE loan_id = 'L2'")
    assert by_hashes(small, *COMPUTE)[1].endswith("read what changed, by content hash\n")
    assert kept(home) == [("L2", "O1", "West", "Ikeja"), ("L2", "O3", "West", "Ikeja")]


def test_figures_are_those_without_any_records(small: str, databases: Databases, home: Path) -> None:
    figures = (
        "SELECT to_jsonb(t) - '{run_id,calculated_at}'::text[] FROM officer_metrics_daily t ORDER BY 1",
        "SELECT to_jsonb(t) - '{run_id,calculated_at}'::text[] FROM branch_metrics_daily t ORDER BY 1",
        "SELECT t::text FROM loan_state t ORDER BY 1",
    )
    with databases.migrated() as other:
        told(other, f"TRUNCATE loans; {SMALL_BOOK} {GIVEN}")
        told(small, GIVEN)
        told(other, "UPDATE loans SET officer_id = 'O9'")
        told(other, "UPDATE loans l SET officer_id = CASE WHEN loan_id = 'L2' THEN 'O3'"
                    " WHEN loan_id < 'L4' THEN 'O1' ELSE 'O2' END")  # fmt: skip
        found = []
        for url, where in ((small, "one"), (other, "two")):
            with lender_at(url, home / where) as lender:
                lender.compute(DAY)
            found.append([asked(url, query) for query in figures])
    assert found[0] == found[1]


def test_a_version_of_before_is_read_and_gone_on_from(small: str, home: Path) -> None:
    with lender_at(small, home) as lender:
        run_id = lender.compute(DAY)
        for path in home.rglob("*.json"):
            manifest = json.loads(path.read_text())
            del manifest["small"]["reassigned"]
            path.write_text(json.dumps(manifest))
        version = lender.lake.version(run_id)
        assert lender.lake.facts(version).reassigned.schema == REASSIGNED
        assert lender.lake.facts(version).reassigned.is_empty()
        told(small, GIVEN)
        lender.compute(DAY)
        assert kept(home) == [("L2", "O1", "West", "Ikeja")]


def test_the_same_records_are_not_written_twice(small: str, home: Path) -> None:
    told(small, GIVEN)
    with lender_at(small, home) as lender:
        names = {lender.lake.version(lender.compute(DAY)).small["reassigned"] for _ in range(3)}
        assert len(names) == 1


def test_a_source_that_shows_no_records_has_none(
    by_hashes: Cli, databases: Databases, small: str, reader: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(small, GIVEN)
    with databases.migrated() as ours:
        monkeypatch.setenv("LOANMETRICS_SOURCE_URL", reader)
        assert by_hashes(ours, *COMPUTE)[0] == 0
        (folder,) = (home / "facts").iterdir()
        assert Lake(folder).facts(Lake(folder).current).reassigned.is_empty()


def test_a_source_that_records_no_more_has_none(by_hashes: Cli, small: str, home: Path) -> None:
    told(small, GIVEN)
    told(small, "DROP TRIGGER loanmetrics_log_update ON loans")
    assert by_hashes(small, *COMPUTE)[0] == 0
    (folder,) = (home / "facts").iterdir()
    assert Lake(folder).facts(Lake(folder).current).reassigned.is_empty()


def test_a_notebook_knows_them_of_a_database_and_of_nothing_else(small: str) -> None:
    told(small, GIVEN)
    found = Book.scan(small, as_of=DAY).facts.reassigned
    assert found.schema == REASSIGNED
    assert found["loan_id"].drop_nulls().to_list() == ["L2"]
    assert support.sample_facts().reassigned.is_empty()
