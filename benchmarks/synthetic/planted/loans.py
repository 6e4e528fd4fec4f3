"""Oddities of loans, officers and customers."""

from decimal import Decimal

from synthetic.planted.plot import DUE, Plot, reversed_on


def unknown_status(plot: Plot) -> None:
    """A status outside the allowed ones | held back"""
    plot.loan(status="Dormant")
    plot.schedule()


def duplicate_loan(plot: Plot) -> None:
    """One loan_id twice, with another disbursement_date | held back: loan_id is unique over all partitions"""
    plot.loan()
    plot.loan(disbursed=-75)
    plot.schedule()


def huge_loan(plot: Plot) -> None:
    """A loan_amount of 2,000,000,000,000 | held back: above Policy.max_amount"""
    plot.loan(loan_amount=Decimal(2 * 10**12))
    plot.schedule()


def unknown_officer(plot: Plot) -> None:
    """An officer_id missing from officers | the officer still gets a row"""
    plot.loan(officer_id="O8001", officer_name="Gone Missing", officer_phone=None)
    plot.schedule()


def no_officer(plot: Plot) -> None:
    """officer_id null | counts under UNASSIGNED"""
    plot.loan(officer_id=None, officer_name=None, officer_phone=None)
    plot.schedule()


def no_branch(plot: Plot) -> None:
    """branch and region null | count under Unknown"""
    plot.loan(branch=None, region=None)
    plot.schedule()


def all_null_loan(plot: Plot) -> None:
    """Every nullable column of the loan null | nothing fails; the schedule alone tells what is due"""
    plot.loan()
    required = {"loan_id", "loan_amount", "disbursement_date"}
    loan = plot.rows["loans"][0]
    plot.rows["loans"][0] = {name: value for name, value in loan.items() if name in required}
    plot.schedule()


def nameless_officer(plot: Plot) -> None:
    """An officer and a customer with every nullable column null | no primary channel: Policy.pure_channels"""
    plot.add("officers", {"officer_id": "O9001"})
    plot.loan(officer_id="O9001", officer_name=None)
    plot.rows["customers"] = [{"customer_id": row["customer_id"]} for row in plot.rows["loans"]]
    plot.schedule()


def unused_channel(plot: Plot) -> None:
    """An officer whose primary_channel no loan uses | finding channel_unknown"""
    plot.add("officers", {"officer_id": "O9002", "officer_name": "Kiosk Keeper", "primary_channel": "Kiosk"})
    plot.loan(officer_id="O9002", officer_name="Kiosk Keeper")
    plot.schedule()


def nameless_holiday(plot: Plot) -> None:
    """A holiday without a name, declared after the schedule was made | no business day; due dates stay"""
    plot.add("holidays", {"holiday_date": plot.day(DUE[1])})
    plot.loan()
    plot.schedule()


def unknown_customer(plot: Plot) -> None:
    """A customer_id missing from customers | the loan counts"""
    plot.loan(customer_id="C99999999")
    plot.schedule()


def written_off(plot: Plot) -> None:
    """Written Off on a date, with a recovery paid later | leaves the book that day; the recovery is cash"""
    plot.loan(status="Written Off", closed_date=plot.day(-10))
    plot.schedule()
    plot.pay(-3, 5_000, 0, 0)


def written_off_without_date(plot: Plot) -> None:
    """Written Off, closed_date null | closes on its latest payment; finding closed_without_date"""
    plot.loan(status="Written Off")
    plot.schedule()
    plot.pay(-30)


def closed_without_date(plot: Plot) -> None:
    """Closed, closed_date null, money owed | closes on its latest payment; finding closed_without_date"""
    plot.loan(status="Closed")
    plot.schedule()
    plot.pay(-30)


def closed_without_date_or_payment(plot: Plot) -> None:
    """Closed, closed_date null, never paid | closes at maturity; finding closed_without_date"""
    plot.loan(status="Closed")
    plot.schedule()


def closed_owing(plot: Plot) -> None:
    """Closed on a date with money owed, nothing reversed | closed all the same"""
    plot.loan(status="Closed", closed_date=plot.day(-12))
    plot.schedule()
    plot.pay(DUE[0])


def active_but_paid(plot: Plot) -> None:
    """Active, though all is paid | off the book: outstanding decides"""
    plot.loan()
    plot.schedule()
    plot.pay_all()


def reopened_after_close(plot: Plot) -> None:
    """Paid off and Closed, the last payment reversed later | on the book; finding reopened_after_close"""
    plot.loan(status="Closed", closed_date=plot.day(DUE[-1]))
    plot.schedule()
    plot.pay(DUE[0])
    plot.pay(DUE[1])
    plot.pay(DUE[2], **reversed_on(plot.day(-5)))


def not_yet_disbursed(plot: Plot) -> None:
    """Disbursed after the last day | not on the book yet"""
    plot.loan(disbursed=2, maturity_date=plot.day(23))
    plot.schedule(9, 16, 23)


CASES = (
    unknown_status,
    duplicate_loan,
    huge_loan,
    unknown_officer,
    no_officer,
    no_branch,
    all_null_loan,
    nameless_officer,
    unused_channel,
    nameless_holiday,
    unknown_customer,
    written_off,
    written_off_without_date,
    closed_without_date,
    closed_without_date_or_payment,
    closed_owing,
    active_but_paid,
    reopened_after_close,
    not_yet_disbursed,
)
