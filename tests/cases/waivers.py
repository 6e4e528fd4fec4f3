"""Every type of waiver: 100 of Q, on the first due date."""

from tests.cases.case import Case
from tests.cases.rows import march, q_book, waiver

CASES = [
    Case(
        "waiver of fees: its surplus pays interest",
        q_book(waiver("Q", march(1), "100", "Fee")),
        march(1),
        loans={"Q": {"fees_outstanding": 0, "interest_outstanding": 200, "principal_outstanding": 600}},
        book={"waivers_amount": 100, "total_portfolio": 800},
    ),
    Case(
        "waiver of interest",
        q_book(waiver("Q", march(1), "100", "Interest")),
        march(1),
        loans={"Q": {"fees_outstanding": 60, "interest_outstanding": 140, "principal_outstanding": 600}},
        book={"waivers_amount": 100},
    ),
    Case(
        "waiver of no type is one of interest",
        q_book(waiver("Q", march(1), "100", None)),
        march(1),
        loans={"Q": {"fees_outstanding": 60, "interest_outstanding": 140, "principal_outstanding": 600}},
        book={"waivers_amount": 100},
    ),
    Case(
        "waiver of principal",
        q_book(waiver("Q", march(1), "100", "Principal")),
        march(1),
        loans={"Q": {"fees_outstanding": 60, "interest_outstanding": 240, "principal_outstanding": 500}},
        book={"waivers_amount": 100, "principal_portfolio": 500},
    ),
    Case(
        "waiver of a penalty touches nothing",
        q_book(waiver("Q", march(1), "100", "Penalty")),
        march(2),
        loans={"Q": {"total_outstanding": 900, "current_dpd": 1}},
        book={"waivers_amount": 0, "total_entries": 1},
    ),
]
