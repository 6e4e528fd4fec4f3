"""What a partition of the lender's tables held when it was read: sums of hashes of its rows, and of each loan's.

The sums by loan of a partition are a file. A partition that stays as it is keeps its file, so that a run writes those
of changed partitions only. Files serve the next run alone: other versions need none.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

FOLDER = "leaves"
SCHEMA = {"loan_id": pl.String(), "hash": pl.Int64()}


class Content(msgspec.Struct, frozen=True):
    """Rows, money in minor units, and the sums of both hashes of every row: any change of any row changes these."""

    rows: int
    amount: int
    hashes: tuple[str, str]


class Leaf(msgspec.Struct, frozen=True):
    """A partition's content, and the file of its sums by loan."""

    content: Content
    file: str


Leaves = Mapping[str, Mapping[str, Leaf]]


@dataclass(frozen=True)
class LeafFiles:
    """The files of one lake."""

    folder: Path

    def read(self, leaves: Sequence[Leaf]) -> pl.DataFrame:
        """Sums by loan of some partitions; a loan may stand in several."""
        frames = [pl.read_parquet(self.folder / leaf.file) for leaf in leaves]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *frames])

    def write(self, name: str, loans: pl.DataFrame) -> None:
        """Write a file, and have it on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / name).open("wb") as file:
            loans.sort("loan_id").write_parquet(file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())

    def holds(self, leaves: Leaves) -> bool:
        """Whether the files of all these partitions are here."""
        return all((self.folder / name).is_file() for name in names(leaves))

    def prune(self, leaves: Leaves) -> None:
        """Delete the files of all other partitions."""
        needed = set(names(leaves))
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            if path.name not in needed:
                path.unlink()


def names(leaves: Leaves) -> Iterator[str]:
    """The files of some partitions, by table."""
    return (leaf.file for parts in leaves.values() for leaf in parts.values())
