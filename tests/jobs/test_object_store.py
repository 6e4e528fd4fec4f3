"""Facts in an object store: another machine, with nothing but the database and the store, does what the first did."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import loanmetrics as lm
from loanmetrics.errors import DataError
from loanmetrics.facts import mirror
from loanmetrics.facts.lake import Lake
from loanmetrics.jobs.drilldown import loan_rows
from loanmetrics.jobs.running import lake_of
from loanmetrics.settings import Settings
from loanmetrics.store import audit
from loanmetrics.store.publish import stored
from loanmetrics.store.session import connect
from tests.bucket import Bucket
from tests.jobs.conftest import Cli
from tests.jobs.small import DAY
from tests.jobs.stored import DERIVED, LOG, asked, rows, statuses, told
from tests.jobs.test_failures import BREAK

COMPUTE = ("compute", "--as-of", str(DAY))
PAID = "UPDATE repayments SET payment_amount = 300, principal_paid = 300 WHERE repayment_id = 'R2'"
MORE = "UPDATE repayments SET payment_amount = 500, principal_paid = 500 WHERE repayment_id = 'R3'"
GONE = "DELETE FROM repayments WHERE loan_id = 'L5'"
MOVED = "UPDATE loans SET officer_id = 'O3' WHERE loan_id = 'L1'"
SECONDS = re.compile(r"[\d.]+ s\b")
STAMPS = ("run_id", "calculated_at")
# Reads the loans of a run in a process of its own: says that it is ready, waits for the word, tells the loans.
READER = """
import sys
from pathlib import Path
from loanmetrics.facts.lake import Lake
from loanmetrics.facts.remote import Remote

folder, url, name, run_id = sys.argv[1:]
lake = Lake(Path(folder), Remote(url, name))
print("ready", flush=True)
sys.stdin.readline()
facts = lake.facts(lake.version(run_id))
print(*sorted(loan for shard in facts.shards for loan in shard.loans.collect()["loan_id"]))
"""
Machine = Callable[[str], Path]


@pytest.fixture
def machine(run: Cli, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Go over to a machine by its name, a new one has an empty home; returns its home. The first is "one"."""

    def at(name: str) -> Path:
        monkeypatch.setenv("LOANMETRICS_HOME", str(tmp_path / name))
        return tmp_path / name

    monkeypatch.setenv("LOANMETRICS_FACTS_URL", bucket.url)
    at("one")
    return at


def lake(url: str, bucket: Bucket, home: Path) -> Lake:
    with connect(url) as connection:
        return lake_of(Settings(database_url=url, home=home, facts_url=bucket.url), connection)


def ran(url: str) -> list[str]:
    return [run_id for (run_id,) in asked(url, f"SELECT run_id FROM {LOG} ORDER BY log_id")]


def figures(url: str) -> list[pl.DataFrame]:
    with connect(url) as connection:
        return [table.drop(STAMPS) for table in stored(connection, DAY)]


def sweep(there: Lake, *runs: str) -> None:
    assert there.mirror is not None
    there.mirror.sweep(runs)


@pytest.mark.parametrize("detection", ["triggers", "hashes"])
def test_another_machine_goes_on_where_one_ended(
    run: Cli, small: str, machine: Machine, monkeypatch: pytest.MonkeyPatch, detection: str
) -> None:
    monkeypatch.setenv("LOANMETRICS_CHANGE_DETECTION", detection)
    assert run(small, *COMPUTE)[0] == 0
    for change, name in ((PAID, "two"), (MORE, "one"), (GONE, "three")):
        told(small, change)
        machine(name)
        code, out, err = run(small, *COMPUTE)
        assert (code, err) == (0, "")
        assert "read what changed" in out
    made = figures(small)
    told(small, "TRUNCATE officer_metrics_daily, branch_metrics_daily, loan_state")
    machine("four")
    assert run(small, *COMPUTE, "--full")[0] == 0
    for one, other in zip(made, figures(small), strict=True):
        assert len(one)
        assert_frame_equal(one, other, check_exact=True)


def test_readers_need_nothing_but_the_store(run: Cli, small: str, machine: Machine, tmp_path: Path) -> None:
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAID)
    told(small, MOVED)
    assert run(small, *COMPUTE)[0] == 0
    earlier, later = ran(small)
    changes = str(tmp_path / "changes.csv")
    commands = (
        ("show", "loans", "--metric", "par15_ratio"),
        (*COMPUTE, "--known-at", earlier, "--output", changes),
        ("diff", earlier, later),
        ("show", "officers", "--worst", "2", "--why"),
        ("verify",),
    )
    told_by = {}
    for name in ("one", "two"):
        machine(name)
        told_by[name] = [run(small, *words) for words in commands]
        told_by[name].append((0, Path(changes).read_text(), ""))
    assert [code for code, _, _ in told_by["two"]] == [0] * 6
    one, two = ([SECONDS.sub("", out) for _, out, _ in told_by[name]] for name in ("one", "two"))
    assert one == two
    assert ran(small) == [earlier, later]


@pytest.mark.parametrize("known_at", [False, True])
def test_a_notebook_opens_a_folder_of_the_store(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, known_at: bool
) -> None:
    home = machine("one")
    assert run(small, *COMPUTE)[0] == 0
    [first] = ran(small)
    told(small, MORE)
    assert known_at or run(small, *COMPUTE)[0] == 0
    [folder] = (home / "facts").iterdir()
    there = "?".join([f"{bucket.url.split('?')[0]}/{folder.name}", *bucket.url.split("?")[1:]])
    monkeypatch.setenv("XDG_DATA_HOME", str(machine("notebook")))
    book = lm.Book.scan(there, as_of=DAY, known_at=first if known_at else None)
    officers, _ = figures(small)
    chosen = ("officer_id", "total_portfolio", "risk_score")
    assert officers["total_portfolio"].sum() > 0
    assert_frame_equal(
        lm.compute(book).select(chosen).sort("officer_id").collect(),
        officers.select(chosen).sort("officer_id"),
        check_exact=True,
        check_dtypes=False,
    )


def test_a_store_that_cannot_be_written_to_fails_the_run(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAID)
    before, found = rows(small), bucket.names()
    nowhere = bucket.url.replace("bucket-", "missing-").replace("file://", "file:///proc/self")
    monkeypatch.setenv("LOANMETRICS_FACTS_URL", nowhere)
    code, out, err = run(small, *COMPUTE)
    assert (code, out) == (1, "")
    error, hint = err.splitlines()
    assert error.startswith(f"error: {nowhere.split('?')[0]}/") and " failed: " in error
    assert hint.startswith("hint: is its address right")
    assert "hush" not in err
    assert (rows(small), bucket.names()) == (before, found)
    assert statuses(small)[-1][0] == "Failed"
    monkeypatch.setenv("LOANMETRICS_FACTS_URL", bucket.url)
    assert run(small, *COMPUTE)[0] == 0
    assert rows(small) != before


def test_a_run_that_fails_after_the_push_leaves_the_last_one_in_force(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    [first] = ran(small)
    told(small, PAID)
    told(small, BREAK.format(event="INSERT OR UPDATE", table=DERIVED[0], when=""))
    assert run(small, *COMPUTE)[0] == 1
    failed = ran(small)[-1]
    assert f"manifests/{failed}.json" in bucket.names()
    told(small, f"DROP TRIGGER broken ON {DERIVED[0]}")
    home = machine("two")
    code, out, _ = run(small, *COMPUTE)
    assert (code, "read what changed" in out) == (0, True)
    monkeypatch.setattr(mirror, "YOUNG", 0)
    monkeypatch.setattr(mirror, "SWEEP_EVERY", 0)
    sweep(lake(small, bucket, home), first, ran(small)[-1])
    assert not [name for name in bucket.names() if failed in name]


@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (lambda content: content[:-7], "bytes"),
        (lambda content: content[:-7] + b"garbage", "other content"),
        (None, "has no"),
    ],
    ids=["short", "changed", "gone"],
)
def test_what_is_not_what_was_put_is_refused_by_name(
    run: Cli,
    small: str,
    machine: Machine,
    bucket: Bucket,
    hurt: Callable[[bytes], bytes] | None,
    said: str,
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    [first] = ran(small)
    name = bucket.one("repayments-")
    if hurt:
        bucket.write(name, hurt(bucket.read(name)))
    else:
        bucket.remove(name)
    home = machine("two")
    code, out, err = run(small, *COMPUTE, "--known-at", first)
    assert (code, out) == (1, "")
    assert name in err and said in err
    assert not list(home.rglob(f"{name}*"))
    told(small, PAID)
    assert run(small, *COMPUTE)[0] == 1
    assert run(small, *COMPUTE, "--full")[0] == 0
    machine("three")
    assert run(small, *COMPUTE)[0] == 0


def test_a_manifest_names_no_files_elsewhere(
    run: Cli, small: str, machine: Machine, bucket: Bucket, tmp_path: Path
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    name, manifest = bucket.one("cells-"), bucket.one("manifests/")
    content = bucket.read(manifest)
    bucket.write(manifest, content.replace(name.encode(), b"../../escaped"))
    found = lake(small, bucket, machine("two"))
    with pytest.raises(DataError, match="cannot be the name"):
        found.facts(found.version(ran(small)[0]))
    with pytest.raises(DataError, match="cannot be the name"):
        found.version("../../escaped")
    assert not list(tmp_path.rglob("escaped"))


def test_the_store_forgets_what_the_log_forgets(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As here: runs of the last 35 days, the last of each month end, and those that an audit or an export names."""
    monkeypatch.setattr(mirror, "SWEEP_EVERY", 0)
    for day, change in (("2026-02-28", PAID), (str(DAY), MORE), (str(DAY), GONE), (str(DAY), MOVED)):
        told(small, change)
        assert run(small, "compute", "--as-of", day)[0] == 0
    month_end, forgotten, audited, last = ran(small)
    with connect(small) as connection:
        audit.append(connection, event="export", actor="ada", run_id=audited)
    told(small, f"UPDATE {LOG} SET start_time = start_time - interval '36 days'")
    assert run(small, *COMPUTE)[0] == 0
    assert f"manifests/{forgotten}.json" in bucket.names(), "what is young may be of a run under way"
    monkeypatch.setattr(mirror, "YOUNG", 0)
    assert run(small, *COMPUTE)[0] == 0
    there = lake(small, bucket, machine("two"))
    assert not there.holds(forgotten)
    runs = [run_id for run_id in ran(small) if run_id not in (forgotten, last)]
    files = set[str]().union(*(there.version(run_id).files for run_id in runs))
    assert set(bucket.names()) == {*files, *(f"manifests/{run_id}.json" for run_id in runs), "manifest.json"}
    for run_id in (month_end, audited):
        shards = there.facts(there.version(run_id)).shards
        assert sum(shard.loans.collect().height for shard in shards) == 5


def test_what_was_kept_before_there_was_a_store_comes_into_it(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOANMETRICS_FACTS_URL")
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAID)
    assert run(small, *COMPUTE)[0] == 0
    monkeypatch.setenv("LOANMETRICS_FACTS_URL", bucket.url)
    told(small, MORE)
    assert run(small, *COMPUTE)[0] == 0
    empty = lake(small, bucket, machine("two"))
    for run_id in ran(small):
        assert empty.facts(empty.version(run_id)).shards


def test_a_store_that_was_emptied_is_filled_again(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    for name in bucket.names():
        bucket.remove(name)
    told(small, PAID)
    code, out, _ = run(small, *COMPUTE)
    assert (code, "read what changed" in out) == (0, True)
    first, second = ran(small)
    empty = lake(small, bucket, machine("two"))
    assert empty.facts(empty.version(second)).shards
    assert not empty.holds(first)
    machine("one")
    monkeypatch.setattr(mirror, "SWEEP_EVERY", 0)
    assert run(small, *COMPUTE)[0] == 0
    assert empty.holds(first)


def test_facts_that_were_restored_under_another_name_are_put_there_anew(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a database that was brought back on another server: its old files claim to be where they are not."""
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAID)
    assert run(small, *COMPUTE)[0] == 0
    first, second = ran(small)
    address, mark, options = bucket.url.partition("?")
    elsewhere = Bucket(f"{address}/restored{mark}{options}")
    here, empty = lake(small, elsewhere, machine("one")), lake(small, elsewhere, machine("two"))
    monkeypatch.setattr(mirror, "SWEEP_EVERY", -1)
    monkeypatch.setattr(mirror, "TRIM_EVERY", -1)
    monkeypatch.setattr(mirror, "KEEP_FILES", -1)
    sweep(here, first)
    one, other = here.version(first), here.version(second)
    here.path(one.small["cells"]).unlink()
    here.bring(one, one.files)
    assert not here.path(one.small["cells"]).exists()
    assert all(here.path(name).exists() for name in other.files - one.files)
    sweep(here, first, second)
    monkeypatch.setattr(mirror, "KEEP_FILES", 60)
    for run_id in (first, second):
        assert empty.facts(empty.version(run_id)).shards
        assert empty.version(run_id).lies_at(str(empty.remote))


def test_several_processes_bring_the_same_files_at_once(
    run: Cli, small: str, machine: Machine, bucket: Bucket, tmp_path: Path
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    there = lake(small, bucket, machine("two"))
    assert there.remote is not None
    words = [sys.executable, "-c", READER, str(there.folder), bucket.url, there.remote.folder, *ran(small)]
    readers = [
        subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)
    ]
    for each in readers:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in readers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.communicate()[0] for each in readers] == ["L1 L2 L3 L4 L5\n"] * 3
    assert not list(there.folder.rglob("*.new"))


def test_what_nobody_reads_leaves_the_machine_and_comes_again(
    run: Cli, small: str, machine: Machine, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    told(small, PAID)
    assert run(small, *COMPUTE)[0] == 0
    first, second = ran(small)
    there = lake(small, bucket, machine("two"))
    there.facts(there.version(first))
    file = there.path(there.version(first).shards[0].files[0])
    own = there.path("loans-of-our-own.parquet")
    own.touch()
    monkeypatch.setattr(mirror, "TRIM_EVERY", -1)
    monkeypatch.setattr(mirror, "KEEP_FILES", -1)
    there.bring(there.version(second), [there.version(second).small["gone"]])
    assert (file.exists(), own.exists()) == (False, True)
    monkeypatch.setattr(mirror, "KEEP_FILES", 60)
    assert there.facts(there.version(first)).shards[0].loans.collect().height == 5
    assert file.exists()


def test_loans_behind_a_figure_are_made_from_the_store(
    run: Cli, small: str, machine: Machine, bucket: Bucket
) -> None:
    assert run(small, *COMPUTE)[0] == 0
    made = []
    for name in ("one", "two"):
        there = lake(small, bucket, machine(name))
        made.append(loan_rows(Settings(), there, there.version(ran(small)[0]), DAY).sort("loan_id").collect())
    assert_frame_equal(*made)
    assert not [name for name in bucket.names() if name.startswith("days/")]
