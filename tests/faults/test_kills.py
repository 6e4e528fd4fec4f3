"""kill -9 of real runs at every step they tell of and at random moments: what stands is whole, the next run is right.

LOANMETRICS_KILLS: how many in all; some more where a run has more steps. ``make test-kill`` lets them go over the
sample lender instead of five loans.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.store.audit_check import verify
from loanmetrics.store.session import connect
from loanmetrics.testing import Databases
from tests.faults import doom, standing
from tests.faults.scenarios import QUICK, SCENARIOS, Make, Part, Scenario
from tests.http.valkey import Valkey
from tests.http.waiting import until
from tests.jobs.small import DAY
from tests.jobs.stored import asked
from tests.support import SAMPLE_DAY

KILLS = int(os.environ.get("LOANMETRICS_KILLS", "0"))
FEW = 4
LONGEST_DELAY = 0.05


@dataclass
class Rounds:
    """What a scenario leads to when nobody is killed: forth and back. And how its runs take their time."""

    after: dict[int, list[Part]]
    restated: dict[int, list[standing.Row]]
    run: doom.Undisturbed


def never_killed(twin: Scenario) -> Rounds:
    """Two rounds of a twin that is left in peace."""
    after, restated = {}, {}
    twin.begin()
    for number in range(2):
        last = standing.last_restatement(twin.url)
        twin.change()
        if number:
            run = doom.undisturbed(twin.command(), twin.given)
        else:
            twin.run()
        after[twin.rounds % 2] = twin.parts()
        restated[twin.rounds % 2] = standing.restated(twin.url, last)
    assert run.code == 0, run.said
    assert after[0] != after[1]
    return Rounds(after, restated, run)


@dataclass
class Trial:
    """A scenario whose every run is killed, and then run again."""

    scenario: Scenario
    rounds: Rounds
    by_hand: bool
    hit: Counter[str] = field(default_factory=Counter)
    repairs: list[float] = field(default_factory=list)

    def survive_in(self, place: int, delay: float) -> None:
        """A kill in this step, counted from one."""
        while not self._survives(doom.killed_at, self.rounds.run.steps[:place], delay):
            pass

    def survive_somewhere(self, dice: random.Random, count: int) -> None:
        """So many kills in all, at random moments from shortly before the first step; runs are not always as fast."""
        run = self.rounds.run
        latest = run.seconds
        while self.hit.total() < count:
            moment = dice.uniform(0.95 * run.began[0], latest)
            latest = 1.02 * latest if self._survives(doom.killed_after, moment) else moment

    def _survives(self, kill: Callable[..., str | None], *how: object) -> bool:
        """One round: a change, a run that is killed, a look at what stands, a run that is not.

        False if the run had ended before it could be killed.
        """
        it = self.scenario
        before, done, last = it.parts(), it.done(), standing.last_restatement(it.url)
        it.change()
        after = self.rounds.after[it.rounds % 2]
        step = kill(it.command(), it.given, *how)
        if step is None:
            return False
        self.hit[step] += 1
        killed = time.monotonic()
        until(lambda: not asked(it.url, standing.SESSIONS))
        published = it.done() - done
        assert it.parts() == [*after[:published], *before[published:]], step
        standing.readable(it.home / "facts")
        self._run_again()
        self.repairs.append(time.monotonic() - killed)
        assert it.parts() == after, step
        assert standing.restated(it.url, last) == self.rounds.restated[it.rounds % 2], step
        assert standing.under_way(it.url) == 0, step
        assert standing.left_behind(it.home) == [], step
        return True

    def _run_again(self) -> None:
        if self.by_hand:
            self.scenario.run()
        else:
            again = doom.undisturbed(self.scenario.command(), self.scenario.given)
            assert again.code == 0, again.said


def told(name: str, trial: Trial) -> str:
    """What is printed of a trial."""
    repairs = sorted(trial.repairs)
    order = [doom.BEFORE, *trial.rounds.run.steps]
    lines = [
        f"{name}: {trial.hit.total()} kills survived; from the kill to the end of the next run "
        f"{repairs[len(repairs) // 2]:.2f} s in the median, {repairs[-1]:.2f} s at most",
        *(f"  {step:32} {trial.hit[step]:4}" for step in dict.fromkeys(order)),
    ]
    return "\n".join(lines)


@pytest.fixture
def book(request: pytest.FixtureRequest) -> tuple[str, date]:
    """The lender whose runs are killed."""
    name, day = ("sample", SAMPLE_DAY) if KILLS else ("small", DAY)
    return request.getfixturevalue(name), day


@pytest.mark.parametrize("make", SCENARIOS if KILLS else QUICK, ids=lambda make: make.__name__.lower())
def test_a_run_killed_anywhere_leaves_what_was_or_what_shall_be(
    databases: Databases, book: tuple[str, date], valkey: Valkey, tmp_path: Path, make: Make
) -> None:
    url, day = book
    with databases._copy_of(str(conninfo_to_dict(url)["dbname"])) as other:
        rounds = never_killed(make(other, tmp_path / "twin", valkey.url, day))
    scenario = make(url, tmp_path / "home", valkey.url, day)
    scenario.begin()
    dice = random.Random(f"{make.__name__} {KILLS}")
    trial = Trial(scenario, rounds, not KILLS)
    steps = rounds.run.steps
    places = range(1, len(steps) + 1)
    for place in places if KILLS else dice.sample(places, FEW - 1):
        # After the last step nothing holds the run up.
        trial.survive_in(place, dice.uniform(0, LONGEST_DELAY) if place < len(steps) else 0)
    trial.survive_somewhere(dice, max(KILLS // len(SCENARIOS), FEW))
    print(told(make.__name__, trial))
    if KILLS:
        assert set(steps) <= set(trial.hit), "no step is skipped"
    with connect(url) as session:
        assert verify(session).fault is None
