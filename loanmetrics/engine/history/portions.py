"""Parts of a ledger as ledgers: a range of its loans, or copies of some of them."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np

from loanmetrics.engine.calendar import Ints
from loanmetrics.engine.ledger import Dues, Keys, Ledger, Loans, Repayments
from loanmetrics.engine.sums import Spans, running

Table = TypeVar("Table", Loans, Dues, Repayments)
Rows = TypeVar("Rows", Dues, Repayments)


def portions(ledger: Ledger, size: int) -> Iterator[tuple[int, Ledger]]:
    """Ranges of ``size`` loans, small enough to stay close to the processor; with the first loan of each."""
    for begin in range(0, len(ledger.loans), size):
        some = slice(begin, begin + size)
        yield (
            begin,
            Ledger(
                Keys(ledger.keys.loan[some]),
                _taken(ledger.loans, some),
                _range(ledger.dues, some),
                _range(ledger.repayments, some),
            ),
        )


def _range(table: Rows, loans: slice) -> Rows:
    start, stop = table.spans.start[loans], table.spans.stop[loans]
    first, last = int(start[0]), int(stop[-1])
    part = _taken(table, slice(first, last))
    return replace(part, loan=part.loan - loans.start, spans=Spans(start - first, stop - first))


def copies(ledger: Ledger, loan: Ints) -> tuple[Ledger, Ints, Ints]:
    """A ledger of copies of loans; with it the row each copied repayment comes from, and its copy."""
    rows, row_copy = rows_of(ledger.repayments.spans, loan)
    dues, due_copy = rows_of(ledger.dues.spans, loan)
    copies = len(loan)
    own = Ledger(
        Keys(np.arange(copies)),
        _taken(ledger.loans, loan),
        replace(_taken(ledger.dues, dues), loan=due_copy, spans=Spans.of(due_copy, copies)),
        replace(_taken(ledger.repayments, rows), loan=row_copy, spans=Spans.of(row_copy, copies)),
    )
    return own, rows, row_copy


def rows_of(spans: Spans, loan: Ints) -> tuple[Ints, Ints]:
    """Positions of all rows of the loans, loan after loan, and which of them each belongs to."""
    count = spans.stop[loan] - spans.start[loan]
    of = np.repeat(np.arange(len(loan)), count)
    return spans.start[loan][of] + np.arange(len(of)) - running(count)[:-1][of], of


def _taken(table: Table, rows: Ints | slice) -> Table:
    """Some rows of a table, in this order; ``spans`` stay as they are."""
    columns = [field.name for field in fields(table) if field.name != "spans"]
    return replace(table, **{name: getattr(table, name)[rows] for name in columns})
