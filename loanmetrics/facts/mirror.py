"""Facts kept in an object store, so that any machine can read what one has published.

Files are never changed and are named by the run that made them, so the store holds a copy of each, and the folder here
only spares the way to it. A run's files are put there before it completes, its manifest last: a manifest that is there
can be read. Loans of single days are not kept there: they can be made again.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import time
from typing import Final

import msgspec

from loanmetrics.errors import DataError
from loanmetrics.facts import leaves
from loanmetrics.facts.disk import UNDER_WAY, arriving, replace
from loanmetrics.facts.remote import TOGETHER, Remote
from loanmetrics.facts.version import MANIFESTS, Shelf, Stored, Version, decoded, encoded, manifest

HOUR: Final = 3600
# Longer than a run takes from its first file in the store until it completes.
YOUNG: Final = 6 * HOUR
# To list all there is takes seconds where much is kept.
SWEEP_EVERY: Final = HOUR
TRIM_EVERY: Final = HOUR
KEEP_FILES: Final = 7 * 24 * HOUR
KEEP_MANIFESTS: Final = 36 * 24 * HOUR
SWEPT, TRIMMED = ".swept", ".trimmed"
MANIFEST = re.compile(rf"{MANIFESTS}/([^/]+)\.json")
PLAIN = re.compile(r"(\w+/)?\w[\w.-]*")


@dataclass(frozen=True)
class Mirror:
    """A folder of facts, and where in the store the same files are."""

    folder: Path
    remote: Remote

    def push(self, version: Version, known: Mapping[str, Stored], names: Collection[str]) -> Version:
        """Put there those of ``names`` that are not ``known`` to be there, then the manifest that tells of all."""
        new = sorted(set(names).difference(known))
        with ThreadPoolExecutor(TOGETHER) as pool:
            put = dict(zip(new, pool.map(self._put, new), strict=True))
        told = {name: put.get(name) or known[name] for name in sorted(names)}
        made = msgspec.structs.replace(version, stored=Shelf(str(self.remote), told))
        replace(self.folder / manifest(version.run_id), encoded(made))
        self.remote.write(manifest(version.run_id), encoded(made))
        return made

    def pull(self, version: Version, names: Iterable[str]) -> None:
        """Have some of a version's files here; several processes may want the same at once."""
        missing = [name for name in names if not _here(self.folder / name)]
        if missing:
            with ThreadPoolExecutor(TOGETHER) as pool:
                list(pool.map(partial(self._get, version), missing))
            self._trim()

    def knows(self, run_id: str) -> bool:
        """Whether a run's manifest is here, if need be after it was brought here."""
        path, name = self.folder / manifest(run_id), _plain(manifest(run_id))
        if _here(path):
            return True
        content = self.remote.read(name)
        if content is None:
            return False
        with arriving(path) as file:
            file.write(encoded(decoded(content, f"{self.remote}/{name}")))
        return True

    def gives(self, version: Version, names: Iterable[str]) -> bool:
        """Whether some of a version's files are here or can be brought here."""
        missing = {name for name in names if not (self.folder / name).is_file()}
        return not missing or (
            missing <= version.in_store.keys() and self.remote.has(manifest(version.run_id))
        )

    def sweep(self, keep: Collection[str]) -> None:
        """Have the store hold what the runs to ``keep`` need, as far as it is here, and take other old files away.

        What is young may be of a run under way. Every run asks for this; it is done once an hour.
        """
        if not _due(self.folder / SWEPT, SWEEP_EVERY, self.remote.url):
            return
        newest = max(keep, default="")
        found = self.remote.listing()
        for run_id in sorted(keep):
            self._complete(run_id, found, newest)
        young = {name for name, when in found.items() if when > time() - YOUNG}
        runs = {match[1]: name for name in found if (match := MANIFEST.fullmatch(name))}
        staying = {run_id for run_id, name in runs.items() if run_id in keep or name in young}
        needed = young | self._needed(staying, newest)
        files = (name for name in found if name.endswith((".parquet", UNDER_WAY)))
        self.remote.delete(name for run_id, name in runs.items() if run_id not in staying)
        self.remote.delete(name for name in files if name not in needed)
        _done(self.folder / SWEPT, self.remote.url)

    def _complete(self, run_id: str, found: dict[str, float], newest: str) -> None:
        """Put there what is lacking of a run, if all of that is here; ``found`` learns of it."""
        path = self.folder / manifest(run_id)
        if not path.is_file():
            return
        version = decoded(path.read_bytes(), path)
        names = _needs(version, newest)
        known = {name: stored for name, stored in version.in_store.items() if name in found}
        lacking = names.difference(known)
        whole = not lacking and manifest(run_id) in found
        if not whole and all((self.folder / name).is_file() for name in lacking):
            self.push(version, known, names)
            found |= dict.fromkeys([*lacking, manifest(run_id)], time())

    def _needed(self, runs: Collection[str], newest: str) -> set[str]:
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(self.knows, runs))
        paths = (self.folder / manifest(run_id) for run_id in runs)
        return {name for path in paths for name in _needs(decoded(path.read_bytes(), path), newest)}

    def _put(self, name: str) -> Stored:
        path = self.folder / name
        if not path.is_file():
            raise self._lost(name)
        return self.remote.put(name, path)

    def _get(self, version: Version, name: str) -> None:
        if name not in version.in_store:
            raise self._lost(name)
        self.remote.get(name, self.folder / _plain(name), version.in_store[name])

    def _lost(self, name: str) -> DataError:
        return DataError(f"{name} is neither here nor in {self.remote}", "loanmetrics compute --full")

    def _trim(self) -> None:
        """Take away here what the store has too and nobody read for long, and what never arrived whole."""
        if not _due(self.folder / TRIMMED, TRIM_EVERY):
            return
        there: set[str] = set()
        for path in (self.folder / MANIFESTS).glob("*.json"):
            version = decoded(path.read_bytes(), path)
            if version.lies_at(str(self.remote)):
                there |= version.in_store.keys()
                _remove(path, KEEP_MANIFESTS)
        for name in there:
            _remove(self.folder / name, KEEP_FILES)
        for folder in (self.folder, self.folder / MANIFESTS, self.folder / leaves.FOLDER):
            for path in folder.glob(f"*{UNDER_WAY}"):
                _remove(path, HOUR)
        _done(self.folder / TRIMMED)


def _needs(version: Version, newest: str) -> frozenset[str]:
    """What is kept of a version. Sums by loan serve the run after it alone."""
    return version.files | (version.leaf_files if version.run_id == newest else frozenset())


def _here(path: Path) -> bool:
    """Whether a file is here; if so, it was read now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:
        return path.is_file()
    return True


def _remove(path: Path, age: float) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_mtime < time() - age:
            path.unlink()


def _due(mark: Path, every: float, text: str = "") -> bool:
    """Whether something is to be done again, or was done for another."""
    try:
        return mark.read_text() != text or mark.stat().st_mtime < time() - every
    except FileNotFoundError:
        return True


def _done(mark: Path, text: str = "") -> None:
    with arriving(mark) as file:
        file.write(text.encode())


def _plain(name: str) -> str:
    """A name that stays within the folder, whoever wrote the manifest."""
    if not PLAIN.fullmatch(name):
        raise DataError(f"{name!r} cannot be the name of a file of facts")
    return name
