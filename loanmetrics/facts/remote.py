"""An object store: files under names, put there whole and given back as they were put, or not at all."""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from loanmetrics.errors import DataError, RemoteError
from loanmetrics.facts.disk import arriving
from loanmetrics.facts.version import Stored

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CHUNK: Final = 8 << 20
# Requests under way at a time: most of each is waiting.
TOGETHER: Final = 16
REFUSED = re.compile(r"AWS Error (\w+)")


@dataclass(frozen=True)
class Remote:
    """One folder of a store: s3, gs, abfs or file. Credentials are those of the environment, or of the machine."""

    url: str
    folder: str

    @classmethod
    def at(cls, url: str) -> "Remote":
        """The folder that a URL names."""
        path, mark, options = url.partition("?")
        store, _, folder = path.rstrip("/").rpartition("/")
        return cls(store + mark + options, folder)

    def __str__(self) -> str:
        return f"{self.url.partition('?')[0].rstrip('/')}/{self.folder}"

    def put(self, name: str, source: Path) -> Stored:
        """Put a file there; returns what was put."""
        seen = _Seen()
        # If this breaks off, what may lie there is less than the file: but no manifest names it yet.
        with (
            source.open("rb") as file,
            self._reached() as (files, base),
            _writing(files, f"{base}/{name}") as target,
        ):
            while chunk := file.read(CHUNK):
                seen.add(chunk)
                target.write(chunk)
        return seen.stored

    def write(self, name: str, content: bytes) -> None:
        """Put something small there, in the place of what was there."""
        with self._reached() as (files, base), _writing(files, f"{base}/{name}") as target:
            target.write(content)

    def get(self, name: str, target: Path, stored: Stored) -> None:
        """Bring a file here; refused unless it is what was put."""
        seen = _Seen()
        with self._reached() as (files, base):
            try:
                source = files.open_input_stream(f"{base}/{name}")
            except FileNotFoundError:
                raise DataError(f"{self} has no {name}", "loanmetrics compute --full") from None
            with source, arriving(target) as file:
                while chunk := source.read(CHUNK):
                    seen.add(chunk)
                    file.write(chunk)
                self._insist(name, seen.stored, stored)

    def read(self, name: str) -> bytes | None:
        """Something small, if it is there."""
        with (
            self._reached() as (files, base),
            suppress(FileNotFoundError),
            files.open_input_stream(f"{base}/{name}") as source,
        ):
            return bytes(source.read())
        return None

    def has(self, name: str) -> bool:
        """Whether something lies there under this name."""
        with self._reached() as (files, base):
            return bool(files.get_file_info(f"{base}/{name}").is_file)

    def listing(self) -> dict[str, float]:
        """All that lies there, with the time it was put."""
        from pyarrow.fs import FileSelector

        with self._reached() as (files, base):
            found = files.get_file_info(FileSelector(base, allow_not_found=True, recursive=True))
            return {each.path[len(base) + 1 :]: each.mtime.timestamp() for each in found if each.is_file}

    def delete(self, names: Iterable[str]) -> None:
        """Take files away; those that are gone already are no matter."""
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(self._delete, names))

    def _delete(self, name: str) -> None:
        with self._reached() as (files, base), suppress(FileNotFoundError):
            files.delete_file(f"{base}/{name}")

    def _insist(self, name: str, seen: Stored, stored: Stored) -> None:
        if seen != stored:
            what = f"{seen.size:,} of {stored.size:,} bytes" if seen.size != stored.size else "other content"
            raise DataError(
                f"{name} in {self} is not what was put there: {what}", "loanmetrics compute --full"
            )

    @contextmanager
    def _reached(self) -> "Iterator[tuple[FileSystem, str]]":
        """The store, and where this folder begins. What it says of itself may quote a request, so a word must do."""
        from pyarrow import ArrowException

        try:
            files, path = _opened(self.url)
            yield files, f"{path.rstrip('/')}/{self.folder}"
        except (OSError, ArrowException) as error:
            hint = "is its address right, does it answer, and may the credentials in the environment do this?"
            raise RemoteError(f"{self} failed: {_word(error)}", hint) from None


class _Seen:
    """What went by, counted and hashed."""

    def __init__(self) -> None:
        self.size = 0
        self.digest = sha256()

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.digest.update(chunk)

    @property
    def stored(self) -> Stored:
        return Stored(self.size, self.digest.hexdigest())


@lru_cache
def _opened(url: str) -> "tuple[FileSystem, str]":
    """The file system of a URL, and the path within it."""
    from pyarrow.fs import FileSystem

    if url.startswith("s3://"):
        # What fits into one request is sent as one, not as three.
        url += f"{'&' if '?' in url else '?'}allow_delayed_open=true"
    return FileSystem.from_uri(url)  # type: ignore[no-any-return]


@contextmanager
def _writing(files: "FileSystem", path: str) -> "Iterator[BinaryIO]":
    """A file appears when all of it is there: object stores see to that, folders do not."""
    from pyarrow.fs import LocalFileSystem

    if isinstance(files, LocalFileSystem):
        with arriving(Path(path)) as file:
            yield file
    else:
        with files.open_output_stream(path) as stream:
            yield stream


def _word(error: Exception) -> str:
    refused = REFUSED.search(str(error))
    return refused[1] if refused else getattr(error, "strerror", None) or type(error).__name__
