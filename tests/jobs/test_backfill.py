"""Many days published at once are the days published one by one."""

from datetime import date, timedelta

import polars as pl
from polars.testing import assert_frame_equal

import loanmetrics as lm
from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import LOG, asked, rows, statuses, told

FIRST = date(2026, 2, 20)
DAYS = [FIRST + timedelta(after) for after in range((DAY - FIRST).days + 1)]
BACKFILL = ("backfill", "--from", str(FIRST), "--to", str(DAY))
STAMPS = ("calculation_date", "run_id", "calculated_at")
PAST = ("officer_metrics_daily", "branch_metrics_daily", "dpd_transitions", "par15_snapshots", "restatements")
PAID = """
    INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, principal_paid, is_reversed,
        reversal_date) VALUES ('R9', 'L1', '2026-03-01', 300, 300, true, '2026-03-10')
"""


def figures(url: str) -> list[pl.DataFrame]:
    with connect(url) as connection:
        return [table.drop(STAMPS) for day in DAYS for table in stored(connection, day)]


def test_every_day_is_what_a_run_of_that_day_publishes(run: Cli, small: str) -> None:
    told(small, PAID)
    code, out, err = run(small, *BACKFILL)
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "2026-02-20 to 2026-02-28",
        "2026-03-01 to 2026-03-16",
    ]
    assert err.splitlines() == [
        "2026-02-20 to 2026-02-28: computing 9 days ...",
        "2026-03-01 to 2026-03-16: computing 16 days ...",
    ]
    at_once = figures(small)
    assert asked(small, "SELECT count(*) FROM restatements") == [(0,)]
    for day in DAYS:
        assert run(small, "compute", "--as-of", str(day))[0] == 0
    for one, other in zip(at_once, figures(small), strict=True):
        assert_frame_equal(one, other, check_exact=True)
    assert [status for status, _ in statuses(small)] == ["Completed"] * (2 + len(DAYS))


def test_a_second_backfill_writes_nothing(run: Cli, small: str) -> None:
    assert run(small, *BACKFILL)[0] == 0
    before = rows(small, *PAST)
    code, out, _ = run(small, *BACKFILL)
    assert (code, out.count("nothing changed")) == (0, 2)
    assert rows(small, *PAST) == before


def test_loans_stand_as_on_the_newest_day(run: Cli, small: str) -> None:
    assert run(small, *BACKFILL)[0] == 0
    standing = rows(small, "loan_state")
    assert len(asked(small, "SELECT FROM loan_state WHERE current_dpd > 0")) > 0
    assert run(small, "compute", "--as-of", str(DAY))[0] == 0
    assert rows(small, "loan_state") == standing
    told(small, PAID)
    assert run(small, *BACKFILL[:-1], "2026-03-15")[0] == 0
    assert rows(small, "loan_state") == standing


def test_what_is_restated_is_kept(run: Cli, small: str) -> None:
    assert run(small, *BACKFILL)[0] == 0
    [(first_run,)] = asked(small, f"SELECT run_id FROM {LOG} WHERE calculation_date = '{DAY}'")
    frozen = rows(small, "par15_snapshots")
    told(small, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L5'")
    assert run(small, *BACKFILL)[0] == 0
    found = asked(
        small,
        "SELECT before, after, before_run_id FROM restatements WHERE table_name = 'officer_metrics_daily'"
        f" AND row_key = 'O3' AND calculation_date = '{DAY}'",
    )
    [(before, after, run_id)] = found
    assert (before["active_loans"], after["active_loans"], run_id) == (0, 1, first_run)
    assert "disbursed_count" in after
    assert "officer_name" not in after
    assert rows(small, "par15_snapshots") == frozen


def test_transitions_replay_to_the_bucket_of_every_day(run: Cli, small: str) -> None:
    told(small, PAID)
    assert run(small, "backfill", "--from", "2026-02-01", "--to", str(DAY))[0] == 0
    moved = asked(small, "SELECT loan_id, transition_date, to_dpd_bucket FROM dpd_transitions ORDER BY 1, 2")
    for day in DAYS[::5]:
        book = lm.Book.scan(small, as_of=day)
        states = lm.sql(book, "SELECT loan_id, on_book, dpd_bucket, closed_as FROM loans")
        for loan, on_book, bucket, closed_as in states.iter_rows():
            past = [to for name, when, to in moved if name == loan and when <= day]
            assert past[-1] == (bucket if on_book else closed_as)


def test_days_to_come_are_refused(run: Cli, small: str) -> None:
    assert run(small, "backfill", "--from", "2026-03-01", "--to", "2099-01-01")[0] == 2
    assert run(small, "backfill", "--from", "2026-03-02", "--to", "2026-03-01")[0] == 2
    assert statuses(small) == []


def test_history_in_a_notebook_is_the_loop_over_days(small: str) -> None:
    book = lm.Book.scan(small, as_of=DAY)
    for by in ("officer", "branch", "book"):
        past = lm.history(book, "fimr", "active_loans", "risk_score", first=FIRST, by=by).collect()
        loop = pl.concat(
            lm.compute(book.on(day), "fimr", "active_loans", "risk_score", by=by)
            .collect()
            .select(pl.lit(day).alias("calculation_date"), pl.all())
            for day in DAYS
        )
        assert_frame_equal(past, loop, check_exact=True)
