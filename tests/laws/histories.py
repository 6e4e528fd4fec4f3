"""Histories in which everything happens, between runs that read only what changed."""

from tests.laws.machine import Incremental, is_fifteenth, is_month_end


def eventful(machine: Incremental) -> None:
    """Every kind of change, a late commit, the 15th, a month's end, days restated, and an empty book."""
    machine.longest = 60
    _open(machine)
    _trade(machine)
    _mend(machine)
    _wind_up(machine)


def _open(machine: Incremental) -> None:
    machine.open_shop([(0, 0, [5, 20, 35]), (1, 1, [3, 30]), (2, 2, []), (0, 2, [10, 25]), (1, 0, [1, 2, 3])])
    machine.run(full=False)


def _trade(machine: Incremental) -> None:
    machine.hire(0, "Direct")
    machine.lend(1, 1, [7, 14], True, 0)
    machine.lend(2, 0, [], False, 6)
    machine.pay(0, 50, 0, True)
    machine.pay(1, 20, 7, False)
    machine.seldom("pay_nobody")
    machine.seldom("change_their_mind")
    machine.pay_late(2, 30, 1)
    machine.post(1, 500)
    machine.sleep_until(is_fifteenth)
    machine.run(full=False)
    machine.pay_late(2, 30, 1)
    machine.repeat_receipt(0, 1)
    machine.spoil(2)
    machine.edit(1, 90)
    machine.move(3, 1)
    machine.redate(4, 31)
    machine.close(0, "Closed", 1)
    machine.run(full=False)


def _mend(machine: Incremental) -> None:
    machine.reverse(0, 0)
    machine.reassign(1, 2, 2)
    machine.reschedule(2, -5)
    machine.seldom("celebrate")
    machine.drop_payment(5)
    machine.drop_loan(3, True)
    machine.drop_loan(4, False)
    machine.sleep_until(is_month_end)
    machine.run(full=False)
    machine.backfill(20, 0)
    machine.pay(1, 40, 31, True)
    machine.run(full=False, ago=20)
    machine.run(full=True)
    machine.backfill(17, 0)


def _wind_up(machine: Incremental) -> None:
    machine.seldom("leave")
    machine.sleep(1)
    machine.run(full=False)
    machine.backfill(2, 0)
