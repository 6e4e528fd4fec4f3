"""What a run may be for, so that there is something to do again and again: the lender's rows go back and forth.

A state of the database is told in parts, in the order in which a run commits them: a run that was killed must have
left some of the first parts as they shall be, and all others as they were.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import psycopg

from loanmetrics.jobs import backfill, compute, load
from loanmetrics.policy import Policy
from loanmetrics.settings import Settings
from loanmetrics.tables import TABLES, facts_only
from tests.faults import doom
from tests.faults.standing import DERIVED, Row, State, completed, rows
from tests.jobs.stored import asked

Part = State | list[list[Row]]
# Forth, then back: two of them leave everything as it was.
CHANGES = """
    UPDATE officers SET branch = reverse(branch) WHERE officer_id = (SELECT max(officer_id) FROM officers);
    UPDATE loans SET loan_amount = loan_amount + {0} WHERE loan_id = (SELECT min(loan_id) FROM loans);
    UPDATE loan_schedule SET principal_due = principal_due + {0}, total_due = total_due + {0}
        WHERE loan_id = (SELECT min(loan_id) FROM loans) AND installment_number = 1;
    UPDATE repayments SET payment_amount = payment_amount + {0}, principal_paid = principal_paid + {0}
        WHERE repayment_id = (SELECT min(repayment_id) FROM repayments);
"""
LOADED = ("officers", "loans", "loan_schedule", "repayments")
BAD = {"repayment_id": "RX", "loan_id": "LX", "payment_date": "2026-03-01", "payment_amount": "bad {}"}
DATED = {
    "officer_metrics_daily": "calculation_date",
    "branch_metrics_daily": "calculation_date",
    "dpd_transitions": "transition_date",
    "par15_snapshots": "snapshot_date",
}


@dataclass
class Scenario:
    """One kind of run over one database: its command, and how to tell what it did."""

    url: str
    home: Path
    redis_url: str
    day: date
    rounds: int = field(default=0, init=False)

    @property
    def settings(self) -> Settings:
        return Settings(database_url=self.url, home=self.home, redis_url=self.redis_url)

    @property
    def given(self) -> dict[str, str]:
        """The settings, for a process of its own; what it leaves in its temporary folder will show."""
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        return {
            "database_url": self.url,
            "home": str(self.home),
            "redis_url": self.redis_url,
            "TMPDIR": str(self.home / "tmp"),
        }

    def change(self) -> None:
        """Change the lender's rows: forth, or back."""
        self.rounds += 1
        _change(self.url, self.rounds)

    def begin(self) -> None:
        """Bring the database to where rounds may begin."""
        compute.compute(self.settings, self.day, Policy())

    def command(self) -> tuple[str, ...]:
        raise NotImplementedError

    def run(self) -> None:
        """The same as the command, in this process."""
        raise NotImplementedError

    def parts(self) -> list[Part]:
        """The state of the database."""
        return [rows(self.url, *DERIVED)]

    def done(self) -> int:
        """How many parts were ever committed."""
        return completed(self.url)


@dataclass
class Changes(Scenario):
    """A run that reads what changed."""

    def command(self) -> tuple[str, ...]:
        return ("compute", "--as-of", str(self.day))

    def run(self) -> None:
        compute.compute(self.settings, self.day, Policy())


@dataclass
class Everything(Scenario):
    """A run that reads everything."""

    def command(self) -> tuple[str, ...]:
        return ("compute", "--as-of", str(self.day), "--full")

    def run(self) -> None:
        compute.compute(self.settings, self.day, Policy(), full=True)


@dataclass
class Months(Scenario):
    """A backfill that restates the last day of one month and the first of the next."""

    @property
    def last(self) -> date:
        return self.day.replace(day=1)

    @property
    def first(self) -> date:
        return self.last - timedelta(days=1)

    def begin(self) -> None:
        self.run()

    def command(self) -> tuple[str, ...]:
        return ("backfill", "--from", str(self.first), "--to", str(self.last))

    def run(self) -> None:
        for _ in backfill.backfill(self.settings, self.first, self.last, Policy()):
            pass

    def parts(self) -> list[Part]:
        """By month; loans as they stand are of the last one."""
        state = rows(self.url, *DERIVED)
        months = (self.first.isoformat()[:7], self.last.isoformat()[:7])
        dated = [
            {
                name: [row for row in state[name] if json.loads(row[0])[day][:7] == month]
                for name, day in DATED.items()
            }
            for month in months
        ]
        return [dated[0], {**dated[1], "loan_state": state["loan_state"]}]


@dataclass
class Files(Scenario):
    """A load of files that differ from what is in the tables."""

    def begin(self) -> None:
        for variant in (0, 1):
            self._write(variant)
            _change(self.url, variant + 1)
        for _ in range(4):
            self.change()
            made = load.LoadReport()
            load.load(self.settings, [self.folder], Policy(), made, report=None, progress=lambda *_: None)

    def change(self) -> None:
        self.rounds += 1

    @property
    def folder(self) -> Path:
        return self.home / f"files-{self.rounds % 2}"

    @property
    def report(self) -> Path:
        return self.home / "held.csv"

    def command(self) -> tuple[str, ...]:
        return (
            "load",
            str(self.folder),
            "--report",
            str(self.report),
            "--policy",
            str(self.home / "policy.toml"),
        )

    def run(self) -> None:
        again = doom.undisturbed(self.command(), self.given)
        assert again.code == 0, again.said

    def parts(self) -> list[Part]:
        """By table: its rows, and those that were held back."""
        held = "SELECT content::text FROM quarantined_rows WHERE table_name = '{}' ORDER BY 1"
        return [[rows(self.url, name)[name], asked(self.url, held.format(name))] for name in LOADED]

    def done(self) -> int:
        return int(asked(self.url, "SELECT count(*) FROM audit_tracking WHERE event = 'loaded'")[0][0])

    def _write(self, variant: int) -> None:
        folder = self.home / f"files-{variant}"
        folder.mkdir(parents=True)
        (self.home / "policy.toml").write_text("max_quarantine_share = 0.5\n")
        with psycopg.connect(self.url) as connection:
            for table in LOADED:
                names = facts_only(TABLES[table]).names
                query = f"COPY (SELECT {', '.join(names)} FROM {table} ORDER BY 1, 2) TO STDOUT (FORMAT csv, HEADER)"
                with connection.cursor().copy(query.encode()) as copy:
                    text = b"".join(bytes(block) for block in copy).decode()
                bad = ",".join(BAD.get(name, "") for name in names).format(variant)
                (folder / f"{table}.csv").write_text(text + (bad + "\n" if table == "repayments" else ""))


def _change(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(CHANGES.format(1 if number % 2 else -1).encode())


Make = Callable[[str, Path, str, date], Scenario]
QUICK: Sequence[Make] = (Changes, Months, Files)
SCENARIOS: Sequence[Make] = (*QUICK, Everything)
