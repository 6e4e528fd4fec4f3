"""What one version of the facts is made of: the manifest that a run leaves, and the files it names."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

import msgspec
import polars as pl

from loanmetrics.errors import DataError
from loanmetrics.facts import leaves as sums_by_loan
from loanmetrics.facts.leaves import Leaves

FORMAT: Final = 2
SHARDED = ("loans", "schedule", "repayments")
CURRENT = "manifest.json"
MANIFESTS = "manifests"


class ShardFiles(msgspec.Struct, frozen=True):
    """One shard: files ``loans-<name>.parquet``, ``schedule-...``, ``repayments-...``; keys ``first`` to ``last``."""

    name: str
    loans: int
    first: int
    last: int

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files, in the order of ``SHARDED``."""
        return tuple(f"{kind}-{self.name}.parquet" for kind in SHARDED)

    def retired(self, gone: pl.Series) -> pl.Series:
        """The loans of this shard among those whose keys are ``gone``."""
        return gone.filter(gone.is_between(self.first, self.last))


class Stored(msgspec.Struct, frozen=True):
    """What a file held when it was put into the object store."""

    size: int
    sha256: str


class Shelf(msgspec.Struct, frozen=True):
    """Files in the object store at one address, by name."""

    address: str
    files: dict[str, Stored]


class Day(msgspec.Struct, frozen=True):
    """The sums that a version gave on one day, so that the next run of that day need not start afresh."""

    as_of: date
    measures: str
    findings: dict[str, int]


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the facts: everything a figure of its run depends on, beside the engine itself.

    ``small`` names the file of each small table: the dimensions, ``gone`` (retired loan keys), ``held`` (rows
    held back), ``odd`` (findings by loan), ``sums`` (the day's sums by cell). ``rows`` and ``sums`` are totals of what
    was read, by source table; ``mark`` is where the source's change log stood, or else
    ``leaves`` what its partitions held. ``stored`` tells which of its files are in the object store, if there is one.
    """

    run_id: str
    engine: str
    policy: dict[str, Any]
    shards: tuple[ShardFiles, ...]
    small: dict[str, str]
    next_loan: int
    rows: dict[str, int]
    sums: dict[str, int]
    mark: dict[str, Any] | None = None
    leaves: Leaves = {}
    day: Day | None = None
    # Left out where there is no store, so that programs of before can read what these write.
    stored: Shelf | msgspec.UnsetType = msgspec.UNSET
    format: Literal[2] = FORMAT

    @property
    def files(self) -> frozenset[str]:
        """Names of all files this version needs."""
        sharded = (name for shard in self.shards for name in shard.files)
        return frozenset((*sharded, *self.small.values()))

    @property
    def leaf_files(self) -> frozenset[str]:
        """Names of the files that the next run holds the source against, if it goes by content."""
        return frozenset(f"{sums_by_loan.FOLDER}/{name}" for name in sums_by_loan.names(self.leaves))

    @property
    def in_store(self) -> Mapping[str, Stored]:
        """What is known of this version's files in the object store, by name."""
        return {} if self.stored is msgspec.UNSET else self.stored.files

    def lies_at(self, address: str) -> bool:
        """Whether its files were put into the store at this address, not at another before."""
        return self.stored is not msgspec.UNSET and self.stored.address == address


def manifest(run_id: str) -> str:
    """Where a run's manifest lies in a lake."""
    return f"{MANIFESTS}/{run_id}.json"


def encoded(version: Version) -> bytes:
    """A version as its manifest."""
    return msgspec.json.encode(version)


def decoded(content: bytes, where: object) -> Version:
    """The version that a manifest tells of."""
    try:
        return msgspec.json.decode(content, type=Version)
    except msgspec.DecodeError as error:
        raise DataError(
            f"{where} is no manifest of facts format {FORMAT}: {error}", "compute again"
        ) from None
