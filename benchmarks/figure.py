"""What a measurement says: figures held to their targets, kept as one JSON file for each size."""

from datetime import date
from pathlib import Path
from statistics import median

import msgspec

RESULTS = Path(__file__).with_name("results")
SOAK = "soak.json"  # what is no sheet of figures


class Check(msgspec.Struct, frozen=True):
    """One number beside its limit; ``at_most`` says on which side of it is well."""

    what: str
    value: float
    limit: float
    unit: str = "x"
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit


class Runs(msgspec.Struct, frozen=True):
    """All runs of one contender: seconds, the peak memory of its process in MiB (0: not known), processor seconds.

    The processor's are those of the process and, where one serves it, of PostgreSQL.
    """

    seconds: list[float]
    peak: float = 0
    cpu: list[float] = []

    @property
    def median(self) -> float:
        return median(self.seconds)


class Latencies(msgspec.Struct, frozen=True):
    """What became of many requests: milliseconds until the answer, and what they took.

    ``server``: milliseconds of CPU of the serving processes for one; ``load``: share of a core that asking took.
    """

    requests: int
    per_second: float
    p50: float
    p95: float
    p99: float
    server: float = 0
    load: float = 0


class Figure(msgspec.Struct, frozen=True):
    """One measured target of the project at one size. ``load`` is the machine's while it was taken."""

    name: str
    title: str
    checks: list[Check]
    runs: dict[str, Runs]
    note: str = ""
    measured: date | None = None
    commit: str = ""
    load: float = 0
    answers: dict[str, Latencies] = {}

    @property
    def met(self) -> bool:
        return all(check.met for check in self.checks)


class Sheet(msgspec.Struct, frozen=True):
    """All figures of one size."""

    size: str
    rows: dict[str, int]
    machine: str
    software: str
    loaded: str
    figures: dict[str, Figure]

    @property
    def loans(self) -> int:
        return self.rows["loans"]


def read(size: str, folder: Path = RESULTS) -> Sheet | None:
    """What was measured at a size before."""
    path = folder / f"{size}.json"
    return msgspec.json.decode(path.read_bytes(), type=Sheet) if path.is_file() else None


def read_all(folder: Path = RESULTS) -> list[Sheet]:
    """Every size measured, smallest first; what is kept in folders within is added to its size."""
    sheets: dict[str, Sheet] = {}
    found = [path for path in folder.rglob("*.json") if path.name != SOAK]
    for path in sorted(found, key=lambda path: (len(path.parts), path)):
        sheet = msgspec.json.decode(path.read_bytes(), type=Sheet)
        known = sheets.setdefault(sheet.size, sheet)
        sheets[sheet.size] = msgspec.structs.replace(known, figures=known.figures | sheet.figures)
    return sorted(sheets.values(), key=lambda sheet: sheet.loans)


def keep(sheet: Sheet, folder: Path = RESULTS) -> None:
    """Figures measured now replace their own; the others of the size stay."""
    before = read(sheet.size, folder)
    figures = {**(before.figures if before else {}), **sheet.figures}
    whole = msgspec.structs.replace(
        sheet, figures=dict(sorted(figures.items(), key=lambda item: _place(item[0])))
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{sheet.size}.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
    )


def _place(name: str) -> int:
    return int(name.removeprefix("P").split()[0])
