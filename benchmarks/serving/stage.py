"""A lender with a year of published figures, a team, and what serving it takes; made once for each size and kept."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import psycopg
from lab import DAY, Lab, timed

from serving.questions import Choices

DAYS = 365
VIEWERS, AUDITORS = 14, 6
READY = "ready"
PASSWORD = "only for the benchmark"


@dataclass(frozen=True)
class Stage:
    """One size's database and home, ready to be served."""

    lab: Lab
    redis_url: str = ""

    @property
    def name(self) -> str:
        return f"api_{self.lab.size}"

    @property
    def url(self) -> str:
        return self.lab.server.replace("/postgres?", f"/{self.name}?")

    @property
    def home(self) -> Path:
        return self.lab.folder / "api"

    @property
    def environment(self) -> dict[str, str]:
        given = {"DATABASE_URL": self.url, "HOME": str(self.home), "REDIS_URL": self.redis_url}
        return {f"LOANMETRICS_{name}": value for name, value in given.items() if value}

    def prepare(self) -> str:
        """Fill and publish, unless that was done before; what is published, and how long that took."""
        with psycopg.connect(self.lab.server, autocommit=True) as admin:
            if not self._is_ready(admin):
                self._copy(admin)
                self._command("compute", "--as-of", DAY)
                self._command("backfill", "--from", DAY - timedelta(DAYS - 1), "--to", DAY - timedelta(1))
                self._analyze()
                admin.execute(f"COMMENT ON DATABASE \"{self.name}\" IS '{READY}'".encode())
        return self._published()

    def _published(self) -> str:
        with psycopg.connect(self.url) as connection:
            days = connection.execute(
                "SELECT count(DISTINCT calculation_date) FROM officer_metrics_daily WHERE calculation_date <= %s",
                [DAY],
            ).fetchone()
            took: dict[str, float] = dict(
                connection.execute(
                    "SELECT calculation_type, sum(duration_seconds) FROM metric_calculation_log"
                    " WHERE status = 'Completed' GROUP BY 1"
                ).fetchall()
            )
        assert days is not None
        return (
            f"{days[0]} days are published (compute {took['day']:.0f} s, backfill {took['backfill']:.0f} s)"
        )

    @cached_property
    def tokens(self) -> tuple[list[str], list[str]]:
        """Access tokens of the viewers and the auditors, who join the team if they have not yet."""
        from loanmetrics.http.tokens import Team, Tokens
        from loanmetrics.jobs import members
        from loanmetrics.settings import Settings

        settings = Settings(database_url=self.url, home=self.home)
        known = {member.email for member in members.team(settings)}
        tokens = Tokens(settings, Team(dict))
        made: dict[str, list[str]] = {"viewer": [], "auditor": []}
        for role, count in (("viewer", VIEWERS), ("auditor", AUDITORS)):
            for number in range(count):
                email = f"{role}{number}@example.com"
                if email not in known:
                    members.add(settings, email, f"{role.title()} {number}", role, PASSWORD)
                made[role].append(tokens.issue(members.token_holder(settings, email, 24), 24))
        return made["viewer"], made["auditor"]

    @cached_property
    def choices(self) -> Choices:
        """What can be asked for; officers and branches with the most loans at stake first, as people look at them."""
        with psycopg.connect(self.url) as connection:
            branches = connection.execute(
                "SELECT region, branch FROM branch_metrics_daily WHERE calculation_date = %s"
                " ORDER BY total_portfolio DESC, branch",
                [DAY],
            ).fetchall()
            officers = connection.execute(
                "SELECT officer_id FROM officer_metrics_daily WHERE calculation_date = %s"
                " ORDER BY total_portfolio DESC, officer_id",
                [DAY],
            ).fetchall()
        return Choices(
            sorted({region for region, _ in branches}),
            list(dict.fromkeys(branch for _, branch in branches)),
            [officer_id for (officer_id,) in officers],
            DAY,
        )

    def versions(self) -> dict[str, int]:
        """The version of every officer's audit, which writes have to name."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT officer_id, max(audit_id) FROM audit_tracking WHERE officer_id IS NOT NULL GROUP BY 1"
            ).fetchall()
        return dict.fromkeys(self.choices.officers, 0) | dict(rows)

    def _copy(self, admin: psycopg.Connection) -> None:
        """A copy of the lender's database, so that other measurements find theirs as they left it."""
        source = self.lab.database
        shutil.rmtree(self.home, ignore_errors=True)
        admin.execute(f'DROP DATABASE IF EXISTS "{self.name}"'.encode())
        template = psycopg.conninfo.conninfo_to_dict(source)["dbname"]
        admin.execute(f'CREATE DATABASE "{self.name}" TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())

    def _analyze(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")

    def _command(self, *words: object) -> None:
        sys.stderr.write(f"{self.lab.size}: loanmetrics {words[0]} ...\n")
        command = [sys.executable, "-m", "loanmetrics.cli", *map(str, words)]
        timed(command, self.environment)

    def _is_ready(self, admin: psycopg.Connection) -> bool:
        row = admin.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [self.name]
        ).fetchone()
        return row is not None and bool(row[0])


@contextmanager
def stage(lab: Lab) -> Iterator[tuple[Stage, str]]:
    """Everything up, with a Valkey on a socket of its own for as long as the block."""
    from tests.http.valkey import valkey

    with valkey() as shared:
        shared.start()
        ready = Stage(lab, shared.url)
        yield ready, ready.prepare()
