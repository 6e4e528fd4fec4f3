"""Figures made by the workers of a cluster are those made here, whoever dies on the way."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import loanmetrics
from loanmetrics.jobs import executors
from tests.jobs.cluster import ALL, ONE, SCHEDULER
from tests.jobs.conftest import Cli
from tests.jobs.stored import asked, statuses, told
from tests.support import SAMPLE_DAY

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).parent.parent.parent
COMPUTE = ("compute", "--as-of", str(SAMPLE_DAY), "--full")
BACKFILL = ("backfill", "--from", str(SAMPLE_DAY.replace(day=1)), "--to", str(SAMPLE_DAY))
FIGURES = ("officer_metrics_daily", "branch_metrics_daily")
TABLES = {
    COMPUTE: (*FIGURES, "loan_state"),
    BACKFILL: (*FIGURES, "loan_state", "dpd_transitions", "par15_snapshots"),
}
STAMPS = "{run_id,calculated_at}"
NOBODY = "tcp://127.0.0.1:1"


@dataclass(frozen=True)
class Cluster:
    """A scheduler and its workers in processes of their own."""

    address: str
    folder: Path
    process: subprocess.Popen[str]

    def order(self, what: str) -> Path:
        """Have something die when the next task begins; the file goes once it did."""
        file = self.folder / what
        file.touch()
        return file

    def whole(self) -> None:
        """Wait until all workers are there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"


@contextmanager
def started(folder: Path, workers: int) -> Iterator[Cluster]:
    command = [sys.executable, "-m", "tests.jobs.cluster", str(folder), str(workers)]
    with subprocess.Popen(
        command,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        yield Cluster(process.stdout.readline().strip(), folder, process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster


@pytest.fixture
def cluster(two_workers: Cluster) -> Cluster:
    two_workers.whole()
    return two_workers


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANMETRICS_SHARD_LOANS", "2000")


def unexpected(err: str) -> str:
    """What is on stderr but for the days that a backfill begins."""
    return re.sub(r"^[-0-9]{10} to [-0-9]{10}: computing \d+ days? \.\.\.\n", "", err, flags=re.MULTILINE)


def taken(url: str, words: tuple[str, ...]) -> dict[str, list[tuple[str]]]:
    """What a command published, which is then removed."""
    found = {}
    for table in TABLES[words]:
        row = f"(to_jsonb(t) - '{STAMPS}'::text[])::text"
        found[table] = asked(url, f"SELECT {row} FROM {table} t ORDER BY 1")
        told(url, f"TRUNCATE {table}")
    return found


@pytest.mark.parametrize("words", [COMPUTE, BACKFILL], ids=lambda words: words[0])
def test_figures_are_the_same_wherever_they_are_made(
    run: Cli, sample: str, cluster: Cluster, words: tuple[str, ...]
) -> None:
    taken(sample, words)
    assert run(sample, *words)[0] == 0
    here = taken(sample, words)
    assert all(here.values())
    code, _, err = run(sample, *words, "--scheduler", cluster.address)
    assert (code, unexpected(err)) == (0, "")
    assert taken(sample, words) == here
    death = cluster.order(ONE)
    code, _, err = run(sample, *words, "--scheduler", cluster.address)
    assert (code, unexpected(err), death.exists()) == (0, "", False)
    assert taken(sample, words) == here


def refused(made: tuple[int, str, str]) -> str:
    """What a command that failed told in one line, beside its hint."""
    code, out, err = made
    assert (code, out) == (1, "")
    error, hint = unexpected(err).splitlines()
    assert hint.startswith("hint: ")
    return error


def test_a_shard_that_ends_every_worker_fails_the_run(run: Cli, small: str, cluster: Cluster) -> None:
    death = cluster.order(ALL)
    try:
        error = refused(run(small, *COMPUTE, "--scheduler", cluster.address))
    finally:
        death.unlink()
    assert error == f"error: the same shard ended several workers of {cluster.address}"
    assert [status for status, _ in statuses(small)] == ["Failed"]


def test_a_scheduler_that_dies_fails_the_run_and_nothing_else_is_said(small: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loanmetrics.cli", *COMPUTE]
    settings = {"LOANMETRICS_DATABASE_URL": small, "LOANMETRICS_HOME": str(tmp_path / "home")}
    with started(tmp_path, 1) as cluster:
        cluster.order(SCHEDULER)
        done = subprocess.run(
            [*command, "--scheduler", cluster.address],
            env={**os.environ, **settings},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        os.killpg(cluster.process.pid, signal.SIGKILL)
    error = refused((done.returncode, done.stdout, done.stderr))
    assert error == f"error: the scheduler {cluster.address} was lost"
    assert [status for status, _ in statuses(small)] == ["Failed"]


def test_a_scheduler_without_workers_is_told(
    run: Cli, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE", 1)
    with started(tmp_path, 0) as cluster:
        error = refused(run(small, *COMPUTE, "--scheduler", cluster.address))
    assert error == f"error: the scheduler {cluster.address} has no workers"


def test_a_scheduler_that_does_not_answer_is_told(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE", 1)
    error = refused(run(small, *BACKFILL, "--scheduler", NOBODY))
    assert error == f"error: the scheduler {NOBODY} does not answer"
    [(status, reason)] = statuses(small)
    assert (status, "does not answer" in reason) == ("Failed", True)
    assert asked(small, "SELECT count(*) FROM officer_metrics_daily") == [(0,)]


def test_a_run_that_reads_little_asks_no_scheduler(run: Cli, small: str) -> None:
    assert run(small, *COMPUTE)[0] == 0
    code, out, err = run(small, *COMPUTE[:-1], "--scheduler", NOBODY)
    assert (code, "0 rows changed" in out, err) == (0, True, "")


def test_workers_of_another_release_are_refused(
    run: Cli, small: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = loanmetrics.__version__
    monkeypatch.setattr(loanmetrics, "__version__", "0.0.1")
    error = refused(run(small, *COMPUTE, "--scheduler", cluster.address))
    assert error.startswith(f"error: the scheduler runs loanmetrics {release}, polars ")


@pytest.mark.skipif(
    not Path("/proc/self/cwd").exists(), reason="needs a path that means another place elsewhere"
)
def test_workers_must_see_the_facts(
    run: Cli, small: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANMETRICS_FACTS_DIR", "/proc/self/cwd/facts")
    error = refused(run(small, *COMPUTE, "--scheduler", cluster.address))
    assert " cannot read and write /proc/self/cwd/facts/" in error


def test_without_the_extra_the_way_to_it_is_told(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setenv("LOANMETRICS_SCHEDULER", NOBODY)
    code, _, err = run(small, *COMPUTE)
    assert (code, "pip install 'loanmetrics[distributed]'" in err) == (2, True)


def test_what_listens_but_is_no_scheduler_is_told(
    run: Cli, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        assert refused(run(small, *COMPUTE, "--scheduler", address)).endswith("does not answer")


def test_a_scheduler_behind_tls_needs_certificates(run: Cli, small: str) -> None:
    code, _, err = run(small, *COMPUTE, "--scheduler", NOBODY.replace("tcp", "tls"))
    assert (code, "needs certificates" in err) == (2, True)


def test_an_address_is_checked_before_anything_is_done(run: Cli, small: str) -> None:
    code, _, err = run(small, *COMPUTE, "--scheduler", "nowhere")
    assert (code, "$.scheduler" in err) == (2, True)
    assert statuses(small) == []
