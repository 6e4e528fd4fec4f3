"""Do the tests notice a fault? Each planted one must make engine and oracle differ on a few fixed books."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import loanmetrics
from loanmetrics.engine import results, run
from loanmetrics.engine.book import Book, Facts, Shard
from loanmetrics.engine.catalogue import load
from loanmetrics.facts.prepare import Intake
from loanmetrics.policy import Policy
from tests import laws, oracle, support
from tests.cases import FORMULAS, RANKINGS, balances, lateness, people, reversals, revisions, waivers
from tests.cases.case import Ranking
from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
AGREES, DIFFERS = 0, 3
BOOKS = 18
UNPAID = next(case for case in lateness.CASES if case.name.startswith("a: "))
SHARP = [
    *lateness.CASES,
    *balances.CASES,
    *waivers.CASES,
    *people.CASES,
    *reversals.CASES,
    *revisions.CASES,
    replace(UNPAID, name="60 days late", as_of=date(2026, 4, 30)),
    replace(UNPAID, name="7 days late a week ago", as_of=date(2026, 3, 15)),
    replace(UNPAID, name="35 days late, 5 a month ago", as_of=date(2026, 4, 5), policy=Policy(roll_days=30)),
]
JUDGE = "import sys; from tests.test_mutations import judge; judge(*sys.argv[1:])"
Frames = Sequence[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]


@dataclass(frozen=True)
class Exhibit:
    """A book ready for the engine, and the oracle's answer; shards as frames, which can be kept in a file."""

    facts: Facts
    shards: Frames
    intake: Intake
    as_of: date
    policy: Policy
    answer: oracle.Answer


# --- The judge, who imports whichever engine lies first on the path -----------------------------------------


def judge(evidence: str, package: str) -> None:
    """Exit with DIFFERS at the first figure on which that engine and the oracle differ."""
    assert Path(loanmetrics.__file__).is_relative_to(package), f"{loanmetrics.__file__} is not in {package}"
    exhibits: list[Exhibit] = pickle.loads(Path(evidence).read_bytes())
    for said in _verdicts(exhibits):
        print(said)
        sys.exit(DIFFERS)


def _verdicts(exhibits: Sequence[Exhibit]) -> Iterator[str]:
    for formula in FORMULAS:
        yield from _formula(exhibits[0].facts, formula.measures, formula.policy)
    for ranking in RANKINGS:
        yield from _ranking(ranking)
    for exhibit in exhibits:
        shards = tuple(
            Shard(loans.lazy(), schedule.lazy(), repayments.lazy())
            for loans, schedule, repayments in exhibit.shards
        )
        facts = replace(exhibit.facts, shards=shards)
        yield from laws.differences(
            Book(facts, exhibit.as_of, exhibit.policy), exhibit.intake, exhibit.answer
        )


def _formula(facts: Facts, measures: Mapping[str, int], policy: Policy) -> Iterable[str]:
    day = support.SAMPLE_DAY
    whole = dict.fromkeys(oracle.measured(policy), 0) | dict(measures)
    ours = run.evaluate(pl.DataFrame(whole), Book(facts, day, policy), load(policy, day))
    return laws.differing(
        "metrics",
        {(): ours.row(0, named=True)},
        {(): whole | oracle.metrics(whole, policy, day)},
    )


def _ranking(ranking: Ranking) -> Iterable[str]:
    scores = {
        name: (Fraction(risk), None if ayr is None else Fraction(ayr))
        for name, (risk, ayr) in ranking.scores.items()
    }
    rows = pl.DataFrame(
        {
            "officer_id": list(scores),
            "risk_score_norm": [float(risk / 100) for risk, _ in scores.values()],
            "ayr": [None if ayr is None else float(ayr) for _, ayr in scores.values()],
            "active_loans": 1,
        }
    )
    ours = rows.select("officer_id", results.rank(rows, 1))
    theirs = oracle.ranks(scores)
    return laws.differing("ranks", {(): dict(ours.iter_rows())}, {(): theirs})


# --- The evidence -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.strategies import fixed

    books = sorted(fixed(BOOKS), key=lambda case: -len(case.rows["repayments"]))
    prepared: dict[int, tuple[Book, Intake]] = {}
    # A generated book shows more faults than a case that is made for one: fewer are looked at until one shows.
    exhibits = [_exhibit(prepared, case.rows, case.as_of, case.policy, case.frozen) for case in books] + [
        _exhibit(prepared, case.rows, case.as_of, case.policy, case.frozen_par15) for case in SHARP
    ]
    path = tmp_path_factory.mktemp("evidence") / "exhibits.pickle"
    path.write_bytes(pickle.dumps(exhibits))
    return path


def _exhibit(
    prepared: dict[int, tuple[Book, Intake]],
    rows: support.Rows,
    as_of: date,
    policy: Policy,
    frozen: Sequence[Mapping[str, Any]],
) -> Exhibit:
    """Cases that share rows share the facts made of them, which no other part of a policy touches than max_amount."""
    if id(rows) not in prepared:
        prepared[id(rows)] = support.book_of(rows, as_of, policy, frozen)
    book, intake = prepared[id(rows)]
    shards = [
        (shard.loans.collect(), shard.schedule.collect(), shard.repayments.collect())
        for shard in book.facts.shards
    ]
    answer = oracle.evaluate(rows, as_of, policy, frozen)
    return Exhibit(replace(book.facts, shards=()), shards, intake, as_of, policy, answer)


# --- The trials ---------------------------------------------------------------------------------------------


def _judged(evidence: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", JUDGE, str(evidence), str(folder)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of the package, compiled modules included: most stay as they are."""
    shutil.copytree(ROOT / "loanmetrics", tmp_path / "loanmetrics")
    return tmp_path


def test_the_engine_as_it_is_agrees(evidence: Path, copied: Path) -> None:
    found = _judged(evidence, copied)
    assert found.returncode == AGREES, found.stdout + found.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_planted_fault_is_noticed(mutant: Mutant, evidence: Path, copied: Path) -> None:
    module = copied / "loanmetrics" / mutant.file
    text = module.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} holds the text {text.count(mutant.old)} times"
    module.write_text(text.replace(mutant.old, mutant.new))
    for compiled in module.parent.glob(f"__pycache__/{module.stem}.*"):
        compiled.unlink()
    found = _judged(evidence, copied)
    assert found.returncode == DIFFERS, f"{mutant.rule}: exit {found.returncode}\n{found.stderr}"
