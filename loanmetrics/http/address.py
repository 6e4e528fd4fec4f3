"""Where a request comes from, when proxies stand in front."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from itertools import pairwise


def client(peer: str, forwarded: str, proxies: Sequence[str]) -> str:
    """The nearest address that is no proxy of ours: what stands before it in ``forwarded`` anybody may have written.

    A server on a socket of this machine has no peer's address: then whoever reaches the socket is the proxy.

    >>> client("10.0.0.7", "203.0.113.9, 198.51.100.4", ["10.0.0.0/8"])
    '198.51.100.4'
    >>> client("198.51.100.4", "203.0.113.9", ["10.0.0.0/8"])
    '198.51.100.4'
    """
    path = (
        [peer, *reversed([hop.strip() for hop in forwarded.split(",") if hop.strip()])] if proxies else [peer]
    )
    for nearer, hop in pairwise(path):
        if nearer and not _is_one_of(nearer, proxies):
            return nearer
        if not _is_address(hop):
            return nearer
    return path[-1]


def _is_one_of(hop: str, proxies: Sequence[str]) -> bool:
    return any(ip_address(hop) in ip_network(proxy) for proxy in proxies)


def _is_address(hop: str) -> bool:
    try:
        ip_address(hop)
    except ValueError:
        return False
    return True
