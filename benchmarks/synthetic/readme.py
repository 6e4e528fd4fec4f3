"""The README that goes with a generated lender."""

from synthetic.lender import Lender
from synthetic.planted.cases import described

_FILES = {
    "customers": "borrowers; three share five loans in a row",
    "officers": "loan officers with their home branch; the last few never made a loan",
    "loans": "one row per loan; the first officer of every seven also lends in a second branch",
    "loan_schedule": "installments: daily, weekly or one at the end, moved off weekends and holidays",
    "repayments": "payments and waivers; a reversal is a mark on the row with its own date",
    "holidays": "the lender's holidays",
}
_HABITS = """\
Beside these, the whole book has its mess, at low rates that grow with how badly an officer works: waivers,
reversals (some without a date, most posted again), backdated entries, cash recorded late, unsplit and
over-payments, parts of an installment paid on one day or days apart, loans still Closed after a reversal or
Closed without a date, unknown interest rates and fees, officers without a primary channel."""


def readme(lender: Lender, rows: dict[str, int]) -> str:
    return "\n".join([*_head(lender), *_files(rows), *(_oddities(lender) if lender.mess else [])]) + "\n"


def _head(lender: Lender) -> list[str]:
    return [
        "# A synthetic lender",
        "",
        "Nobody here exists: names, phones and payments are invented.",
        "Raw tables as a lender's database holds them, written by",
        "",
        f"    {_command(lender)}",
        "",
        f"Loans were disbursed from {lender.first_day} to {lender.end}.",
        "The data ends with that day, in Lagos (UTC+1).",
        "One officer in twenty lets the book fail, two lend poorly, three slip and the rest are sound.",
        "",
    ]


def _command(lender: Lender) -> str:
    mess = "--mess" if lender.mess else "--no-mess"
    return (
        f"python benchmarks/generate.py --loans {lender.loans} --officers {lender.officers}"
        f" --months {lender.months} --end {lender.end} --seed {lender.seed} {mess} --out DIR"
    )


def _files(rows: dict[str, int]) -> list[str]:
    lines = [f"| {name}.parquet | {rows[name]:,} | {about} |" for name, about in _FILES.items()]
    return ["| file | rows | what |", "|---|---|---|", *lines]


def _oddities(lender: Lender) -> list[str]:
    lines = [f"| {loan} | {odd} | {rule} |" for loan, odd, rule in described(lender)]
    return [
        "",
        "## Planted oddities",
        "",
        "Each stands on a loan of its own, on top of --loans; repayments are R, its digits, 001, ...",
        "Held back: the loader keeps the row in quarantine under the rule's name.",
        "",
        "| loan | what is odd | what follows |",
        "|---|---|---|",
        *lines,
        "",
        _HABITS,
    ]
