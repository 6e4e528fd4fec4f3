"""Engine, oracle and referee give what the worked cases of the definitions say."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import duckdb
import polars as pl
import pytest

from loanmetrics import referee, tables
from loanmetrics.engine import findings, results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import load
from loanmetrics.engine.loans import states, with_risk
from loanmetrics.facts.prepare import Intake
from tests import oracle, support
from tests.cases import CASES, FORMULAS, RANKINGS
from tests.cases.case import Case, Figures, Formula, Ranking, Value

CATALOGUE = load()
MONEY = {name for name, kind in CATALOGUE.columns if kind == "money"}
MONEY |= {column.name for column in tables.LOAN_STATE.columns if column.kind == "money"}
BY_NAME = {case.name: case for case in CASES}
WORKED = "abcdefghijklmnopq"
Told = Mapping[str, Any]

each_case = pytest.mark.parametrize("name", BY_NAME)
each_case_of_loans = pytest.mark.parametrize("name", [case.name for case in CASES if case.loans])
each_case_of_groups = pytest.mark.parametrize(
    "name", [case.name for case in CASES if case.book or case.officers or case.branches]
)
each_formula = pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
each_ranking = pytest.mark.parametrize("ranking", RANKINGS, ids=lambda ranking: ranking.name)


@dataclass(frozen=True)
class Groups:
    """Figures of the groups of one case."""

    officers: Mapping[str, Told]
    branches: Mapping[str, Told]
    book: Told


@each_case
def test_the_engine(name: str) -> None:
    case, (book, intake) = BY_NAME[name], _book(name)
    _assert_loans(case, _keyed(states(book), "loan_id"))
    _assert_groups(case, _groups(run.cells(book), book))
    _assert_counted(case, intake.quarantine, _findings(book, intake))


@each_case
def test_the_oracle(name: str) -> None:
    case = BY_NAME[name]
    told = oracle.evaluate(case.rows, case.as_of, case.policy, case.frozen_par15, every_day=True)
    officers = {officer_id: _banded(figures) for officer_id, figures in told.officers.items()}
    branches = {branch: _banded(figures) for (_, branch), figures in told.branches.items()}
    _assert_loans(case, told.loans)
    _assert_groups(case, Groups(officers, branches, _banded(told.book)))
    _assert_counted(case, told.quarantine, told.findings)


@each_case_of_loans
def test_the_referees_loans(name: str) -> None:
    """The loan risk score follows from its loans by the engine's formula."""
    book, _ = _book(name)
    with _asked(book) as connection:
        loans = referee.loans(connection, book.as_of, book.policy)
    officers = states(book).select("loan_id", "officer_id")
    _assert_loans(BY_NAME[name], _keyed(with_risk(loans.join(officers, on="loan_id")), "loan_id"))


@each_case_of_groups
def test_the_referees_cells(name: str) -> None:
    """Metrics follow from its cells by the engine's formulas."""
    book, _ = _book(name)
    with _asked(book) as connection:
        cells = referee.cells(connection, book.as_of, book.policy)
    _assert_groups(BY_NAME[name], _groups(cells, book))


@each_formula
def test_the_engines_formulas(formula: Formula) -> None:
    book, _ = support.book_of({}, support.SAMPLE_DAY, formula.policy)
    catalogue = load(formula.policy, book.as_of)
    measures = pl.DataFrame({name: [formula.measures.get(name, 0)] for name in catalogue.measures})
    _assert_figures(formula.metrics, run.evaluate(measures, book, catalogue).row(0, named=True))


@each_formula
def test_the_oracles_formulas(formula: Formula) -> None:
    measures = dict.fromkeys(oracle.measured(formula.policy), 0) | dict(formula.measures)
    told = oracle.metrics(measures, formula.policy, support.SAMPLE_DAY)
    _assert_figures(formula.metrics, _banded(told))


@each_ranking
def test_the_engines_ranks(ranking: Ranking) -> None:
    scores = [
        (float(risk) / 100, None if ayr is None else float(ayr), 1) for risk, ayr in ranking.scores.values()
    ]
    frame = pl.DataFrame(scores, schema=["risk_score_norm", "ayr", "active_loans"], orient="row")
    places = frame.select(results.rank(frame, min_loans=1)).to_series()
    assert dict(zip(ranking.scores, places, strict=True)) == ranking.places


@each_ranking
def test_the_oracles_ranks(ranking: Ranking) -> None:
    scores = {
        who: (Fraction(risk), None if ayr is None else Fraction(ayr))
        for who, (risk, ayr) in ranking.scores.items()
    }
    assert oracle.ranks(scores) == ranking.places


def test_every_worked_case_is_here_and_no_name_twice() -> None:
    names = [*(case.name for case in CASES), *(formula.name for formula in FORMULAS)]
    names += [ranking.name for ranking in RANKINGS]
    assert {name[0] for name in names if name[1:3] == ": "} == set(WORKED)
    assert len(set(names)) == len(names)


def test_every_case_checks_something() -> None:
    assert [case.name for case in CASES if not _checked(case)] == []


def _checked(case: Case) -> bool:
    groups = (*case.loans.values(), *case.officers.values(), *case.branches.values(), case.book)
    return any((*groups, case.quarantine, case.findings))


@cache
def _book(name: str) -> tuple[Book, Intake]:
    case = BY_NAME[name]
    return support.book_of(case.rows, case.as_of, case.policy, case.frozen_par15)


def _groups(cells: pl.DataFrame, book: Book) -> Groups:
    catalogue = load(book.policy, book.as_of)
    officers = results.officers(cells, book, catalogue)
    branches = results.branches(cells, book, catalogue)
    whole = results.branches(cells, book, catalogue, by=())
    return Groups(_keyed(officers, "officer_id"), _keyed(branches, "branch"), whole.row(0, named=True))


def _keyed(frame: pl.DataFrame, key: str) -> dict[str, Told]:
    return {row[key]: row for row in frame.to_dicts()}


@contextmanager
def _asked(book: Book) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that holds the facts of a book as the referee wants them."""
    (shard,) = book.facts.shards
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in referee.SHARDED:
            connection.register(name, getattr(shard, name).collect().to_arrow())
        for name in referee.SINGLE:
            connection.register(name, getattr(book.facts, name).to_arrow())
        yield connection


def _findings(book: Book, intake: Intake) -> Counter[str]:
    found = Counter(intake.findings)
    for part in (findings.of_officers(book), *run.each_shard(book, findings.of_shard)):
        found.update(part)
    return found


def _banded(figures: oracle.Figures) -> oracle.Figures:
    """The oracle names every band after its metric."""
    return {**figures, "risk_band": figures["risk_score_band"]}


def _assert_loans(case: Case, told: Mapping[str, Told]) -> None:
    for loan_id, figures in case.loans.items():
        _assert_figures(figures, told[loan_id])


def _assert_groups(case: Case, told: Groups) -> None:
    for officer_id, figures in case.officers.items():
        _assert_figures(figures, told.officers[officer_id])
    for branch, figures in case.branches.items():
        _assert_figures(figures, told.branches[branch])
    _assert_figures(case.book, told.book)


def _assert_counted(case: Case, quarantine: Mapping[tuple[str, str], int], found: Mapping[str, int]) -> None:
    assert quarantine == case.quarantine
    assert {name: found.get(name, 0) for name in case.findings} == case.findings


def _assert_figures(expected: Figures, told: Told) -> None:
    assert {name: told[name] for name in expected} == {
        name: _stored(name, value) for name, value in expected.items()
    }


def _stored(name: str, value: Value) -> Any:
    """An expected figure as it is stored: money in minor units, ratios as floats."""
    if name in MONEY:
        return int(Decimal(str(value)) * tables.MINOR_PER_UNIT)
    return pytest.approx(float(value), abs=1e-12) if isinstance(value, Fraction) else value
