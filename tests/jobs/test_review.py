"""Review rules of published days, on the screen and in files."""

import json
from pathlib import Path

import polars as pl
import psycopg
import pytest

import loanmetrics as lm
from loanmetrics.errors import UsageError
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY

# L2 to L5 each paid once on 1 March; L5's payment comes again the next day, L4's was dated back.
EVENTS = """
UPDATE repayments SET created_at = payment_date;
UPDATE repayments SET is_backdated = true, created_at = '2026-03-09 12:00+00' WHERE repayment_id = 'R4';
INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, created_at)
VALUES ('R6', 'L5', '2026-03-02', 500, '2026-03-02');
UPDATE repayments SET payment_reference = 'TX 17' WHERE repayment_id IN ('R5', 'R6');
"""


@pytest.fixture
def published(run: Cli, small: str) -> str:
    with psycopg.connect(small) as connection:
        connection.execute(EVENTS)
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    return small


def test_whose_payments_meet_a_rule(run: Cli, published: str) -> None:
    code, out, err = run(published, "review", "backdated")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    # O2 has two loans with three payments, O1 two loans with two: too few to say anything.
    assert next(line for line in lines if line[:1] == ["O2"])[1:7] == ["3", "1", "33.3", "%", "20.0", "%"]
    assert next(line for line in lines if line[:1] == ["O1"])[1:3] == ["2", "0"]
    assert next(line for line in lines if line[:1] == ["O2"])[-2:] == ["too", "few"]


def test_every_rule_of_one_officer_in_a_file(run: Cli, published: str, tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    assert run(published, "review", "--officer", "O2", "--output", str(file))[0] == 0
    rows = {row["rule"]: row for row in json.loads(file.read_text())}
    assert {(row["officer_id"], row["officer_name"]) for row in rows.values()} == {("O2", "Obi")}
    assert (rows["duplicate"]["opportunities"], rows["duplicate"]["hits"]) == (3, 1)
    assert rows["duplicate"]["base_rate"] == pytest.approx(0.2)
    assert rows["backdated"]["chance"] is None


def test_each_hit_with_its_evidence(run: Cli, published: str, tmp_path: Path) -> None:
    code, out, _ = run(published, "review", "--hits", "--format", "json")
    assert code == 0
    rows = {row["rule"]: row for row in json.loads(out)}
    assert rows["duplicate"]["seen"] == "500.00 on 2026-03-02, and the same amount on 2026-03-01 as R5."
    assert (rows["duplicate"]["repayment_id"], rows["duplicate"]["amount"]) == ("R6", "500.00")
    assert (
        rows["backdated"]["seen"]
        == "Dated 2026-03-01, recorded on 2026-03-09, 8 days after; marked as backdated."
    )
    assert (rows["backdated"]["officer_id"], rows["backdated"]["officer_name"]) == ("O2", "Obi")
    assert (rows["duplicate"]["same_reference"], rows["backdated"]["same_reference"]) == (True, None)
    file = tmp_path / "hits.parquet"
    assert run(published, "review", "--hits", "--officer", "O1", "--output", str(file))[0] == 0
    assert pl.read_parquet(file).is_empty()
    code, out, _ = run(published, "review", "backdated", "--hits")
    assert (code, "8 days after" in out) == (0, True)


def test_a_lenders_thresholds_count(run: Cli, published: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("review_duplicate_days = 0\n")
    assert run(published, "compute", "--as-of", str(DAY), "--policy", str(policy))[0] == 0
    code, out, _ = run(published, "review", "duplicate", "--by", "book", "--format", "json")
    assert (code, [row["hits"] for row in json.loads(out)]) == (0, [0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backdatd",), "error: unknown review rule: backdatd\nhint: did you mean backdated?"),
        (("--officer", "O9"), "error: unknown officer: O9"),
        (("--hits", "--officer", "O9"), "error: unknown officer: O9"),
        (("--by", "branch", "--officer", "O1"), "error: --officer picks among officers"),
        (("--as-of", "2027-01-01"), "error: there are no figures of 2027-01-01"),
    ],
)
def test_what_cannot_be_shown(run: Cli, published: str, words: tuple[str, ...], said: str) -> None:
    code, out, err = run(published, "review", *words)
    assert code in (1, 2)
    assert (out, err[: len(said)]) == ("", said)


def test_in_a_notebook() -> None:
    book = lm.Book.sample()
    rates = lm.review(book, by="branch")
    assert rates.collect_schema() == rates.collect().schema
    hits = lm.review_hits(book)
    assert hits.collect_schema() == hits.collect().schema
    assert "%" in repr(lm.show(rates)) and "hits" in repr(lm.show(rates))
    assert len(lm.review_hits(book, "backdated").collect()) < len(hits.collect())
    with pytest.raises(UsageError, match="unknown review rule"):
        lm.review(book, "backdatd")
    with pytest.raises(UsageError, match="unknown grouping"):
        lm.review(book, by="offcer")  # type: ignore[arg-type]
