"""A run that reads only what changed publishes what a run that reads everything would, bit for bit."""

import os
from collections import Counter
from datetime import timedelta
from typing import Literal

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from loanmetrics.testing import Databases
from tests.laws.histories import eventful
from tests.laws.lender import START
from tests.laws.machine import Incremental

LONG = os.environ.get("LOANMETRICS_MACHINES")
CHANGES = {
    *(
        "loan with schedule",
        "loan without schedule",
        "payment",
        "backdated payment",
        "orphan",
        "receipt twice",
    ),
    *("row that breaks a rule", "reversal", "reversal of a closed loan", "edited payment", "deleted payment"),
    *("payment moved to another loan", "payment moved to another day", "reassigned loan", "closed loan"),
    *("reassigned to an officer of another branch", "deleted loan", "loan deleted from under its rows"),
    *("rescheduled", "officer", "holiday", "ledger", "another day", "roll-back", "late commit"),
}
RUNS = {
    *("run on what changed", "run on everything", "run of today", "run of a day past", "run of a 15th"),
    *("run of a month's end", "run of an empty book", "backfill of today", "backfill of a day past"),
    *("backfill of a 15th", "backfill of a month's end", "backfill of an empty book", "month backfilled"),
}


def assert_incremental_is_full(machine: type[Incremental], databases: Databases, histories: int) -> None:
    """Random histories and an eventful one, in which every change must have been read by a partial run."""
    machine.databases, machine.done, machine.read = databases, Counter(), Counter()
    machine.longest = 60 if LONG else machine.longest
    told = machine()
    try:
        eventful(told)
    finally:
        told.teardown()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=40 if LONG else 8,
            deadline=None,
            derandomize=LONG is None,
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=list(HealthCheck),
        ),
    )
    print("\nhow often it was done, and read by a run on what changed:")
    for what, times in machine.done.most_common():
        print(f"{times:8,}{machine.read[what]:8,}  {what}")
    assert {what for what in CHANGES if not machine.read[what]} == set()
    assert {what for what in RUNS if not machine.done[what]} == set()


def test_incremental_equals_full(databases: Databases) -> None:
    assert_incremental_is_full(Incremental, databases, int(LONG or 10))


class Revised(Incremental):
    """A lender whose score and index change their formulas while he is looked at."""

    policy = msgspec.structs.replace(
        Incremental.policy,
        revisions={"risk_score": {2: START + timedelta(12)}, "dqi": {2: START + timedelta(30)}},
    )


def test_incremental_equals_full_over_a_revision(databases: Databases) -> None:
    assert_incremental_is_full(Revised, databases, int(LONG or 1))


class ByHashes(Incremental):
    """Runs that find what changed by content."""

    detection: Literal["triggers", "hashes"] = "hashes"


def test_incremental_by_hashes_equals_full(databases: Databases) -> None:
    assert_incremental_is_full(ByHashes, databases, int(LONG or 5))
