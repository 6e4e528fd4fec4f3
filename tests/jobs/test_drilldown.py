"""The loans behind a figure sum to it, whichever day it is of, and whatever was known of that day by then."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from psycopg.conninfo import conninfo_to_dict

import loanmetrics as lm
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.run import total
from loanmetrics.jobs.backfill import backfill
from loanmetrics.jobs.drilldown import Where, masked, stored_by, with_names
from loanmetrics.policy import Policy
from loanmetrics.store import people
from loanmetrics.store.publish import read_branches, read_officers
from loanmetrics.testing import Databases
from tests.jobs.lender import Lender, lender_at
from tests.jobs.small import DAY as SMALL_DAY
from tests.jobs.stored import asked, told
from tests.support import SAMPLE_DAY

OFFICER, BRANCH = ("officer_id",), ("region", "branch")
UNSTORED = date(2026, 2, 20)
FROZEN, RESTATED = date(2026, 4, 15), date(2026, 4, 20)
CATALOGUE = load()
METRICS = sorted(CATALOGUE.metrics)
# What changes of the past: a payment found late, one taken back, a loan given to another officer of another branch.
LATER = """
    INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid)
        SELECT 'late', loan_id, '2026-04-15', 1000, 1000 FROM loan_state WHERE current_dpd > 30 ORDER BY 1, 2 LIMIT 1;
    UPDATE repayments SET is_reversed = true, reversal_date = '2026-04-18' WHERE payment_date = '2026-04-13';
    UPDATE loans SET officer_id = 'O0002', branch = 'Kano', region = 'North' WHERE loan_id IN
        (SELECT loan_id FROM loans WHERE officer_id = 'O0001' AND status = 'Active' ORDER BY 1 LIMIT 20)
"""
STATE = (
    *("loan_id", "disbursement_date", "on_book", "closed_as", "current_dpd", "dpd_bucket", "max_dpd_ever"),
    *("first_payment_missed", "first_payment_due_date", "first_payment_received_date", "last_payment_date"),
    *("next_payment_due", "total_outstanding", "arrears_amount", "fimr_tagged", "early_indicator_tagged"),
)
MONEY = ("total_outstanding", "arrears_amount")


@pytest.fixture(scope="module")
def lender(
    databases: Databases, published_sample: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lender]:
    """A day restated after facts of it changed, with PAR15 frozen before, and the newest day as known before that."""
    with (
        databases._copy_of(str(conninfo_to_dict(published_sample)["dbname"])) as url,
        lender_at(url, tmp_path_factory.mktemp("home")) as made,
    ):
        assert list(backfill(made.settings, FROZEN, RESTATED, Policy()))
        made.compute(SAMPLE_DAY)
        told(url, LATER)
        made.compute(RESTATED)
        yield made


def summed(loans: pl.DataFrame, by: Sequence[str], measures: Sequence[str]) -> pl.DataFrame:
    return loans.group_by(by).agg(total(CATALOGUE.measures[name]) for name in measures).sort(by)


def figures(rows: pl.DataFrame, by: Sequence[str], measures: Sequence[str]) -> pl.DataFrame:
    """Published figures that are not all zero."""
    return rows.filter(pl.any_horizontal(pl.col(measures) != 0)).select(*by, *measures).sort(by)


@pytest.mark.parametrize("day", [SAMPLE_DAY, RESTATED], ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_the_loans_sum_to_every_stored_figure(lender: Lender, day: date, metric: str) -> None:
    loans, measures = lender.explains(day, metric), CATALOGUE.measures_of(metric)
    for read, by in ((read_officers, OFFICER), (read_branches, BRANCH)):
        expected = figures(read(lender.connection, day), by, measures)
        assert_frame_equal(summed(loans, by, measures), expected, check_exact=True)


def test_the_loans_of_a_day_that_is_not_stored_sum_to_what_is_known_now(lender: Lender) -> None:
    assert stored_by(lender.connection, UNSTORED) is None
    book = lm.Book.scan(lender.url, as_of=UNSTORED)
    officers, branches = lm.compute(book).collect(), lm.compute(book, by="branch").collect()
    for metric in ("fimr", "ayr", "risk_score", "dqi"):
        measures, loans = CATALOGUE.measures_of(metric), lender.explains(UNSTORED, metric)
        for computed, by in ((officers, OFFICER), (branches, BRANCH)):
            expected = figures(computed, by, measures)
            assert_frame_equal(summed(loans, by, measures), expected, check_exact=True)


@pytest.mark.parametrize("day", [SAMPLE_DAY, RESTATED, UNSTORED], ids=str)
@pytest.mark.parametrize(
    "where",
    [Where(officer_id=["O0001", "O0002"]), Where(branch=["Kano"]), Where(["O0001"], ["Lagos"], ["Ikeja"])],
)
def test_some_loans_add_what_they_add_among_all(lender: Lender, day: date, where: Where) -> None:
    for metric in ("risk_score", "dqi", "ayr"):
        every = lender.explains(day, metric).filter(where.chosen)
        some = lender.explains(day, metric, where)
        assert len(some) > 0
        assert_frame_equal(some, every, check_exact=True, check_row_order=False)


def test_frozen_par15_stands_where_its_loans_were(lender: Lender) -> None:
    """They have moved to another officer since, who is not charged for them."""
    [frozen] = lender.explains(
        RESTATED, "par15_mid_month", Where(officer_id=["O0001"], branch=["Ikeja"])
    ).rows(named=True)
    assert frozen["loan_id"] is None
    assert asked(
        lender.url,
        "SELECT (par15_exposure * 100)::bigint FROM par15_snapshots WHERE officer_id = 'O0001' AND branch = 'Ikeja'",
    ) == [(frozen["par15_mid_month"],)]


def test_each_day_is_told_by_the_facts_it_was_published_from(lender: Lender) -> None:
    moved = pl.col("loan_id").is_in(
        [loan for (loan,) in asked(lender.url, "SELECT loan_id FROM loans WHERE officer_id = 'O0002'")]
    )
    before, after = (lender.rows(day).filter(moved)["officer_id"].unique() for day in (SAMPLE_DAY, RESTATED))
    assert sorted(before) == ["O0001", "O0002"]
    assert sorted(after) == ["O0002"]
    assert lender.version(UNSTORED).run_id == lender.version(RESTATED).run_id


@pytest.mark.parametrize("day", [SAMPLE_DAY, RESTATED], ids=str)
@pytest.mark.parametrize("by", [OFFICER, BRANCH], ids=str)
def test_the_rows_sum_to_what_they_are_shown_for(lender: Lender, day: date, by: Sequence[str]) -> None:
    on_book, dpd, owed = pl.col("on_book"), pl.col("current_dpd"), pl.col("outstanding_balance")
    recent = pl.col("disbursement_date") > day - timedelta(days=Policy().cohort_days)
    figure = {
        "all_time_first_miss_count": pl.col("fimr_tagged").sum(),
        "first_miss_count": (pl.col("fimr_tagged") & recent).sum(),
        "all_time_decided_count": pl.col("first_payment_missed").is_not_null().sum(),
        "disbursed_count": (pl.col("first_payment_missed").is_not_null() & recent).sum(),
        "dpd_1to6_balance": owed.filter("early_indicator_tagged").sum(),
        "overdue_15d_amount": owed.filter(dpd > 15).sum(),
        "overdue_15d_count": (dpd > 15).sum(),
        "total_portfolio": owed.filter(on_book).sum(),
        "active_loans": on_book.sum(),
        "total_disbursed_count": pl.len(),
        "total_disbursed_amount": pl.col("loan_amount").sum(),
    }
    sums = [value.cast(pl.Int64).alias(name) for name, value in figure.items()]
    found = lender.rows(day).group_by(by).agg(sums).sort(by)
    read = read_officers if by == OFFICER else read_branches
    expected = figures(read(lender.connection, day), by, tuple(figure))
    assert_frame_equal(found, expected, check_exact=True)
    assert (found.select(pl.exclude(by)).sum() > 0).select(pl.all_horizontal(pl.all())).item()


def test_the_newest_day_is_the_published_loan_state(lender: Lender) -> None:
    """As published: facts that came later change no loan of it."""
    named = ", ".join(f"({name} * 100)::bigint" if name in MONEY else name for name in STATE)
    found = lender.rows(SAMPLE_DAY).rename({"outstanding_balance": "total_outstanding"}).select(STATE)
    assert found.rows() == asked(lender.url, f'SELECT {named} FROM loan_state ORDER BY loan_id COLLATE "C"')


@pytest.mark.parametrize("day", [SAMPLE_DAY, RESTATED, date(2026, 1, 5)], ids=str)
def test_some_officers_and_branches_are_the_same_alone(lender: Lender, day: date) -> None:
    """First asked for alone, when nothing of the day is kept, then out of all loans."""
    wheres = [Where(officer_id=["O0001", "UNASSIGNED"]), Where(region=["Lagos"], branch=["Ikeja", "Kano"])]
    alone = [lender.rows(day, where) for where in wheres]
    everyone = lender.rows(day)
    for where, some in zip(wheres, alone, strict=True):
        assert 0 < len(some) < len(everyone)
        assert_frame_equal(some, everyone.filter(where.chosen), check_exact=True)
        assert_frame_equal(lender.rows(day, where), some, check_exact=True)


def test_nobody_has_no_loans(lender: Lender) -> None:
    day, nobody = date(2026, 1, 6), Where(officer_id=["nobody"])
    before = lender.rows(day, nobody)
    assert before.is_empty()
    assert_frame_equal(before, lender.rows(day).filter(nobody.chosen))
    assert lender.rows(day, nobody).is_empty()
    assert lender.explains(day, "risk_score", nobody).is_empty()


def test_names_stand_beside_their_loans(lender: Lender) -> None:
    some = lender.rows(SAMPLE_DAY, Where(officer_id=["O0001"]))
    found = with_names(lender.connection, some).select("loan_id", *people.NAMES).rows()
    expected = asked(
        lender.url,
        "SELECT loan_id, customer_name, customer_phone, 'Sani Adeleke' FROM loans ORDER BY loan_id COLLATE \"C\"",
    )
    assert found == [row for row in expected if row[0] in set(some["loan_id"])] != []


def test_a_phone_number_shows_its_last_four_digits() -> None:
    phones = pl.DataFrame({"phone": ["+2348000001060", "12345", "1234", "", None]})
    shown = phones.select(masked(pl.col("phone"))).to_series().to_list()
    assert shown == ["****1060", "****2345", "****", "****", None]


@pytest.fixture
def small_lender(small: str, home: Path) -> Iterator[Lender]:
    with lender_at(small, home) as made:
        yield made


def test_the_last_run_that_had_a_say_explains_a_day(small_lender: Lender) -> None:
    lender, day = small_lender, SMALL_DAY
    assert stored_by(lender.connection, day) is None
    first = lender.compute(day)
    assert lender.version(day).run_id == first
    unchanged = lender.compute(day)
    assert lender.version(day).run_id == unchanged
    told(lender.url, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L5'")
    another = lender.compute(day + timedelta(days=1))
    assert lender.version(day).run_id == unchanged
    assert lender.version(day - timedelta(days=1)).run_id == another
    [restated] = list(backfill(lender.settings, day, day, Policy()))
    assert lender.version(day).run_id == restated.run_id
    assert lender.rows(day)["officer_id"].to_list() == ["O1"] * 3 + ["O2", "O3"]


def test_facts_that_are_gone_give_way_to_the_newest(small_lender: Lender) -> None:
    lender, yesterday = small_lender, SMALL_DAY - timedelta(days=1)
    first, last = lender.compute(yesterday), lender.compute(SMALL_DAY)
    assert lender.version(yesterday).run_id == first
    lender.lake.prune([last])
    assert lender.version(yesterday).run_id == last
    assert stored_by(lender.connection, yesterday) == first


def test_the_policy_is_that_of_the_run(small_lender: Lender) -> None:
    lender = small_lender
    lender.compute(SMALL_DAY, Policy(dpd_count="inclusive"))
    inclusive = lender.rows(SMALL_DAY)["current_dpd"]
    lender.compute(SMALL_DAY)
    assert (inclusive - lender.rows(SMALL_DAY)["current_dpd"]).unique().to_list() == [1]


def test_an_officer_is_held_to_channels_that_only_others_use(small_lender: Lender) -> None:
    """Ada sells for agents by her own record, but directly in fact; an agent's loan stands in Obi's name only."""
    lender = small_lender
    told(
        lender.url,
        "UPDATE officers SET primary_channel = 'Agent' WHERE officer_id = 'O1';"
        "UPDATE loans SET channel = CASE officer_id WHEN 'O2' THEN 'Agent' ELSE 'Direct' END",
    )
    lender.compute(SMALL_DAY)
    found = lender.explains(SMALL_DAY, "channel_purity", Where(officer_id=["O1"]))
    assert found["channel_known_count"].to_list() == [1, 1, 1]
    assert found["pure_channel_count"].to_list() == [0, 0, 0]
