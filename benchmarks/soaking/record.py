"""What a soak leaves behind, as one JSON file. Times are seconds since it began, memory is MiB."""

from datetime import date
from pathlib import Path

import msgspec
from figure import RESULTS, SOAK


class Slice(msgspec.Struct, frozen=True):
    """What was asked in a stretch of time: milliseconds until the answer, and failures by status.

    The ``hit_rate`` is the share of answers that were found in a cache, null where the server could not be asked.
    """

    at: float
    requests: int
    failures: dict[str, int]
    p50: float
    p95: float
    p99: float
    hit_rate: float | None = None


class Memory(msgspec.Struct, frozen=True):
    """What a process held; of PostgreSQL, all its processes together. ``pss``: shared pages by their share."""

    process: str
    pid: int
    at: list[float] = []
    rss: list[float] = []
    pss: list[float] = []


class Growth(msgspec.Struct, frozen=True):
    """A line through what one process held once it was warm; ``last`` is the median of its last minute."""

    process: str
    pid: int
    seconds: float
    last: float
    highest: float
    per_hour: float


class Happening(msgspec.Struct, frozen=True):
    """Something done on purpose; in an ``outage`` requests may fail."""

    what: str
    began: float
    ended: float
    said: str
    outage: bool = False


class Share(msgspec.Struct, frozen=True):
    """Requests, and those among them that ended in a 5xx or without an answer."""

    requests: int
    failed: int

    @property
    def percent(self) -> float:
        return 100 * (1 - self.failed / self.requests) if self.requests else 100.0


class Stray(msgspec.Struct, frozen=True):
    """A request that failed in no outage."""

    at: float
    status: int
    request: str
    why: str = ""


class Proof(msgspec.Struct, frozen=True):
    """One thing that had to hold in the end."""

    what: str
    fine: bool
    said: str


class Soak(msgspec.Struct, frozen=True):
    """The whole. ``apart``: without the requests that fell into an outage."""

    size: str
    seconds: float
    users: int
    rate: float
    slice: float
    machine: str
    software: str
    measured: date
    commit: str
    load: float
    whole: Share
    apart: Share
    p50: float
    p95: float
    p99: float
    statuses: dict[str, int]
    payments: int
    runs: dict[str, int]
    slices: list[Slice]
    happenings: list[Happening]
    memory: list[Memory]
    growth: list[Growth]
    strays: list[Stray]
    proofs: list[Proof]


def keep(soak: Soak, folder: Path = RESULTS) -> None:
    """In place of the soak before it. On few lines: it holds thousands of numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SOAK).write_bytes(msgspec.json.encode(soak).replace(b'{"process"', b'\n{"process"') + b"\n")


def read(folder: Path = RESULTS) -> Soak | None:
    """The last soak, if there was one."""
    path = folder / SOAK
    return msgspec.json.decode(path.read_bytes(), type=Soak) if path.is_file() else None
