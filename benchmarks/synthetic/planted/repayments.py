"""Oddities of repayments."""

from datetime import time

from synthetic.planted.plot import DUE, FEE, INTEREST, PRINCIPAL, Plot, money, reversed_on


def _loan(plot: Plot) -> None:
    plot.loan()
    plot.schedule()


def orphan_repayment(plot: Plot) -> None:
    """A repayment without its loan | held back"""
    plot.pay(DUE[0])


def duplicate_repayment(plot: Plot) -> None:
    """One repayment_id twice, on different days | held back: a repayment_id is unique over all partitions"""
    _loan(plot)
    plot.pay(DUE[0])
    plot.pay(DUE[1], repayment_id=plot.rows["repayments"][0]["repayment_id"])


def equal_payments(plot: Plot) -> None:
    """Two equal payments on one day, each with its own id | both count"""
    _loan(plot)
    plot.pay(DUE[0])
    plot.pay(DUE[0])


def split_mismatch(plot: Plot) -> None:
    """Parts that do not sum to payment_amount | held back: split_mismatch"""
    _loan(plot)
    plot.pay(DUE[0], payment_amount=money(31_000))


def unknown_waiver(plot: Plot) -> None:
    """waiver_type Goodwill | held back"""
    _loan(plot)
    plot.waive(DUE[0], 500, "Goodwill")


def negative_part(plot: Plot) -> None:
    """A negative fees_paid | held back"""
    _loan(plot)
    plot.pay(DUE[0], PRINCIPAL, INTEREST, -FEE)


def huge_payment(plot: Plot) -> None:
    """A payment of 3,000,000,000,000 | held back: above Policy.max_amount"""
    _loan(plot)
    plot.pay(DUE[0], 3 * 10**12, 0, 0)


def before_disbursement(plot: Plot) -> None:
    """A payment dated before disbursement | counts"""
    _loan(plot)
    plot.pay(-42)


def reversed_before_paid(plot: Plot) -> None:
    """reversal_date before payment_date | never counts"""
    _loan(plot)
    plot.pay(DUE[0], **reversed_on(plot.day(DUE[0] - 2)))


def undated_reversal(plot: Plot) -> None:
    """Reversed, reversal_date null | never counts; a reversal of its payment_date"""
    _loan(plot)
    plot.pay(DUE[2], **reversed_on(None))


def reversed_and_reposted(plot: Plot) -> None:
    """Reversed and posted again with the old date | counts once"""
    _loan(plot)
    plot.pay(DUE[2], **reversed_on(plot.day(-15)))
    plot.pay(DUE[2], recorded=-15, is_backdated=True)


def reversed_later(plot: Plot) -> None:
    """reversal_date after the last day | still counts on the last day"""
    _loan(plot)
    plot.pay(DUE[0], **reversed_on(plot.day(3)))


def future_payment(plot: Plot) -> None:
    """payment_date after the last day | does not exist yet"""
    _loan(plot)
    plot.pay(2)


def backdated(plot: Plot) -> None:
    """Keyed six days after its payment_date | backdated_count; counts from its payment_date"""
    _loan(plot)
    plot.pay(DUE[2], recorded=DUE[2] + 6, is_backdated=True)


def cash_late(plot: Plot) -> None:
    """Cash recorded three days later | float_gap_count"""
    _loan(plot)
    plot.pay(-5, recorded=-2, payment_method="Cash")


def cash_after_midnight(plot: Plot) -> None:
    """Cash recorded at 23:30 UTC a day later, two in Lagos | a float gap iff Policy.time_zone is Lagos"""
    _loan(plot)
    plot.pay(-4, recorded=-3, at=time(23, 30), payment_method="Cash")


def cash_next_day(plot: Plot) -> None:
    """Cash recorded the next day | within float_gap_days: no gap"""
    _loan(plot)
    plot.pay(-4, recorded=-3, payment_method="Cash")


def unsplit(plot: Plot) -> None:
    """All parts zero, payment_amount 40,000 | finding unsplit_payment; fills fee, interest, principal"""
    _loan(plot)
    plot.pay(DUE[0], 0, 0, 0, payment_amount=money(40_000))


def unsplit_null(plot: Plot) -> None:
    """All parts null, payment_amount 40,000 | as above"""
    _loan(plot)
    plot.pay(DUE[0], payment_amount=money(40_000))
    for part in ("principal_paid", "interest_paid", "fees_paid", "penalty_paid"):
        del plot.rows["repayments"][0][part]


def overpaid(plot: Plot) -> None:
    """Paid 5,000 more than is due | outstanding 0, overpaid 5,000"""
    plot.loan(status="Closed", closed_date=plot.day(DUE[1]))
    plot.schedule()
    plot.pay(DUE[0])
    plot.pay(DUE[1], 2 * PRINCIPAL + 5_000, 2 * INTEREST, 2 * FEE)


def paid_ahead(plot: Plot) -> None:
    """Two installments paid at once on the first due date | the second is covered"""
    _loan(plot)
    plot.pay(DUE[0], 2 * PRINCIPAL, 2 * INTEREST, 2 * FEE)


def kobo_short(plot: Plot) -> None:
    """Each installment paid 0.30 short | overdue at tolerance 0, settled at tolerance 1"""
    _loan(plot)
    for due in DUE:
        plot.pay(due, PRINCIPAL - 0.30)


def penalty(plot: Plot) -> None:
    """A penalty paid with the installment | part of payment_amount, never credited to the schedule"""
    _loan(plot)
    plot.pay(DUE[0] + 6, penalty=450)


def waivers(plot: Plot) -> None:
    """Only-waiver rows, payment_amount 0, of each type | all but Penalty are credited; null means Interest"""
    _loan(plot)
    plot.waive(-6, 700, "Interest")
    plot.waive(-5, 300, None)
    plot.waive(-4, 150, "Fee")
    plot.waive(-3, 1_000, "Principal")
    plot.waive(-2, 400, "Penalty")


def waiver_with_payment(plot: Plot) -> None:
    """A payment and a waiver in one row | both are credited; the waiver is not cash"""
    _loan(plot)
    plot.pay(DUE[0], interest=INTEREST - 500, waiver_amount=money(500), waiver_type="Interest")


def reversed_waiver(plot: Plot) -> None:
    """A waiver in a reversed row | gone with it"""
    _loan(plot)
    plot.waive(-6, INTEREST, "Interest")
    plot.rows["repayments"][0] |= reversed_on(plot.day(-4))


def all_null_repayment(plot: Plot) -> None:
    """Every nullable column of a repayment null | unsplit; not reversed, not backdated, no float gap"""
    _loan(plot)
    plot.pay(-3)
    required = {"repayment_id", "loan_id", "payment_date", "payment_amount"}
    row = plot.rows["repayments"][0]
    plot.rows["repayments"][0] = {name: value for name, value in row.items() if name in required}


CASES = (
    orphan_repayment,
    duplicate_repayment,
    equal_payments,
    split_mismatch,
    unknown_waiver,
    negative_part,
    huge_payment,
    before_disbursement,
    reversed_before_paid,
    undated_reversal,
    reversed_and_reposted,
    reversed_later,
    future_payment,
    backdated,
    cash_late,
    cash_after_midnight,
    cash_next_day,
    unsplit,
    unsplit_null,
    overpaid,
    paid_ahead,
    kobo_short,
    penalty,
    waivers,
    waiver_with_payment,
    reversed_waiver,
    all_null_repayment,
)
