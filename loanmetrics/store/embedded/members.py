"""Who uses the server: each process holds a shared lock, which the kernel drops however it ends."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loanmetrics.store.embedded import places
from loanmetrics.store.embedded.cluster import Cluster
from loanmetrics.store.embedded.locks import held, opened, try_exclusive, try_shared


@dataclass
class Member:
    """This process as a user of one server, however many of its threads and blocks use it."""

    cluster: Cluster
    url: str
    membership: int
    blocks: int = 0


_mine: dict[Path, Member] = {}
_guard = threading.Lock()


def enter(home: Path, fsync: bool) -> Member:
    with _guard:
        member = _mine.get(home)
        if member is None:
            member = _mine[home] = _join(home, fsync)
        member.blocks += 1
        return member


def leave(member: Member) -> None:
    with _guard:
        home = next((home for home, mine in _mine.items() if mine is member), None)
        if home is None:  # a forked child leaving the block of its parent
            return
        member.blocks -= 1
        if not member.blocks:
            del _mine[home]
            _part(member)


def _join(home: Path, fsync: bool) -> Member:
    cluster = Cluster(places.place_of(home), fsync)
    membership = opened(cluster.place / "members")
    try:
        with _alone(cluster.place):
            try_shared(membership)
            url = cluster.running()
    except BaseException:
        os.close(membership)
        raise
    return Member(cluster, url, membership)


def _part(member: Member) -> None:
    try:
        with _alone(member.cluster.place):
            if try_exclusive(member.membership):
                member.cluster.stop()
    finally:
        os.close(member.membership)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One process at a time starts, joins or stops."""
    with held(place / "lock"):
        yield


def _forget() -> None:
    """A forked child is no member by its parent's membership: it would keep it after the parent's end."""
    global _guard
    for member in _mine.values():
        os.close(member.membership)
    _mine.clear()
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_forget)
