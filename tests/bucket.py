"""Object stores of the tests' own: a folder, or S3 as a process of its own serves it over HTTP.

``python -m tests.bucket`` is that process: it prints where it listens and ends with its standard input.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow.fs import FileSelector, FileSystem

ROOT = Path(__file__).parent.parent
KINDS = ("file", "s3")


@dataclass(frozen=True)
class Bucket:
    """A store, looked into and meddled with past the code under test."""

    url: str

    def names(self) -> list[str]:
        """All that is there, beneath the folders of databases."""
        files, base = FileSystem.from_uri(self.url)
        found = files.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
        return sorted(each.path.removeprefix(f"{base}/").partition("/")[2] for each in found if each.is_file)

    def one(self, start: str) -> str:
        """The name of the one file that begins so."""
        [name] = [name for name in self.names() if name.startswith(start)]
        return name

    def read(self, name: str) -> bytes:
        files, path = self._find(name)
        with files.open_input_stream(path) as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        files, path = self._find(name)
        with files.open_output_stream(path) as stream:
            stream.write(content)

    def remove(self, name: str) -> None:
        files, path = self._find(name)
        files.delete_file(path)

    def _find(self, name: str) -> tuple[FileSystem, str]:
        files, base = FileSystem.from_uri(self.url)
        found = files.get_file_info(FileSelector(base, recursive=True))
        [path] = [each.path for each in found if each.is_file and each.path.endswith(f"/{name}")]
        return files, path


@contextmanager
def served() -> Iterator[str]:
    """Where S3 is served."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bucket"],
        text=True,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def made(address: str, name: str) -> Bucket:
    """A new bucket."""
    options = f"region=us-east-1&scheme=http&endpoint_override={address}"
    files, path = FileSystem.from_uri(f"s3://{name}?{options}&allow_bucket_creation=true")
    files.create_dir(path)
    return Bucket(f"s3://{name}/facts?{options}")


def main() -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
