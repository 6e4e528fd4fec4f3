"""Oddities of schedules."""

from synthetic.planted.plot import DUE, FEE, INTEREST, PRINCIPAL, Plot, money


def maturity_only(plot: Plot) -> None:
    """No schedule, a maturity_date | one implied installment at maturity, interest from the rate"""
    plot.loan()
    plot.pay(-20, 10_000, 0, 0)


def term_only(plot: Plot) -> None:
    """No schedule, only loan_term_days | implied installment at disbursement + term"""
    plot.loan(maturity_date=None)


def no_due_date(plot: Plot) -> None:
    """No schedule, no maturity_date, no loan_term_days | held back: nothing says when it falls due"""
    plot.loan(maturity_date=None, loan_term_days=None)


def no_rate_or_fee(plot: Plot) -> None:
    """No schedule, interest_rate and fee_amount null | both count as 0"""
    plot.loan(interest_rate=None, fee_amount=None)


def zero_installment(plot: Plot) -> None:
    """A first installment of zero | ignored: the first due date is the next one's"""
    plot.loan()
    plot.installment(DUE[0] - 3, 0, 0, 0)
    plot.schedule()


def moved_out(plot: Plot) -> None:
    """Restructured: two installments renumbered 5 and 6 and moved out | the schedule as it stands rules"""
    plot.loan(status="Restructured", maturity_date=plot.day(14))
    plot.installment(DUE[0])
    plot.installment(DUE[1] + 28, installment_number=5)
    plot.installment(DUE[2] + 28, installment_number=6)
    plot.pay(DUE[0])


def numbers_against_dates(plot: Plot) -> None:
    """Installment numbers run against the due dates | ordered by due date, then number"""
    plot.loan()
    plot.schedule(*reversed(DUE))
    plot.pay(DUE[0])


def two_on_one_day(plot: Plot) -> None:
    """Two installments on one day | the number breaks the tie"""
    plot.loan()
    plot.schedule(DUE[0], DUE[1], DUE[1])
    plot.pay(DUE[1])


def principal_mismatch(plot: Plot) -> None:
    """principal_due adds up to more than loan_amount | finding principal_mismatch; the schedule rules"""
    plot.loan(status="Restructured")
    plot.schedule()
    plot.installment(-5, 12_000, 900, 0)


def total_mismatch(plot: Plot) -> None:
    """total_due differs from its parts | finding schedule_total_mismatch; the parts rule"""
    plot.loan()
    plot.schedule(*DUE[:2])
    plot.installment(DUE[2], total_due=money(PRINCIPAL))


def all_null_installment(plot: Plot) -> None:
    """Every nullable column of an installment null | its money counts as 0, so it is ignored"""
    plot.loan()
    plot.schedule()
    plot.add("loan_schedule", {"loan_id": plot.loan_id, "installment_number": 4, "due_date": plot.day(-12)})


def orphan_installment(plot: Plot) -> None:
    """An installment without its loan | held back"""
    plot.installment(DUE[0])


def fee_outside_schedule(plot: Plot) -> None:
    """No fee in the schedule; the fee is paid and partly waived | neither is credited, both enter FRR only"""
    plot.loan()
    for due in DUE:
        plot.installment(due, PRINCIPAL, INTEREST, 0)
    plot.pay(DUE[0], PRINCIPAL, INTEREST, 2 * FEE)
    plot.waive(DUE[1], FEE, "Fee")


CASES = (
    maturity_only,
    term_only,
    no_due_date,
    no_rate_or_fee,
    zero_installment,
    moved_out,
    numbers_against_dates,
    two_on_one_day,
    principal_mismatch,
    total_mismatch,
    all_null_installment,
    orphan_installment,
    fee_outside_schedule,
)
