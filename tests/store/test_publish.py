from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.errors import StoreError
from loanmetrics.store import runs
from loanmetrics.store.publish import newest_day, publish, read_branches, read_officers, stored
from loanmetrics.store.session import connect
from loanmetrics.tables import LOAN_STATE

DAY = date(2026, 6, 30)
STAMPS = ("run_id", "calculated_at")
OFFICERS = pl.DataFrame(
    {
        "officer_id": ["O1", "O2", "O3"],
        "officer_name": ["Ada, Obi", 'The "Best"', None],
        "region": ["West", "West", ""],
        "branch": ["Ikeja", "Yaba\nII", "Unknown"],
        "total_portfolio": [12_345, -1, 999_999_999_999_999_999],
        "active_loans": [3, 0, 2**62],
        "fimr": [0.1, None, 1 / 3],
        "risk_score": pl.Series([95, None, 7], dtype=pl.Int32),
        "had_float_gap": [True, False, None],
        "risk_band": ["green", "n/a", "red"],
        "rank": pl.Series([1, None, 2], dtype=pl.Int32),
    }
)
BRANCHES = pl.DataFrame({"region": ["West"], "branch": ["Ikeja"], "total_portfolio": [5], "fimr": [0.25]})
STATE_DEFAULTS: dict[str, Any] = {
    "schedule_source": "schedule",
    "on_book": True,
    "dpd_bucket": "0",
    "fimr_tagged": False,
    "early_indicator_tagged": False,
}


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as opened:
        yield opened


def start(connection: psycopg.Connection, day: date = DAY) -> runs.Run:
    return runs.start(connection, "compute", day, engine_version="0.1.0", policy_hash="abc")


def put(
    connection: psycopg.Connection,
    officers: pl.DataFrame = OFFICERS,
    day: date = DAY,
    loan_state: pl.DataFrame | None = None,
    touched: pl.Series | None = None,
    **others: pl.DataFrame,
) -> dict[str, int]:
    """Loan states go in parts, as those of several shards do."""
    run = start(connection, day)
    parts = None if loan_state is None else [loan_state[:1].lazy(), loan_state[1:].lazy()]
    return publish(connection, run, officers, BRANCHES, parts, touched=touched, **others).changed  # type: ignore[arg-type]


def states(*loans: tuple[str, date, int]) -> pl.DataFrame:
    """Loans by id, disbursement day and outstanding amount; everything else is dull."""
    rows = []
    for loan_id, disbursed, outstanding in loans:
        row: dict[str, Any] = {
            column.name: 0 if column.kind in ("money", "int") else None for column in LOAN_STATE.columns
        }
        row |= STATE_DEFAULTS | {"loan_id": loan_id, "disbursement_date": disbursed}
        rows.append(row | {"total_outstanding": outstanding})
    schema = {"first_payment_missed": pl.Boolean(), "closed_as": pl.String()}
    return pl.DataFrame(rows, schema_overrides=schema)


def dump(connection: psycopg.Connection, table: str) -> list[Any]:
    """Every row with the transaction that wrote it, so that a rewrite shows too."""
    return sorted(map(str, connection.execute(f"SELECT xmin, t.* FROM {table} t".encode()).fetchall()))


def outstanding(connection: psycopg.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT loan_id, total_outstanding::text FROM loan_state ORDER BY 1").fetchall()
    return dict(rows)


def written(connection: psycopg.Connection) -> dict[tuple[str, date, int], str]:
    """The transaction that wrote each loan."""
    rows = connection.execute(
        "SELECT loan_id, disbursement_date, (total_outstanding * 100)::int, xmin::text FROM loan_state"
    )
    return {(loan, day, amount): transaction for loan, day, amount, transaction in rows}


def test_what_is_published_is_read_back_as_it_was(connection: psycopg.Connection) -> None:
    put(connection)
    officers, branches = stored(connection, DAY)
    assert_frame_equal(officers.select(OFFICERS.columns), OFFICERS)
    assert_frame_equal(branches.select(BRANCHES.columns), BRANCHES)
    assert set(officers["calculation_date"]) == {DAY}


def test_times_are_utc_whatever_the_database_says(database: str, connection: psycopg.Connection) -> None:
    name = connection.info.dbname
    connection.execute(f"ALTER DATABASE {name} SET TimeZone = 'Africa/Lagos'".encode())
    with connect(database) as fresh:
        run = start(fresh)
        publish(fresh, run, OFFICERS, BRANCHES)
        assert set(read_officers(fresh, DAY)["calculated_at"]) == {run.started}


def test_money_is_stored_in_units(connection: psycopg.Connection) -> None:
    put(connection)
    rows = connection.execute("SELECT total_portfolio::text FROM officer_metrics_daily ORDER BY officer_id")
    assert [row[0] for row in rows] == ["123.45", "-0.01", "9999999999999999.99"]


def test_publishing_the_same_again_writes_nothing(connection: psycopg.Connection) -> None:
    loans = states(("L1", date(2026, 1, 5), 100))
    put(connection, loan_state=loans)
    tables = ("officer_metrics_daily", "branch_metrics_daily", "loan_state")
    before = [dump(connection, table) for table in tables]
    assert sum(put(connection, loan_state=loans).values()) == 0
    assert [dump(connection, table) for table in tables] == before


def test_only_rows_that_differ_take_the_new_run(connection: psycopg.Connection) -> None:
    put(connection)
    changed = OFFICERS.with_columns(fimr=pl.when(pl.col("officer_id") == "O2").then(0.5).otherwise("fimr"))
    assert put(connection, changed)["officer_metrics_daily"] == 1
    by_officer = dict(read_officers(connection, DAY).select("officer_id", "run_id").iter_rows())
    assert by_officer["O1"] == by_officer["O3"] != by_officer["O2"]


def test_rows_that_no_longer_exist_are_deleted_from_their_day_only(connection: psycopg.Connection) -> None:
    yesterday = DAY - timedelta(days=1)
    put(connection, day=yesterday)
    put(connection)
    assert put(connection, OFFICERS.head(2))["officer_metrics_daily"] == 1
    assert read_officers(connection, DAY)["officer_id"].to_list() == ["O1", "O2"]
    assert len(read_officers(connection, yesterday)) == 3


def test_the_newest_day_is_read_by_default(connection: psycopg.Connection) -> None:
    assert newest_day(connection) is None
    assert read_officers(connection).is_empty()
    put(connection)
    put(connection, OFFICERS.head(1), day=DAY - timedelta(days=1))
    assert newest_day(connection) == DAY
    assert len(read_officers(connection)) == 3
    assert len(read_branches(connection)) == 1


def test_loan_state_follows_changes_additions_and_removals(connection: psycopg.Connection) -> None:
    january, may = date(2026, 1, 5), date(2026, 5, 31)
    put(connection, loan_state=states(("L1", january, 100), ("L2", january, 200), ("L3", may, 300)))
    now = states(("L1", january, 100), ("L2", january, 250), ("L4", may, -5))
    assert put(connection, loan_state=now)["loan_state"] == 2
    assert outstanding(connection) == {"L1": "1.00", "L2": "2.50", "L4": "-0.05"}


def test_a_loan_whose_disbursement_moves_to_another_month_is_there_once(
    connection: psycopg.Connection,
) -> None:
    put(connection, loan_state=states(("L1", date(2026, 1, 5), 100)))
    put(connection, loan_state=states(("L1", date(2026, 2, 5), 100)))
    rows = connection.execute("SELECT disbursement_date, tableoid::regclass::text FROM loan_state").fetchall()
    assert rows == [(date(2026, 2, 5), "loan_state_2026_02")]


@pytest.mark.parametrize("told", [False, True])
def test_whatever_became_of_the_loans_only_those_that_differ_are_written(
    connection: psycopg.Connection, told: bool
) -> None:
    """Of months with loans and without, before and after all others, and beyond those that have partitions."""
    days = [date(1899, 12, 31), date(2025, 12, 31), *(date(2026, 1, 1), date(2026, 1, 31)), date(2200, 1, 1)]
    draw, loans = Random(11), [f"L{number}" for number in range(8)]
    before: set[tuple[str, date, int]] = set()
    for _ in range(16):
        now = {(loan, draw.choice(days), draw.randrange(2)) for loan in draw.sample(loans, draw.randrange(9))}
        touched = {loan for loan, *_ in before ^ now} | set(draw.sample(loans, 2)) if told else set(loans)
        stood = written(connection)
        book = states(*sorted(now), ("nobody's", DAY, 0)).filter(pl.col("loan_id").is_in(sorted(touched)))
        named = pl.Series(sorted(touched)) if told else None
        changed = put(connection, loan_state=book, touched=named)["loan_state"]
        assert changed == max(len(before - now), len(now - before))
        stands = written(connection)
        assert set(stands) == now
        assert {loan: stands[loan] for loan in before & now} == {loan: stood[loan] for loan in before & now}
        before = now


def test_amounts_that_trade_places_are_a_change(connection: psycopg.Connection) -> None:
    loans = states(("L1", date(2026, 1, 5), 100)).with_columns(
        principal_outstanding=1, interest_outstanding=2
    )
    put(connection, loan_state=loans)
    traded = loans.with_columns(principal_outstanding=2, interest_outstanding=1)
    assert put(connection, loan_state=traded)["loan_state"] == 1


def test_loan_state_reads_back_as_it_was(connection: psycopg.Connection) -> None:
    loans = states(("L1", date(2026, 1, 5), 100)).with_columns(
        closed_as=pl.lit("paid"), first_payment_missed=True, last_payment_date=date(2026, 2, 1), current_dpd=7
    )
    put(connection, loan_state=loans)
    row = connection.execute(
        "SELECT closed_as, first_payment_missed, last_payment_date, current_dpd, next_payment_due"
        " FROM loan_state"
    ).fetchone()
    assert row == ("paid", True, date(2026, 2, 1), 7, None)


def test_loan_state_is_left_alone_when_none_is_given(connection: psycopg.Connection) -> None:
    put(connection, loan_state=states(("L1", date(2026, 1, 5), 100)))
    put(connection, day=DAY - timedelta(days=30))
    assert outstanding(connection) == {"L1": "1.00"}


def test_transitions_of_the_day_are_replaced(connection: psycopg.Connection) -> None:
    moves = pl.DataFrame(
        {
            "loan_id": ["L1", "L2"],
            "officer_id": ["O1", None],
            "transition_date": [DAY, DAY],
            "from_dpd_bucket": ["0", None],
            "to_dpd_bucket": ["1-6", "0"],
            "outstanding_balance": [100, 200],
        }
    )
    assert put(connection, transitions=moves)["dpd_transitions"] == 2
    assert put(connection, transitions=moves.head(1))["dpd_transitions"] == 1
    rows = connection.execute("SELECT loan_id, outstanding_balance::text FROM dpd_transitions").fetchall()
    assert rows == [("L1", "1.00")]


def test_par15_is_frozen_once_published(connection: psycopg.Connection) -> None:
    frozen = pl.DataFrame(
        {
            "officer_id": ["O1"],
            "region": ["West"],
            "branch": ["Ikeja"],
            "par15_exposure": [100],
            "par15_count": [1],
        }
    )
    assert put(connection, par15=frozen)["par15_snapshots"] == 1
    assert put(connection, par15=frozen.with_columns(par15_exposure=999))["par15_snapshots"] == 0
    rows = connection.execute("SELECT snapshot_date, par15_exposure::text FROM par15_snapshots").fetchall()
    assert rows == [(DAY, "1.00")]


def test_the_run_is_completed_with_what_it_changed(connection: psycopg.Connection) -> None:
    put(connection)
    (row,) = runs.recent(connection)
    assert (row["status"], row["records_updated"]) == ("Completed", 4)


def test_a_run_that_cannot_complete_publishes_nothing(connection: psycopg.Connection) -> None:
    run = start(connection)
    runs.fail(connection, run, "taken for dead")
    with pytest.raises(StoreError, match="no longer open"):
        publish(connection, run, OFFICERS, BRANCHES, [states(("L1", date(2026, 1, 5), 100)).lazy()])
    assert read_officers(connection, DAY).is_empty()
    assert outstanding(connection) == {}


def test_readers_see_the_old_figures_until_all_is_published(
    database: str, connection: psycopg.Connection
) -> None:
    put(connection)
    with connect(database) as reader, connection.transaction(force_rollback=True):
        put(connection, OFFICERS.head(1))
        assert len(read_officers(reader, DAY)) == 3
    assert len(read_officers(connection, DAY)) == 3


def test_a_column_the_table_lacks_is_named(connection: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match=r"has no column novelty \(run: loanmetrics migrate\)"):
        put(connection, OFFICERS.with_columns(novelty=1.0))


def test_an_incomplete_loan_state_is_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(StoreError, match="loan state lacks on_book, overpaid"):
        put(connection, loan_state=states(("L1", DAY, 1)).drop("on_book", "overpaid"))
