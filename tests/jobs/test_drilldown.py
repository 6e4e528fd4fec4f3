"""The loans behind a figure sum to it, whichever day it is of and however little of the day is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.compute import compute
from loanmetrics.jobs.drilldown import ALL, Where, knowledge, loan_rows, with_names
from loanmetrics.jobs.running import lake_of
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.store import people
from loanmetrics.store.session import connect
from tests import support
from tests.jobs.stored import asked

STATE = (
    *("loan_id", "disbursement_date", "on_book", "closed_as", "current_dpd", "dpd_bucket", "max_dpd_ever"),
    *("first_payment_missed", "first_payment_due_date", "first_payment_received_date", "last_payment_date"),
    *("next_payment_due", "total_outstanding", "arrears_amount", "fimr_tagged", "early_indicator_tagged"),
)
DAY = support.SAMPLE_DAY


@dataclass(frozen=True)
class Lender:
    """A database with figures in it, and the facts they came from."""

    settings: Settings
    connection: psycopg.Connection
    lake: Lake

    @property
    def url(self) -> str:
        return str(self.settings.database_url)

    def rows(self, day: date = DAY, where: Where = ALL) -> pl.DataFrame:
        version = knowledge(self.connection, self.lake, day)
        return loan_rows(self.settings, self.lake, version, day, where).collect()


@pytest.fixture
def lender(sample: str, home: Path) -> Iterator[Lender]:
    settings = Settings(database_url=sample, home=home)
    compute(settings, DAY, Policy())
    with connect(sample) as connection:
        yield Lender(settings, connection, lake_of(settings, connection))


def test_the_newest_day_is_the_published_loan_state(lender: Lender) -> None:
    money = {"total_outstanding", "arrears_amount"}
    named = ", ".join(f"({name} * 100)::bigint" if name in money else name for name in STATE)
    found = lender.rows().rename({"outstanding_balance": "total_outstanding"}).select(STATE).sort("loan_id")
    texts = found.with_columns(pl.col(pl.Categorical).cast(pl.String))
    assert texts.rows() == asked(lender.url, f'SELECT {named} FROM loan_state ORDER BY loan_id COLLATE "C"')


def test_some_officers_and_branches_are_the_same_alone(lender: Lender) -> None:
    """First asked for alone, when nothing of the day is kept, then out of all loans."""
    wheres = [Where(officer_id=["O0001", "UNASSIGNED"]), Where(region=["Lagos"], branch=["Ikeja", "Yaba"])]
    alone = [lender.rows(where=where) for where in wheres]
    everyone = lender.rows()
    for where, some in zip(wheres, alone, strict=True):
        assert 0 < len(some) < len(everyone)
        assert_frame_equal(some, everyone.filter(where.chosen), check_exact=True, check_row_order=False)
        assert_frame_equal(lender.rows(where=where), some, check_exact=True, check_row_order=False)
    assert lender.rows(where=Where(branch=["Nowhere"])).is_empty()


def test_names_stand_beside_their_loans(lender: Lender) -> None:
    some = lender.rows(where=Where(officer_id=["O0001"]))
    found = with_names(lender.connection, some).select("loan_id", *people.NAMES).rows()
    expected = asked(
        lender.url,
        "SELECT loan_id, customer_name, customer_phone, o.officer_name FROM loans l JOIN officers o USING (officer_id)",
    )
    assert set(found) == {row for row in expected if row[0] in set(some["loan_id"])}
