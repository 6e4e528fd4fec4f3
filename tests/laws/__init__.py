"""Engine and oracle side by side: everything either of them says about a book on a day, compared exactly."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from loanmetrics.engine import findings, loans, results, run
from loanmetrics.engine.book import Book
from loanmetrics.engine.catalogue import Catalogue, load
from loanmetrics.facts.prepare import Intake
from loanmetrics.policy import Policy
from tests import oracle, support

CELL = ("officer_id", "region", "branch")
GROUPS: dict[str, tuple[str, ...]] = {"branches": CELL[1:], "regions": ("region",), "book": ()}
# Sums of several quotients in floating point: the oracle's fractions are right to the last bit, these nearly so.
NEARLY = ("risk_score_norm", "loan_risk_score")
ALIASES = {"risk_score_band": "risk_band"}


def differences(book: Book, intake: Intake, theirs: oracle.Answer) -> list[str]:
    """Every figure on which the engine differs from the oracle."""
    catalogue = load(book.policy, book.as_of)
    cells = run.cells(book, catalogue)
    return [
        *_unequal("quarantine", intake.quarantine, theirs.quarantine),
        *_unequal("findings", _findings(book, intake), _nonzero(theirs.findings)),
        *differing("cells", _keyed(cells, CELL), theirs.cells),
        *differing("loans", _loans(book), theirs.loans),
        *differing("officers", _keyed(results.officers(cells, book, catalogue), CELL[:1]), theirs.officers),
        *_grouped(cells, book, catalogue, theirs),
    ]


def assert_agreed(
    rows: support.Rows,
    as_of: date,
    policy: Policy,
    frozen: Sequence[Mapping[str, Any]] = (),
    *,
    every_day: bool = False,
) -> oracle.Answer:
    """The answer that both give."""
    theirs = oracle.evaluate(rows, as_of, policy, frozen, every_day=every_day)
    found = differences(*support.book_of(rows, as_of, policy, frozen), theirs)
    assert not found, "\n".join(found)
    return theirs


def _grouped(cells: pl.DataFrame, book: Book, catalogue: Catalogue, theirs: oracle.Answer) -> Iterable[str]:
    for name, by in GROUPS.items():
        ours = _keyed(results.branches(cells, book, catalogue, by), by)
        yield from differing(name, ours, getattr(theirs, name) if by else {(): theirs.book})


def _loans(book: Book) -> dict[Any, dict[str, Any]]:
    table = loans.states(book)
    return _keyed(table.drop(CELL), ("loan_id",)) if len(table) else {}


def _keyed(table: pl.DataFrame, key: Sequence[str]) -> dict[Any, dict[str, Any]]:
    """Rows by key; a key of one column stands by itself."""
    found = {}
    for row in table.to_dicts():
        values = tuple(row.pop(name) for name in key)
        found[values[0] if len(key) == 1 else values] = row
    assert len(found) == len(table), f"{key} does not identify rows"
    return found


def _findings(book: Book, intake: Intake) -> dict[str, int]:
    total = dict(intake.findings) | findings.of_officers(book)
    for found in run.each_shard(book, findings.of_shard):
        for name, count in found.items():
            total[name] = total.get(name, 0) + count
    return _nonzero(total)


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _unequal(name: str, ours: object, theirs: object) -> list[str]:
    return [] if ours == theirs else [f"{name}: {ours} is not {theirs}"]


def differing(name: str, ours: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> Iterable[str]:
    yield from _unequal(f"{name}, keys", set(ours), set(theirs))
    for key in sorted(ours.keys() & theirs.keys()):
        wanted = {ALIASES.get(column, column): value for column, value in theirs[key].items()}
        yield from _unequal(f"{name} {key}, columns", set(ours[key]), set(wanted))
        for column in sorted(ours[key].keys() & wanted.keys()):
            if not _same(column, ours[key][column], wanted[column]):
                yield f"{name} {key} {column}: {ours[key][column]!r} is not {wanted[column]!r}"


def _same(column: str, ours: Any, theirs: Any) -> bool:
    if column in NEARLY and ours is not None and theirs is not None:
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12)
    return bool(ours == theirs) and (ours is None) == (theirs is None)
