"""What is done on purpose while people work: runs, reloads, payments, a restart of the database and of the cache."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from events import PAY
from lab import DAY, ROOT, TOUCH

from soaking import plan
from soaking.house import House
from soaking.record import Happening

PATIENCE = "120"  # seconds, and less than lies between two runs
RELOADED_WITHIN = 90.0
PAYABLE = "SELECT loan_id FROM loan_state WHERE on_book ORDER BY md5(loan_id)"
GONE = (psycopg.OperationalError, psycopg.InterfaceError)


@dataclass
class Director:
    """Does each thing at its moment, in a thread of its own."""

    house: House
    began: float
    say: Callable[[str], None]
    happened: list[Happening] = field(default_factory=list)

    def run(self, moments: list[plan.Moment], stop: threading.Event) -> None:
        acts = {
            plan.RUN: compute,
            plan.RELOAD: reload,
            plan.DATABASE: restart_database,
            plan.CACHE: restart_cache,
        }
        threads = []
        for moment in moments:
            if stop.wait(max(0.0, self.began + moment.at - time.monotonic())):
                break
            threads.append(threading.Thread(target=self._do, args=(moment.what, acts[moment.what])))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _do(self, what: str, act: Callable[[House], str]) -> None:
        began = time.monotonic() - self.began
        try:
            said = act(self.house)
        except Exception as error:
            # Whatever went wrong is part of what is told; the rest goes on.
            said = f"failed: {error}"
        ended = time.monotonic() - self.began
        outage = what in (plan.DATABASE, plan.CACHE)
        self.happened.append(Happening(what, round(began, 1), round(ended, 1), said, outage))
        self.say(f"{what} at {began:.0f} s, {ended - began:.1f} s: {said}")


def compute(house: House) -> str:
    """A run as cron starts it; it waits while another is at work."""
    command = [sys.executable, "-m", "loanmetrics.cli", "compute", "--wait", PATIENCE]
    done = subprocess.run(
        command, env=house.stage.clean_environment, cwd=ROOT, capture_output=True, check=False
    )
    return f"exit code {done.returncode}"


def reload(house: House) -> str:
    """SIGHUP; over when all workers are new ones."""
    before, until = set(house.api.workers), time.monotonic() + RELOADED_WITHIN
    os.kill(house.api.process.pid, signal.SIGHUP)
    while before & set(house.api.workers) and time.monotonic() < until:
        time.sleep(0.1)
    left = before & set(house.api.workers)
    return f"{len(left)} old workers left" if left else "all workers replaced"


def restart_database(house: House) -> str:
    house.database.restart()
    return "stopped and started again"


def restart_cache(house: House) -> str:
    house.cache.kill()
    time.sleep(plan.AWAY)
    house.cache.start()
    return f"away for {plan.AWAY:g} s, empty afterwards"


@dataclass
class Payer:
    """Commits payments at a steady pace, to loans all over the book; while the database is away it tries again."""

    url: str
    seconds: float
    committed: int = 0

    def run(self, stop: threading.Event) -> None:
        with psycopg.connect(self.url) as session:
            loans = [loan for (loan,) in session.execute(PAYABLE).fetchall()]
        most = int(self.seconds * plan.PER_SECOND)
        began, number = time.monotonic(), 0
        while number < most and not stop.is_set():
            try:
                with psycopg.connect(self.url, autocommit=True) as session:
                    while number < most:
                        if stop.wait(max(0.0, began + number / plan.PER_SECOND - time.monotonic())):
                            return
                        self._pay(session, number, loans[number % len(loans)])
                        number += 1
            except GONE:
                stop.wait(1.0)

    def _pay(self, session: psycopg.Connection, number: int, loan: str) -> None:
        # Committed already where the database went away before it could say so.
        with suppress(psycopg.errors.UniqueViolation):
            session.execute(PAY, [f"{TOUCH}{number:06}", loan, DAY])
        self.committed += 1
