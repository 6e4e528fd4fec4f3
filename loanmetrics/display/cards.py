"""One figure explained, and one loan's account, as HTML."""

import polars as pl

from loanmetrics.display import frames
from loanmetrics.display.table import Column, Table, code, paragraph
from loanmetrics.engine.metric import Metric
from loanmetrics.engine.statement import Statement
from loanmetrics.formatting import cell

LOANS = 10
EVERY = 1_000


def explained(
    metric: Metric,
    value: float | int | bool | None,
    made_of: pl.DataFrame,
    terms: pl.DataFrame,
    loans: pl.DataFrame,
) -> str:
    """The value and its band, what it means, what each term costs, what it is made of, its first loans."""
    band = metric.bands.of(None if value is None else float(value)) if metric.bands else ""
    shown = metric.reason if value is None else frames.value(value, metric)
    parts = [
        paragraph(f"{metric.title}: {shown}", band),
        paragraph(metric.about),
        _terms(terms).html() if len(terms) else code(metric.formula),
        frames.plain(made_of, EVERY, caption="Made of").html(),
        frames.plain(_foremost(loans), LOANS, caption="Loans, and what each adds").html(),
    ]
    return "".join(parts)


def account(statement: Statement) -> str:
    """How the loan stands, its installments, its payments."""
    loan = statement.loan
    stands = f"{loan['current_dpd']} days past due" if loan["on_book"] else str(loan["closed_as"])
    owed = cell(loan["total_outstanding"], "money")
    line = f"Loan {loan['loan_id']}, disbursed {loan['disbursement_date']}: {stands}, owes {owed}"
    installments = frames.plain(statement.installments, EVERY, caption="Installments")
    payments = frames.plain(statement.payments, EVERY, caption="Payments")
    return paragraph(line) + installments.html() + payments.html()


def _foremost(loans: pl.DataFrame) -> pl.DataFrame:
    """The loans that add most to the first measure first; measures that none of the shown ones adds to are left out."""
    measures = [name for name in loans.columns if loans[name].dtype.is_numeric()]
    ordered = loans.sort(measures[:1], descending=True, maintain_order=True) if measures else loans
    idle = [name for name in measures if not (ordered[name].head(LOANS) != 0).any()]
    return ordered.drop(idle)


def _terms(terms: pl.DataFrame) -> Table:
    costly = terms.sort("lost", descending=True)
    return Table(
        [
            Column("term", costly["term"].to_list()),
            Column("costs", [f"{lost:.2f}" for lost in costly["lost"]], right=True, unit="points"),
            Column("at most", [str(weight) for weight in costly["weight"]], right=True, unit="points"),
            Column("share of it", costly["share"].to_list()),
        ],
        "What each term costs",
    )
