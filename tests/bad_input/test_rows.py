"""Computing from what stands in PostgreSQL: bad rows change no figure, odd ones change what the oracle says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from loanmetrics.facts.lake import intake
from loanmetrics.facts.sifting import keeps
from loanmetrics.jobs import sampling
from loanmetrics.policy import Policy
from loanmetrics.tables import FACT_COLUMNS, LENDER_TABLES, LOAN_STATE, Kind
from loanmetrics.testing import Databases
from tests import oracle
from tests.bad_input.figures import figures
from tests.bad_input.rows import FOREIGN, HELD, NULLS, ODD, SOUND, TEXTS, Row
from tests.jobs.conftest import Cli
from tests.jobs.lender import Lender, lender_at
from tests.jobs.small import DAY
from tests.jobs.stored import asked, told

COMPUTE = ("compute", "--as-of", str(DAY), "--policy", "lenient.toml")
LENIENT = "max_quarantine_share = 1.0"
CHECKS = """
    SELECT conrelid::regclass::text, conname FROM pg_constraint
    WHERE contype = 'c' AND conparentid = 0 AND conrelid = ANY (%s::regclass[])
"""
LOG = "SELECT quarantine, findings FROM metric_calculation_log ORDER BY log_id DESC LIMIT 1"


@pytest.fixture(autouse=True)
def both_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loan is computed twice, not every hundredth."""
    monkeypatch.setattr(sampling, "SHARE", 1)


@pytest.fixture
def lenient(tmp_path: Path) -> None:
    (tmp_path / "lenient.toml").write_text(LENIENT)


@pytest.fixture
def bare(small: str) -> str:
    """The small book in tables as a lender may have them: without our checks."""
    with psycopg.connect(small) as connection:
        names = [table.name for table in LENDER_TABLES]
        for table, name in connection.execute(CHECKS, [names]).fetchall():
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            connection.execute(drop.format(sql.Identifier(table), sql.Identifier(name)))
    return small


def insert(url: str, rows: Sequence[Row]) -> None:
    with psycopg.connect(url) as connection:
        for number, row in enumerate(rows, 10):
            sound = {name: text.format(number) for name, text in SOUND[row.table].items()}
            cells = sound | row.cells
            statement = f"INSERT INTO {row.table} ({', '.join(cells)}) VALUES ({', '.join(cells.values())})"
            connection.execute(statement.encode())


def wanted(rows: Sequence[Row]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for row in rows:
        name = f"{row.table}.{row.rule}"
        counted[name] = counted.get(name, 0) + 1
    return counted


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("detection", ["triggers", "hashes"])
def test_bad_rows_are_held_back_and_no_figure_changes(
    run: Cli, bare: str, home: Path, monkeypatch: pytest.MonkeyPatch, detection: str
) -> None:
    """Whether they were there from the start or came since, and however it is found out that they came."""
    monkeypatch.setenv("LOANMETRICS_CHANGE_DETECTION", detection)
    assert run(bare, *COMPUTE)[0] == 0
    before = _published(bare)
    insert(bare, HELD)
    for words, how in (((), "read what changed"), (("--full",), "read everything (asked for)")):
        code, out, err = run(bare, *COMPUTE, *words)
        assert (code, err) == (0, "")
        assert how in out
        assert asked(bare, LOG)[0][0] == wanted(HELD)
        assert _published(bare) == before
        assert list(home.glob("error-*.log")) == []
    told(bare, "DELETE FROM repayments WHERE repayment_id LIKE 'B%'")
    assert run(bare, *COMPUTE)[0] == 0
    left = [row for row in HELD if row.table != "repayments" or row.rule == "duplicate_id"]
    assert asked(bare, LOG)[0][0] == wanted(left)
    assert _published(bare) == before


def _published(url: str) -> list[Any]:
    return figures(url)[:3]


@pytest.mark.usefixtures("lenient")
def test_odd_rows_are_used_as_defined_and_counted(run: Cli, bare: str, home: Path) -> None:
    insert(bare, ODD)
    assert run(bare, *COMPUTE)[0] == 0
    found = asked(bare, LOG)[0][1]
    assert {row.rule for row in ODD if row.rule} <= found.keys()
    _as_the_oracle_says(bare, home)


@pytest.mark.usefixtures("lenient")
def test_nulls_wherever_they_may_be_are_used_as_defined(run: Cli, bare: str, home: Path) -> None:
    insert(bare, [Row(table, {column: "NULL"}, "") for table, column in NULLS])
    for table, sound in SOUND.items():
        needed = {name: value for name, value in sound.items() if (table, name) not in NULLS}
        cells = {name: value.format(900) for name, value in needed.items()}
        told(bare, f"INSERT INTO {table} ({', '.join(cells)}) VALUES ({', '.join(cells.values())})")
    assert run(bare, *COMPUTE)[0] == 0
    assert asked(bare, LOG)[0][0] == {"loans.no_due_date": 2}
    _as_the_oracle_says(bare, home)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("plain", [True, False], ids=["plainly", "cell by cell"])
def test_text_is_taken_as_it_is(run: Cli, bare: str, home: Path, plain: bool) -> None:
    """Also where another row makes the source be read cell by cell."""
    loan = sql.SQL(
        "INSERT INTO loans (loan_id, officer_id, region, branch, channel, loan_amount, disbursement_date,"
        " maturity_date) VALUES (%s, %s, %s, %s, %s, 10, '2026-02-02', '2026-03-02')"
    )
    payment = sql.SQL(
        "INSERT INTO repayments (repayment_id, loan_id, payment_date, payment_amount, payment_method)"
        " VALUES (%s, %s, '2026-03-02', 3, %s)"
    )
    with psycopg.connect(bare) as connection:
        for text in TEXTS:
            connection.execute(loan, [text] * 5)
            connection.execute(payment, [text] * 3)
    if not plain:
        insert(bare, [Row(table, {column: "'NaN'"}, "bad_money") for table, column in NOT_NUMBERS])
    assert run(bare, *COMPUTE)[0] == 0
    kept = {name for (name,) in asked(bare, "SELECT loan_id FROM loan_state")}
    assert set(TEXTS) <= kept
    _as_the_oracle_says(bare, home, all_held=plain)


NOT_NUMBERS = [("loans", "fee_amount"), ("repayments", "fees_paid"), ("loan_schedule", "fee_due")]


def _as_the_oracle_says(url: str, home: Path, *, all_held: bool = True) -> None:
    """Loans, officers and what is held back."""
    policy = Policy.from_toml(LENIENT)
    with lender_at(url, home) as lender:
        raw = {name: _rows(lender, name) for name in FACT_COLUMNS}
        answer = oracle.evaluate(raw, DAY, policy, every_day=True)
        if all_held:
            assert intake(lender.lake, lender.version(DAY)).quarantine == answer.quarantine
        states = {row.pop("loan_id"): row for row in _rows(lender, LOAN_STATE.name)}
    said = {loan: {name: states[loan][name] for name in LOAN_STATE.names[1:]} for loan in states}
    theirs = {
        loan: {name: _units(name, row[name]) for name in LOAN_STATE.names[1:]}
        for loan, row in answer.loans.items()
    }
    assert said == theirs


def _units(name: str, value: Any) -> Any:
    return Decimal(value) / 100 if LOAN_STATE.column(name).kind == "money" else value


def _rows(lender: Lender, name: str) -> list[dict[str, Any]]:
    """All that can be read as what it is."""
    readable = {
        "loans": "coalesce(fee_amount, 0) <> 'NaN'",
        "repayments": "coalesce(fees_paid, 0) <> 'NaN'",
        "loan_schedule": "coalesce(fee_due, 0) <> 'NaN'",
    }
    with lender.connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SELECT * FROM {name} WHERE {readable.get(name, 'true')}".encode()).fetchall()


@pytest.mark.parametrize(
    ("kind", "type_", "kept"),
    [
        ("money", "numeric(18,2)", True),
        ("money", "numeric(12,0)", True),
        ("money", "numeric(18,4)", False),
        ("money", "numeric(20,2)", False),
        ("money", "numeric", False),
        ("money", "double precision", False),
        ("money", "integer", True),
        ("rate", "numeric(5,4)", True),
        ("rate", "numeric(9,7)", False),
        ("date", "date", True),
        ("date", "timestamp without time zone", False),
        ("int", "bigint", False),
        ("bool", "integer", False),
        ("text", "uuid", True),
        ("money", "", False),
    ],
)
def test_what_another_type_may_hold_is_read_plainly_only_if_ours_keeps_it(
    kind: Kind, type_: str, kept: bool
) -> None:
    assert keeps(kind, type_) is kept


@dataclass(frozen=True)
class Foreign:
    """A lender's database with types of its own."""

    source: str
    own: str


@pytest.fixture
def foreign(databases: Databases, small: str) -> Iterator[Foreign]:
    """Amounts of four decimals, numbers of seven bytes, dates as text."""
    with databases.migrated() as own, psycopg.connect(small) as connection:
        connection.execute("DROP VIEW loans_with_state")
        for name in ("fee_amount", "interest_rate"):
            connection.execute(
                sql.SQL("ALTER TABLE loans ALTER {} TYPE numeric").format(sql.Identifier(name))
            )
        connection.execute("ALTER TABLE loans ALTER maturity_date TYPE text USING maturity_date::text")
        connection.execute("ALTER TABLE loans ALTER loan_term_days TYPE double precision")
        connection.commit()
        yield Foreign(small, own)


@pytest.mark.usefixtures("lenient")
def test_other_types_are_read_if_nothing_is_lost_by_it(
    run: Cli, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANMETRICS_SOURCE_URL", foreign.source)
    monkeypatch.setenv("LOANMETRICS_CHANGE_DETECTION", "hashes")
    insert(foreign.source, [Row("loans", {column: value}, rule) for column, value, rule in FOREIGN])
    assert run(foreign.own, *COMPUTE)[0] == 0
    held = wanted([Row("loans", {}, rule) for _, _, rule in FOREIGN if rule])
    assert asked(foreign.own, LOG)[0][0] == held
    assert asked(foreign.own, "SELECT count(*) FROM loan_state") == [(7,)]
