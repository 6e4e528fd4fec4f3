"""What is kept of a day is whole, made once, shared by versions, and taken away in time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loanmetrics.facts import days
from loanmetrics.facts.disk import UNDER_WAY
from loanmetrics.jobs.drilldown import Where
from tests.jobs.lender import Lender, lender_at
from tests.jobs.small import DAY
from tests.jobs.stored import asked, told

ANOTHER = DAY - timedelta(days=3)
# Reads a day in a process of its own: says that it is ready, waits for the word, tells the loans.
READER = """
import sys
from datetime import date
from pathlib import Path
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.drilldown import loan_rows
from loanmetrics.settings import Settings

folder, run_id, day = sys.argv[1:]
lake = Lake(Path(folder))
print("ready", flush=True)
sys.stdin.readline()
rows = loan_rows(Settings(), lake, lake.version(run_id), date.fromisoformat(day))
print(rows.sort("loan_id").collect().write_csv())
"""
# Dies in the middle of the first file that it writes.
DYING = (
    """
import io, os, signal
import polars as pl

write = pl.DataFrame.write_ipc

def dying(frame, file):
    whole = io.BytesIO()
    write(frame, whole)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

pl.DataFrame.write_ipc = dying
"""
    + READER
)
# Says so before it waits for its turn.
WAITING = (
    """
from contextlib import contextmanager
from loanmetrics.store.embedded import locks

held = locks.held

@contextmanager
def telling(path):
    print("waits", flush=True)
    with held(path):
        yield

locks.held = telling
"""
    + READER
)


@pytest.fixture
def lender(small: str, home: Path) -> Iterator[Lender]:
    with lender_at(small, home) as made:
        made.compute(DAY)
        yield made


def reader(lender: Lender, text: str = READER, day: date = DAY) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", text, str(lender.lake.folder), lender.version(day).run_id, str(day)]
    made = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    assert made.stdout.readline() == "ready\n"
    return made


def told_loans(readers: Sequence[subprocess.Popen[str]]) -> list[str]:
    for each in readers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    return [each.communicate()[0] for each in readers]


def unfinished(lender: Lender) -> list[Path]:
    return list(lender.lake.days.folder.glob(f"*{UNDER_WAY}"))


def test_two_processes_make_a_day_at_once(lender: Lender) -> None:
    texts = told_loans([reader(lender), reader(lender)])
    assert len(lender.files()) == 1
    assert unfinished(lender) == []
    made = lender.files()[0].stat().st_ino
    columns = lender.rows(DAY).columns
    assert texts[0] == texts[1]
    assert texts[0].splitlines()[0] == ",".join(columns)
    assert len(texts[0].split()) == 1 + len(lender.rows(DAY)) == 6
    assert lender.files()[0].stat().st_ino == made


def test_whoever_comes_second_waits_and_takes_what_is_there(lender: Lender) -> None:
    lender.rows(DAY)
    [path] = lender.files()
    some = pl.read_ipc(path).head(2)
    path.unlink()
    second = reader(lender, WAITING)
    assert second.stdin is not None
    assert second.stdout is not None
    with lender.lake.days.alone():
        second.stdin.write("\n")
        second.stdin.flush()
        assert second.stdout.readline() == "waits\n"
        lender.lake.days.keep(path, some)
    assert len(second.communicate()[0].split()) == 1 + len(some)


def test_killed_while_making_a_day_it_leaves_no_half_file(lender: Lender) -> None:
    dying = reader(lender, DYING)
    assert told_loans([dying]) == [""]
    assert dying.returncode == -signal.SIGKILL
    assert lender.files() == []
    [half] = unfinished(lender)
    assert half.stat().st_size > 0
    [text] = told_loans([reader(lender)])
    assert len(text.split()) == 6
    assert len(lender.rows(DAY)) == 5
    lender.lake.days.trim()
    assert unfinished(lender) == [half]
    os.utime(half, (0, 0))
    lender.lake.days.trim()
    assert unfinished(lender) == []


def test_a_new_version_makes_only_what_changed(lender: Lender) -> None:
    before = lender.rows(DAY)
    [kept] = lender.files()
    was = kept.stat().st_ino
    told(lender.url, "UPDATE loans SET officer_id = 'O3', status = 'Defaulted' WHERE loan_id = 'L5'")
    lender.compute(DAY)
    after = lender.rows(DAY)
    assert kept in lender.files()
    assert kept.stat().st_ino == was
    [fresh] = set(lender.files()) - {kept}
    assert pl.read_ipc(fresh)["loan_id"].to_list() == ["L5"]
    assert_frame_equal(after.filter(pl.col("loan_id") != "L5"), before.filter(pl.col("loan_id") != "L5"))
    columns = ("officer_id", "status")
    assert after.filter(loan_id="L5").select(columns).row(0) == ("O3", "Defaulted")
    assert lender.rows(DAY, Where(officer_id=["O2"]))["loan_id"].to_list() == ["L4"]


def test_scores_weigh_all_loans_of_an_officer_as_they_stand_now(lender: Lender) -> None:
    """His largest loan goes to another: the rest weigh more, in the files that stay as well."""
    mine = Where(officer_id=["O1"])
    before = dict(lender.rows(DAY, mine).select("loan_id", "loan_risk_score").iter_rows())
    told(lender.url, "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L1'")
    lender.compute(DAY)
    after = dict(lender.rows(DAY, mine).select("loan_id", "loan_risk_score").iter_rows())
    assert sorted(after) == ["L2", "L3"]
    assert all(after[loan] > before[loan] for loan in after)
    lender.compute(DAY, full=True)
    assert dict(lender.rows(DAY, mine).select("loan_id", "loan_risk_score").iter_rows()) == after


def test_a_holiday_makes_a_day_anew(lender: Lender) -> None:
    lender.rows(DAY)
    told(lender.url, "INSERT INTO holidays VALUES ('2026-03-16', 'one')")
    lender.compute(DAY)
    lender.rows(DAY)
    assert len(lender.files()) == 2


def test_files_go_with_their_version(lender: Lender) -> None:
    lender.rows(DAY)
    gone = lender.files()
    last = lender.compute(DAY, full=True)
    lender.rows(DAY)
    assert len(lender.files()) == 2
    lender.lake.prune([last])
    assert len(lender.files()) == 1
    assert lender.files() != gone
    assert len(lender.rows(DAY)) == 5


def test_days_nobody_reads_go(lender: Lender) -> None:
    for day in (DAY, ANOTHER):
        lender.rows(day)
    old, used = (next(path for path in lender.files() if str(day) in path.name) for day in (DAY, ANOTHER))
    for path in (old, used):
        os.utime(path, (0, 0))
    lender.rows(ANOTHER)
    lender.lake.days.trim()
    assert lender.files() == [used]


def test_the_days_read_last_stay_when_there_are_too_many(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for after, day in enumerate((DAY, ANOTHER)):
        lender.rows(day)
        [path] = [path for path in lender.files() if str(day) in path.name]
        when = path.stat().st_mtime + after - 10
        os.utime(path, (when, when))
    monkeypatch.setattr(days, "MOST_BYTES", path.stat().st_size)
    lender.lake.days.trim()
    assert lender.files() == [path]


def test_no_personal_data_is_kept(lender: Lender) -> None:
    told(lender.url, "UPDATE loans SET customer_name = 'Planted Name', customer_phone = '+2348099999999'")
    lender.compute(DAY)
    lender.rows(DAY)
    [(name,)] = asked(lender.url, "SELECT DISTINCT customer_name FROM loans")
    assert lender.files()
    for path in lender.lake.folder.rglob("*"):
        if path.is_file():
            assert name.encode() not in path.read_bytes()
            assert b"2348099999999" not in path.read_bytes()
