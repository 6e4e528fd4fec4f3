"""What every process holds, read every few seconds from /proc."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from peers.memory import children

from soaking.house import POSTGRES, House
from soaking.record import Memory

EVERY = 5.0


@dataclass
class Sampler:
    """Reads on and on; ``cached`` is what the cache had counted at the edges of the slices."""

    house: House
    began: float
    width: float
    found: dict[tuple[str, int], Memory] = field(default_factory=dict)
    cached: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        edge = 0.0
        while not stop.wait(self._until_next()):
            for name, pid in self.house.processes():
                self._read(name, pid)
            if (now := time.monotonic() - self.began) >= edge:
                self._ask_cache()
                edge = (now // self.width + 1) * self.width
        self._ask_cache()

    def _until_next(self) -> float:
        now = time.monotonic() - self.began
        return -now if now < 0 else EVERY - now % EVERY

    def _read(self, name: str, pid: int) -> None:
        rss, pss = (sum(part) for part in zip(*map(held, [pid, *_beneath(name, pid)]), strict=True))
        if pss:
            it = self.found.setdefault((name, pid), Memory(name, pid))
            it.at.append(round(time.monotonic() - self.began, 1))
            it.rss.append(round(rss, 1))
            it.pss.append(round(pss, 1))

    def _ask_cache(self) -> None:
        with suppress(OSError, HTTPException):
            self.cached.append((time.monotonic() - self.began, self.house.api.cache_events()))


def held(pid: int) -> tuple[float, float]:
    """MiB resident, and with shared pages by their share; nothing of a process that has ended."""
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        rss, pss = (int(text.split(f"\n{name}:")[1].split()[0]) / 1024 for name in ("Rss", "Pss"))
        return rss, pss
    return 0.0, 0.0


def _beneath(name: str, pid: int) -> list[int]:
    return children(pid) if name == POSTGRES else []
