"""All planted oddities, as tables and as lines of a README."""

from collections import defaultdict
from collections.abc import Iterator

import pyarrow as pa

from synthetic.lender import Lender
from synthetic.planted import loans, repayments, schedules
from synthetic.planted.plot import FIRST_NUMBER, Plant, Plot, Row
from synthetic.schemas import SCHEMAS

CASES: tuple[Plant, ...] = (*loans.CASES, *schedules.CASES, *repayments.CASES)


def planted(lender: Lender) -> dict[str, pa.Table]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for plot, plant in _plots(lender):
        plant(plot)
        for table, planted_rows in plot.rows.items():
            rows[table] += planted_rows
    return {table: pa.Table.from_pylist(found, SCHEMAS[table]) for table, found in rows.items()}


def described(lender: Lender) -> Iterator[tuple[str, str, str]]:
    """For each oddity: the loan it stands on, what is odd, and the rule it exercises."""
    for plot, plant in _plots(lender):
        odd, rule = (plant.__doc__ or "").split(" | ")
        yield plot.loan_id, odd, rule


def _plots(lender: Lender) -> Iterator[tuple[Plot, Plant]]:
    for position, plant in enumerate(CASES):
        yield Plot(lender, FIRST_NUMBER + position), plant
