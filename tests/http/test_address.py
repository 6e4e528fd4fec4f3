import pytest

from loanmetrics.http.address import client

OURS = ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        ("198.51.100.4", "", (), "198.51.100.4"),
        ("198.51.100.4", "203.0.113.9", (), "198.51.100.4"),
        ("198.51.100.4", "203.0.113.9", OURS, "198.51.100.4"),
        ("10.0.0.7", "", OURS, "10.0.0.7"),
        ("10.0.0.7", "203.0.113.9", OURS, "203.0.113.9"),
        ("10.0.0.7", "1.1.1.1, 203.0.113.9", OURS, "203.0.113.9"),
        ("10.0.0.7", "203.0.113.9 ,10.0.0.8", OURS, "203.0.113.9"),
        ("10.0.0.7", "10.0.0.9, 10.0.0.8", OURS, "10.0.0.9"),
        ("10.0.0.7", "'; DROP TABLE loans", OURS, "10.0.0.7"),
        ("10.0.0.7", "2001:db8::5", OURS, "2001:db8::5"),
        ("::1", "203.0.113.9", OURS, "203.0.113.9"),
        ("", "203.0.113.9", (), ""),
        ("", "203.0.113.9", OURS, "203.0.113.9"),
    ],
)
def test_only_our_proxies_are_believed(
    peer: str, forwarded: str, proxies: tuple[str, ...], found: str
) -> None:
    assert client(peer, forwarded, proxies) == found
