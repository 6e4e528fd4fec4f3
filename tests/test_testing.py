import socket

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from loanmetrics.testing import PREFIX, Databases
from loanmetrics.testing import databases as others


def names(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def test_each_test_has_a_migrated_database_of_its_own(databases: Databases) -> None:
    with databases.migrated() as one, databases.migrated() as two:
        assert one != two
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE noted ()")
            assert connection.execute("SELECT to_regclass('loans')").fetchone() == ("loans",)
        with psycopg.connect(two) as connection:
            assert connection.execute("SELECT to_regclass('noted')").fetchone() == (None,)
    assert not {conninfo_to_dict(url)["dbname"] for url in (one, two)} & names(databases.url)


def test_leftovers_of_a_killed_run_are_dropped_and_those_of_living_runs_kept(databases: Databases) -> None:
    abandoned = f"{PREFIX}0123456789ab_gw0_1"
    databases.admin.execute(f'CREATE DATABASE "{abandoned}"')
    with databases.empty() as url:
        with others("another run", dsn=databases.url) as other:
            assert abandoned not in names(databases.url)
            with other.empty() as theirs:
                assert conninfo_to_dict(theirs)["dbname"] in names(databases.url)
        assert conninfo_to_dict(url)["dbname"] in names(databases.url)


def test_an_empty_database_is_empty(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert connection.execute(query).fetchone() == (0,)


def test_the_network_is_refused() -> None:
    with socket.socket() as client, pytest.raises(RuntimeError, match="tests use no network"):
        client.connect(("127.0.0.1", 9))


@pytest.mark.loopback
def test_this_machine_may_be_asked_for() -> None:
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", 9))
