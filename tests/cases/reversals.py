"""Reversed payments; loans that leave the book and return."""

from datetime import date

from tests.cases.case import Case
from tests.cases.rows import april, february, march, p_book, paid

ONE_REVERSED = p_book(paid("P", march(1), "300", is_reversed=True, reversal_date=march(10)))
PAID_OFF_REVERSED = paid("P", march(1), "900", is_reversed=True, reversal_date=march(10))
REOPENED = p_book(PAID_OFF_REVERSED, status="Closed", closed_date=march(1))
WRITTEN_OFF = p_book(status="Written Off", closed_date=march(10))
CLOSED_UNDATED = p_book(
    paid("P", march(1), "300"),
    paid("P", march(5), "1"),
    paid("P", march(12), "2", is_reversed=True, reversal_date=april(1)),
    status="Closed",
)

WORKED = [
    Case(
        "b: before the reversal on 9 Mar",
        ONE_REVERSED,
        march(9),
        loans={"P": {"current_dpd": 1, "first_payment_missed": False}},
        book={"due_installments": 2, "on_time_installments": 1, "reversals_count": 0, "first_miss_count": 0},
    ),
    Case(
        "b: reversed on 10 Mar",
        ONE_REVERSED,
        march(10),
        loans={"P": {"current_dpd": 9, "first_payment_missed": True}},
        book={"reversals_count": 1, "on_time_installments": 0},
    ),
    Case(
        "b: after the reversal on 12 Mar",
        ONE_REVERSED,
        march(12),
        loans={"P": {"current_dpd": 11, "max_dpd_ever": 11, "total_outstanding": 900}},
        book={
            "due_installments": 2,
            "on_time_installments": 0,
            "total_entries": 1,
            "reversals_count": 1,
            "prev_dpd_1to6_balance": 0,
            "moved_to_7to30": 0,
            "roll": None,
            "roll_band": "n/a",
        },
    ),
    Case("b: as it stood on 5 Mar", ONE_REVERSED, march(5), loans={"P": {"current_dpd": 0}}),
    Case(
        "i: written off on 10 Mar",
        WRITTEN_OFF,
        march(13),
        loans={"P": {"current_dpd": 0, "max_dpd_ever": 8, "on_book": False, "closed_as": "written_off"}},
        book={
            "prev_dpd_1to6_balance": 900,
            "moved_to_7to30": 0,
            "roll": 0,
            "roll_band": "Green",
            "active_loans": 0,
            "total_portfolio": 0,
        },
    ),
    Case(
        "m: closed on 9 Mar",
        REOPENED,
        march(9),
        loans={"P": {"on_book": False, "closed_as": "paid", "total_outstanding": 0, "current_dpd": 0}},
        findings={"reopened_after_close": 0},
    ),
    Case(
        "m: reopened on 12 Mar",
        REOPENED,
        march(12),
        loans={"P": {"on_book": True, "closed_as": None, "total_outstanding": 900, "current_dpd": 11}},
        book={"active_loans": 1},
        findings={"reopened_after_close": 1},
    ),
]

EDGES = [
    Case(
        "reversed without a date never counted",
        p_book(paid("P", march(1), "300", is_reversed=True)),
        march(2),
        loans={"P": {"current_dpd": 1, "first_payment_missed": True, "total_principal_paid": 0}},
        book={"total_entries": 1, "reversals_count": 1},
    ),
    Case(
        "a write-off stands even if a payment before it is reversed",
        p_book(
            paid("P", march(1), "300", is_reversed=True, reversal_date=march(11)),
            status="Written Off",
            closed_date=march(10),
        ),
        march(12),
        loans={"P": {"on_book": False, "closed_as": "written_off", "total_outstanding": 900}},
        findings={"reopened_after_close": 0},
    ),
    Case(
        "closed without date: on the book before the last lasting payment",
        CLOSED_UNDATED,
        march(4),
        loans={"P": {"on_book": True, "total_outstanding": 600}},
        findings={"closed_without_date": 1},
    ),
    Case(
        "closed without date: off the book from the last lasting payment",
        CLOSED_UNDATED,
        march(5),
        loans={"P": {"on_book": False, "closed_as": "paid", "total_outstanding": 599}},
        book={"active_loans": 0},
        findings={"closed_without_date": 1},
    ),
    Case(
        "closed without date or payment: closes at maturity",
        p_book(status="Closed", maturity_date=date(2026, 3, 10)),
        march(10),
        loans={"P": {"on_book": False, "max_dpd_ever": 8}},
        findings={"closed_without_date": 1},
    ),
    Case(
        "paid off late: the worst DPD stays",
        p_book(paid("P", march(11), "900")),
        march(16),
        loans={"P": {"on_book": False, "closed_as": "paid", "current_dpd": 0, "max_dpd_ever": 9}},
    ),
    Case(
        "not disbursed yet",
        p_book(paid("P", february(18), "300")),
        february(19),
        book={"total_disbursed_count": 0, "active_loans": 0, "total_officers": 0, "total_entries": 1},
    ),
]

CASES = WORKED + EDGES
