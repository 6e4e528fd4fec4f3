"""Redis or Valkey by URL: one server, a cluster, or the master that sentinels name.

redis://[user:password@]host:port/db             one server; rediss:// with TLS, unix:///path for a socket
redis+cluster://host:port                        a cluster by one of its nodes; also redis://host:port?cluster=true
redis+sentinel://host:port,host:port/service/db  the master of a service; the sentinels' own password, where they
                                                 have one, is ?sentinel_password=
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from loanmetrics.errors import UsageError

if TYPE_CHECKING:
    from redis import Redis
    from redis.cluster import RedisCluster

    Client: TypeAlias = Redis | RedisCluster

SENTINEL_PORT = 26379
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
FORMS = "redis[s]://host:port/db, redis+cluster://host:port or redis+sentinel://host:port,host:port/service"
INSTALL = "pip install 'loanmetrics[http]'"


@dataclass(frozen=True)
class Place:
    """Where a cache is, as its URL says."""

    kind: str
    url: str
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    for_sentinels: Mapping[str, str] = field(default_factory=dict)


def place(url: str) -> Place:
    """What a URL names; UsageError if it cannot be read. The URL is not quoted: it may hold a password.

    >>> place("redis+sentinel://one:26379,two/figures/1").sentinels
    (('one', 26379), ('two', 26379))
    """
    try:
        parts = urlsplit(url)
        scheme, _, kind = parts.scheme.partition("+")
        options = dict(parse_qsl(parts.query))
        if options.pop("cluster", "").lower() in ("true", "yes", "1"):
            kind = "cluster"
        if kind == "sentinel":
            return _sentinels(scheme, parts, options)
        return Place(kind or "server", _plain(scheme, parts.netloc, parts.path, options))
    except ValueError:
        raise _unreadable() from None


def check(url: str) -> None:
    """UsageError if the URL cannot be read, or if there is nothing installed to reach it with."""
    place(url)
    if not find_spec("redis"):
        raise UsageError("redis is not installed", INSTALL)


def connect(url: str, patience: float) -> "Client":
    """A client whose every wait for the network ends after ``patience`` seconds, and that tries nothing twice.

    A cluster's client asks for its nodes at once; the others connect at their first command.
    """
    check(url)
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    where, once = place(url), Retry(NoBackoff(), 0)
    common: dict[str, Any] = {
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        "protocol": 2,
        "driver_info": None,
    }
    try:
        if where.kind == "cluster":
            return redis.RedisCluster.from_url(where.url, retry=once, **common)
        if where.kind == "sentinel":
            return _master(where, {**common, "retry": once})
        return redis.Redis.from_url(where.url, retry=once, **common)
    except (ValueError, TypeError):
        raise _unreadable() from None


def _master(where: Place, common: dict[str, Any]) -> "Client":
    from redis import connection, sentinel

    # Of this library these two have no types.
    parse_url: Any = connection.parse_url
    sentinel_class: Any = sentinel.Sentinel
    server: dict[str, Any] = dict(parse_url(where.url))
    tls = {"ssl": True} if server.pop("connection_class", None) else {}
    for name in ("host", "port"):
        server.pop(name, None)
    ours = {**common, **tls, **server}
    shared = {name: value for name, value in ours.items() if name.startswith("ssl")}
    sentinels = sentinel_class(
        where.sentinels, sentinel_kwargs={**common, **shared, **where.for_sentinels}, **ours
    )
    master: Client = sentinels.master_for(where.service)
    return master


def _sentinels(scheme: str, parts: SplitResult, options: dict[str, str]) -> Place:
    credentials, _, hosts = parts.netloc.rpartition("@")
    service, _, db = parts.path.strip("/").partition("/")
    named = tuple(_address(host) for host in hosts.split(",") if host)
    if not service or not named:
        raise _unreadable()
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in SENTINEL_OPTIONS if name in options}
    netloc = f"{credentials}@master" if credentials else "master"
    return Place("sentinel", _plain(scheme, netloc, f"/{db}" if db else "", options), named, service, own)


def _address(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise _unreadable()
    return parts.hostname, parts.port or SENTINEL_PORT


def _plain(scheme: str, netloc: str, path: str, options: Mapping[str, str]) -> str:
    query = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{netloc}{path}{query}"


def _unreadable() -> UsageError:
    return UsageError("the Redis URL cannot be read", FORMS)
