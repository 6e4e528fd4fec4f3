from pathlib import Path
from typing import Any

import pytest

from loanmetrics.errors import UsageError
from loanmetrics.http.follow import Ear
from loanmetrics.http.remote import Remote
from loanmetrics.store import redis
from loanmetrics.store.announce import announce
from tests.http import tls
from tests.http.valkey import LOOPBACK, Valkey, free_port, valkey
from tests.http.waiting import until

PATIENCE = 20.0


def remembers(url: str) -> bool:
    remote = Remote(url, budget=PATIENCE)
    remote.put("loanmetrics:a", b"1", 60)
    found = remote.get("loanmetrics:a")
    remote.close()
    return found == b"1"


def hears(url: str) -> bool:
    ear = Ear(url)
    until(lambda: ear.listen(0.01) is not None)
    told = announce(url, "R1")
    heard = ear.listen(PATIENCE)
    ear.close()
    return told and heard is True


@pytest.mark.loopback
@pytest.mark.parametrize("url", ["redis+cluster://{}:{}", "redis://{}:{}?cluster=true"])
def test_a_cluster(url: str, stopped_valkey: Valkey) -> None:
    port, bus = free_port(), free_port()
    stopped_valkey.start(
        *("--bind", LOOPBACK, "--port", str(port), "--cluster-port", str(bus)),
        *("--cluster-enabled", "yes", "--cluster-announce-ip", LOOPBACK),
    )
    with stopped_valkey.client() as client:
        ask: Any = client.execute_command
        ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: "cluster_state:ok" in str(ask("CLUSTER", "INFO")))
    assert remembers(url.format(LOOPBACK, port))
    assert hears(url.format(LOOPBACK, port))


@pytest.mark.loopback
def test_the_master_that_sentinels_name(stopped_valkey: Valkey) -> None:
    port, sentinel = free_port(), free_port()
    stopped_valkey.start("--bind", LOOPBACK, "--port", str(port), "--requirepass", "hush")
    with valkey() as watcher:
        watcher.watch(sentinel, "figures", port)
        nobody = free_port()
        named = f"{LOOPBACK}:{nobody},{LOOPBACK}:{sentinel}"
        assert remembers(f"redis+sentinel://:hush@{named}/figures")
        assert remembers(f"redis+sentinel://:hush@{named}/figures/3")
        assert hears(f"redis+sentinel://:hush@{named}/figures")
        assert not remembers(f"redis+sentinel://:hush@{named}/other")
        assert not remembers(f"redis+sentinel://{named}/figures")
    with stopped_valkey.client(password="hush") as client:
        assert {"db0", "db3"} == set(client.info("keyspace"))


@pytest.mark.loopback
def test_tls_is_believed_only_with_a_trusted_certificate(valkey: Valkey, tmp_path: Path) -> None:
    with tls.in_front_of(valkey.socket, tmp_path) as (port, certificate):
        assert remembers(f"rediss://{LOOPBACK}:{port}?ssl_ca_certs={certificate}")
        assert not remembers(f"rediss://{LOOPBACK}:{port}")


def test_tls_reaches_sentinels_their_master_and_clusters() -> None:
    client: Any = redis.connect("rediss+sentinel://:a@one/figures?ssl_ca_certs=/ca&sentinel_password=b", 0.05)
    pool = client.connection_pool
    assert pool.connection_class.__name__ == "SentinelManagedSSLConnection"
    assert pool.connection_kwargs["password"] == "a"
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca"
    [sentinel] = pool.sentinel_manager.sentinels
    asked = sentinel.connection_pool.connection_kwargs
    assert (asked["password"], asked["ssl_ca_certs"], asked["host"], asked["port"]) == (
        "b",
        "/ca",
        "one",
        26379,
    )
    assert redis.place("rediss+cluster://one?ssl_ca_certs=/ca").url == "rediss://one?ssl_ca_certs=%2Fca"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:26379",
        "redis+sentinel:///figures",
        "redis+sentinel://one:port/figures",
        "redis://[::1",
    ],
)
def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="the Redis URL cannot be read"):
        redis.check(url)
