"""Random numbers that depend on the seed and a key only: chunking and row order cannot change them."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Dice:
    seed: int

    def uniform(self, stream: str, *keys: Ints) -> Floats:
        """One number in [0, 1) per key; `stream` names what it decides."""
        start = (self.seed << 32) ^ crc32(stream.encode())
        state = np.full(keys[0].shape, start & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
        for key in keys:
            state = _scramble(state ^ (key.astype(np.uint64) * _STEP))
        return np.asarray((state >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    def below(self, limit: int, stream: str, *keys: Ints) -> Ints:
        return (self.uniform(stream, *keys) * limit).astype(np.int64)

    def chance(self, odds: float | Floats, stream: str, *keys: Ints) -> Bools:
        return np.asarray(self.uniform(stream, *keys) < odds)

    def pick(self, weights: list[float], stream: str, *keys: Ints) -> Ints:
        """The index of one of `weights`, which sum to 1."""
        edges = np.cumsum(weights)[:-1]
        return np.searchsorted(edges, self.uniform(stream, *keys), side="right").astype(np.int64)


def _scramble(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The SplitMix64 finaliser."""
    state = state + _STEP
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return np.asarray(state ^ (state >> np.uint64(31)))
